"""Owns who decides about a request for approval: somebody else, who may, and who sees all the customers it is about.

Of a request about a bulk job that waits, whoever may decide and sees some of its customers is shown that it is
there, and told why it is not theirs and whose it is; nobody else learns of it but who asked and who decided.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from billing.models import ApprovalRequest
from customers.bulk.sight import jobs_seen
from customers.models import Customer, Sees
from customers.visibility import among, seen, sees, sees_read

DECIDE = "billing.decide_approvalrequest"
#: Where permissions come from; others only log people in.
BACKEND = "django.contrib.auth.backends.ModelBackend"
#: Deciders named one by one; the others are "others".
NAMED = 5
#: Requests about bulk jobs that wait at once; of more the newest.
MOST = 100


class About(NamedTuple):
    """Whose money a request is about: the rows of a bulk job, or else one customer. Of one about many that names no
    job nobody can tell whom: only who sees everybody decides about it."""

    customer_id: int | None = None
    job_id: int | None = None

    @classmethod
    def request(cls, request: ApprovalRequest) -> "About":
        """What a request is about."""
        return cls(request.customer_id, job_of(request.payload))

    def seen_by(self, user: Any) -> bool:
        """Whether `user` sees all of it. Three queries at most."""
        if sees(user) == Sees.ALL:
            return True
        if self.job_id is not None:
            return jobs_seen([self.job_id], user).get(self.job_id, False)
        return self.customer_id is not None and seen(Customer.objects.filter(pk=self.customer_id), user).exists()


def job_of(payload: Mapping[str, Any]) -> int | None:
    """Id of the bulk job that a request is all of, if it is."""
    return int(payload["job_id"]) if "job_id" in payload else None


def may_decide(request: ApprovalRequest, user: Any) -> bool:
    """Whether `user` is a second person for it: not who asked, allowed to decide, and sees all it is about."""
    return request.requested_by_id != user.pk and user.has_perm(DECIDE) and About.request(request).seen_by(user)


def decision_words(request: ApprovalRequest, user: Any) -> str:
    """Who decides about a request that waits, as told to `user`: also why not they, where they may decide others."""
    if request.requested_by_id != user.pk and user.has_perm(DECIDE) and not About.request(request).seen_by(user):
        return unseen_words(request)
    return deciders_words(request.requested_by_id, About.request(request))


def unseen_words(request: ApprovalRequest) -> str:
    """Why somebody who may decide does not decide about this request, and who does."""
    why = _("It is also about customers you do not see, so somebody else decides.")
    return f"{why} {deciders_words(request.requested_by_id, About.request(request))}"


def deciders_words(asker_id: int, about: About) -> str:
    """Who may decide what this person asks for, in a sentence. Three queries for those who see every customer, three
    more for each of the others until enough are found."""
    users = list(get_user_model().objects.with_perm(DECIDE, backend=BACKEND).exclude(pk=asker_id).order_by("username"))
    if not users:
        return _("Nobody else may approve it yet: an admin has to give somebody a role that may.")
    sees_read(users)
    names: list[str] = []
    # Whoever sees everybody first: the others have to be looked up one by one.
    for user in sorted(users, key=lambda each: sees(each) != Sees.ALL):
        if about.seen_by(user):
            names.append(user.get_full_name() or user.get_username())
        if len(names) > NAMED:
            names = [*names[:NAMED], _("others")]
            break
    if not names:
        return _(
            "Nobody else who may approve it sees all of these customers: ask for fewer of them at once, or an admin "
            "has to widen what somebody sees."
        )
    return _("Waits for one of these to approve it: %(names)s.") % {"names": ", ".join(names)}


def requests_shown(rows: QuerySet[ApprovalRequest], user: Any) -> QuerySet[ApprovalRequest]:
    """The requests `user` may look at. Two queries at most besides the caller's own."""
    if sees(user) == Sees.ALL:
        return rows
    return seen(rows, user, asked_by="requested_by") | rows.filter(
        Q(decided_by=user.pk, payload__has_key="job_id") | Q(pk__in=_about_jobs(user))
    )


def others_decide(rows: Collection[ApprovalRequest], user: Any) -> set[int]:
    """Ids of those of `rows` that wait for a second person, which `user`, who may be one, is not: they do not see all
    of it. Three queries at most."""
    if sees(user) == Sees.ALL or not user.has_perm(DECIDE):
        return set()
    asked = [r for r in rows if r.status == ApprovalRequest.Status.PENDING and r.requested_by_id != user.pk]
    single = {r.pk: r.customer_id for r in asked if r.customer_id is not None and job_of(r.payload) is None}
    theirs = set(seen(Customer.objects.filter(among(set(single.values()))), user).values_list("pk", flat=True))
    jobs = _about_jobs(user) if len(single) < len(asked) else {}
    return {row.pk for row in asked if single.get(row.pk) not in theirs and not jobs.get(row.pk)}


def approvals_waiting(user: Any) -> int:
    """Requests of others that wait for this person's decision, at most 100; 0 for who may not decide. One look at a
    partial index; two queries more for who does not see every customer."""
    if not user.has_perm(DECIDE):
        return 0
    rows = ApprovalRequest.objects.filter(status=ApprovalRequest.Status.PENDING).exclude(requested_by=user.pk)
    if sees(user) != Sees.ALL:
        whole = [pk for pk, is_whole in _about_jobs(user).items() if is_whole]
        rows = seen(rows.exclude(payload__has_key="job_id"), user, asked_by="") | rows.filter(pk__in=whole)
    return rows.order_by()[:100].count()


def _about_jobs(user: Any) -> dict[int, bool]:
    """Requests about bulk jobs that wait for a second person, by id, of which `user`, who may be one, sees customers:
    True where they see all. Read once per request, as what they see is: a job has up to a hundred thousand rows."""
    known: dict[int, bool] | None = getattr(user, "_about_jobs", None)
    if known is None:
        known = user._about_jobs = _read_about_jobs(user) if user.has_perm(DECIDE) else {}
    return known


def _read_about_jobs(user: Any) -> dict[int, bool]:
    rows = ApprovalRequest.objects.filter(status=ApprovalRequest.Status.PENDING, payload__has_key="job_id")
    waiting = rows.exclude(requested_by=user.pk).order_by("-pk").values_list("pk", "payload")[:MOST]
    by_job = {job_id: pk for pk, payload in waiting if (job_id := job_of(payload)) is not None}
    return {by_job[job_id]: whole for job_id, whole in (jobs_seen(by_job, user) if by_job else {}).items()}


def jobs_deciding(user: Any) -> list[int]:
    """Ids of the bulk jobs of others that `user` is to decide about, and sees all of, or has decided about."""
    whole = [pk for pk, is_whole in _about_jobs(user).items() if is_whole]
    rows = ApprovalRequest.objects.filter(Q(pk__in=whole) | Q(decided_by=user.pk), payload__has_key="job_id")
    return [job_id for payload in rows.values_list("payload", flat=True) if (job_id := job_of(payload)) is not None]
