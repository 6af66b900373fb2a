"""Acts on many rows ask first, say what they pass over, act once with a line each, and cost the same per batch."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import Adjustment, ApprovalLimit, Invoice, PaymentAttempt
from campaigns.models import Case, LadderVersion, Message, Segment, Step
from campaigns.services.case_acts import assign_act
from customers.bulk.jobs import job_confirm, job_draft, job_undo_draft, reasons_of, undo_of
from customers.bulk.run import jobs_run
from customers.errors import SollecitoError
from customers.models import BulkJob, Customer, Interaction
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def maria() -> User:
    return f.staff("collector", "maria")


@pytest.fixture
def collector(maria: User) -> Client:
    return f.desk(maria)


@pytest.fixture
def cases() -> dict[str, Case]:
    """Two open cases, a promised, a paused and a closed one, of customers with the tag vip; an open one of another."""
    rows = {
        name: f.case(f.customer(tags=["vip"]), state=state, **more)
        for name, state, more in (
            ("one", "open", {}),
            ("two", "open", {}),
            ("promised", "promised", {"rests_until": NOW + 5 * DAY, "next_action_at": NOW + 5 * DAY}),
            ("paused", "paused", {"next_action_at": None, "rest_reason": "x"}),
            ("closed", "lost", {"closed_at": NOW, "next_action_at": None, "close_reason": "exhausted"}),
        )
    }
    return rows | {"other": f.case(f.customer())}


def states(cases: dict[str, Case]) -> dict[str, str]:
    return {name: Case.objects.get(pk=row.pk).state for name, row in cases.items()}


def run(act: str, rows: list[int], user: User, **params: Any) -> BulkJob:
    job = job_draft(act=act, targets=rows, selection="", actor_id=user.pk, now=NOW)
    job_confirm(job_id=job.pk, params=params, actor_id=user.pk, now=NOW)
    return finish(job)


def take_back(job: BulkJob, user: User) -> BulkJob:
    draft = job_undo_draft(job_id=job.pk, actor_id=user.pk, now=NOW)
    job_confirm(job_id=draft.pk, params=job.params, actor_id=user.pk, now=NOW)
    return finish(draft)


def finish(job: BulkJob) -> BulkJob:
    while jobs_run(now=NOW).job_id is not None:
        pass
    job.refresh_from_db()
    return job


def reasons(job: BulkJob) -> dict[str, int]:
    return {reason: count for _outcome, reason, count in reasons_of(job)}


def test_what_is_counted_is_done_and_a_second_time_there_is_nothing(cases: dict[str, Case], maria: User) -> None:
    ids = [row.pk for row in cases.values()]
    left = {"Its state is: Promised.": 1, "Its state is: Paused.": 1, "Its state is: Lost.": 1}
    job = run("cases.pause", ids, maria, until=(NOW + DAY).isoformat(), reason="Strike at the bank")
    assert (job.done, reasons(job)) == (3, left)
    assert set(Interaction.objects.filter(kind="case.paused").values_list("subject", "body", "actor_id")) == {
        (f"case:{cases[name].pk}", "Strike at the bank", maria.pk) for name in ("one", "two", "other")
    }
    with pytest.raises(SollecitoError, match="nothing to do"):
        run("cases.pause", ids, maria, until=None, reason="x")
    assert Interaction.objects.filter(kind="case.paused").count() == 3
    back = take_back(job, maria)
    assert (back.done, states(cases)["promised"], states(cases)["paused"]) == (3, "promised", "paused")
    assert Customer.objects.filter(reassess_at=NOW).count() == 3


def test_resumed_they_are_paused_again_as_each_was(cases: dict[str, Case], maria: User) -> None:
    until = NOW + 9 * DAY
    Case.objects.filter(pk=cases["one"].pk).update(
        state="paused", rests_until=until, rest_reason="Trade fair", next_action_at=until
    )
    ids = [cases["one"].pk, cases["paused"].pk]
    job = run("cases.resume", ids, maria)
    assert set(states(cases).values()) == {"open", "promised", "lost"}
    Case.objects.filter(pk=cases["paused"].pk).update(state="disputed")
    back = take_back(job, maria)
    assert (back.done, reasons(back)) == (1, {"Its state is: Disputed.": 1})
    one = Case.objects.get(pk=cases["one"].pk)
    assert (one.state, one.rests_until, one.rest_reason, one.next_action_at) == ("paused", until, "Trade fair", until)


def test_assigned_they_go_back_to_who_had_them(cases: dict[str, Case], maria: User) -> None:
    paolo = User.objects.create_user("paolo", is_staff=True)
    Case.objects.filter(pk=cases["one"].pk).update(owner=paolo)
    ids = [cases[name].pk for name in ("one", "two", "other")]
    job = run("cases.assign", ids, maria, owner=maria.pk)
    assert Case.objects.filter(owner=maria).count() == 3
    Case.objects.filter(pk=cases["other"].pk).update(owner=paolo)
    back = take_back(job, maria)
    assert (back.done, reasons(back)) == (2, {"Changed since.": 1})
    owners = dict(Case.objects.filter(pk__in=ids).values_list("pk", "owner"))
    assert owners == {cases["one"].pk: paolo.pk, cases["two"].pk: None, cases["other"].pk: paolo.pk}


def test_written_to_by_template_each_by_the_rules_and_called_back(cases: dict[str, Case], maria: User) -> None:
    Customer.objects.filter(pk=cases["two"].customer_id).update(do_not_contact=True)
    template = f.template()
    ids = [row.pk for row in cases.values()]
    job = run("cases.write", ids, maria, template=template.pk, channel="email")
    assert job.done == 2
    assert reasons(job)["The case rests or has ended."] == 3
    assert len(reasons(job)) == 2
    queued = {row.case_id: row for row in Message.objects.all()}
    assert queued.keys() == {cases["one"].pk, cases["other"].pk}
    assert {(row.status, row.actor_id, row.purpose) for row in queued.values()} == {("queued", maria.pk, "dunning")}
    Message.objects.filter(case=cases["other"]).update(status="sent")
    back = take_back(job, maria)
    assert (back.done, reasons(back)) == (1, {"It is not queued any more: Sent.": 1})
    assert Message.objects.get(case=cases["one"]).status == "cancelled"


def test_moved_to_another_version_and_back(maria: User) -> None:
    maria.groups.add(Group.objects.get(name="manager"))
    old = f.ladder()
    new = LadderVersion.objects.create(ladder=old.ladder, number=2, status="retired", published_at=NOW)
    Step.objects.create(version=new, position=1, key="step-1", name="x", action="notify_staff", offset=0)
    rows = [f.case(f.customer(), ladder_version=old) for _ in range(3)]
    ids = [row.pk for row in rows]
    job = job_draft(
        act="cases.move", targets=ids, selection="", actor_id=maria.pk, now=NOW, params={"version": new.pk}
    )
    job_confirm(job_id=job.pk, params={"version": new.pk, "reason": "x"}, actor_id=maria.pk, now=NOW)
    assert finish(job).done == 3
    assert Case.objects.filter(ladder_version=new).count() == 3
    assert take_back(job, maria).done == 3
    assert Case.objects.filter(ladder_version=old).count() == 3


def test_retried_now_within_the_waits(maria: User) -> None:
    planned, idle, paid = f.invoice(f.customer()), f.invoice(f.customer()), f.invoice(f.customer(), status="paid")
    for invoice in (planned, paid):
        f.attempt(invoice, status="planned", origin="retry", scheduled_for=NOW + 5 * DAY, at=None, decline_code="")
    PaymentAttempt.objects.filter(invoice=paid).update(status="cancelled")
    job = run("invoices.retry_now", [planned.pk, idle.pk, paid.pk], maria)
    assert (job.done, reasons(job)) == (1, {"Its status is: Paid.": 1, "No charge of ours is planned for later.": 1})
    assert PaymentAttempt.objects.get(invoice=planned).scheduled_for == NOW
    assert Interaction.objects.get(kind="attempt.hastened").actor_id == maria.pk
    assert undo_of(job) is None


def test_written_off_once(maria: User) -> None:
    maria.groups.add(Group.objects.get(name="manager"))
    ApprovalLimit.objects.filter(act="write_off", group__name="manager", currency="EUR").update(amount=4900)
    open_, paid = f.invoice(f.customer(), source="manual"), f.invoice(f.customer(), status="paid")
    job = run("invoices.write_off", [open_.pk, paid.pk], maria, reason="Too small")
    assert (job.done, reasons(job)) == (1, {"Its status is: Paid.": 1})
    noted = Adjustment.objects.get()
    assert (noted.invoice, noted.amount, noted.actor, noted.reason) == (open_, 4900, maria, "Too small")
    assert Invoice.objects.get(pk=open_.pk).status == "uncollectible"
    more = run(
        "invoices.write_off", [f.invoice(f.customer(), source="manual").pk for _ in range(2)], maria, reason="x"
    )
    assert (more.status, more.done) == ("to_approve", 0)  # together more than she gives up alone


def test_an_owner_who_may_not_be_one_is_refused_and_nothing_changes(cases: dict[str, Case], maria: User) -> None:
    User.objects.filter(pk=maria.pk).update(is_active=False)
    with pytest.raises(SollecitoError, match="active staff"):
        assign_act(owner_id=maria.pk)
    assert not Case.objects.exclude(owner=None).exists()


@pytest.mark.parametrize(
    ("act", "params"),
    [
        ("cases.pause", {"until": None, "reason": "x"}),
        ("cases.resume", {}),
        ("cases.assign", {"owner": "maria"}),
        ("cases.write", {"template": "reminder", "channel": "email"}),
    ],
)
def test_a_chunk_costs_the_same_for_few_and_many(act: str, params: dict[str, Any], maria: User) -> None:
    if "owner" in params:
        params = {"owner": maria.pk}
    if "template" in params:
        params = params | {"template": f.template().pk}

    def queries(count: int) -> int:
        state = "paused" if act == "cases.resume" else "open"
        version = f.ladder()
        rows = [f.case(f.customer(), state=state, ladder_version=version).pk for _ in range(count)]
        job = job_draft(act=act, targets=rows, selection="", actor_id=maria.pk, now=NOW)
        job_confirm(job_id=job.pk, params=params, actor_id=maria.pk, now=NOW)
        with CaptureQueriesContext(connection) as found:
            assert jobs_run(now=NOW).done == count
        return len(found)

    assert queries(2) == queries(40)


def test_a_whole_segment_is_paused_after_a_page_that_counts(collector: Client, cases: dict[str, Case]) -> None:
    segment = Segment.objects.create(code="vip", name="VIP", query='tags = "vip"')
    asked = collector.get(reverse("admin:campaigns_segment_do", args=[segment.pk, "cases_pause"]), follow=True)
    page = asked.content.decode()
    assert "2 will be changed." in page
    assert "1 · Its state is: Promised." in page
    assert "VIP" in page
    late = f.case(f.customer(tags=["vip"]))
    collector.post(asked.redirect_chain[-1][0], {"until_0": "", "until_1": "", "reason": "Strike"})
    finish(BulkJob.objects.get())
    assert states(cases) == {
        "one": "paused", "two": "paused", "promised": "promised", "paused": "paused", "closed": "lost",
        "other": "open",
    }  # fmt: skip
    assert Case.objects.get(pk=late.pk).state == "open"  # counted before it was there


def test_the_whole_filtered_list_is_acted_on_when_asked_for(
    collector: Client, cases: dict[str, Case], maria: User
) -> None:
    Segment.objects.create(code="vip", name="VIP", query='tags = "vip"')
    url = reverse("admin:campaigns_case_changelist") + "?segment=vip"
    data = {"action": "cases_assign", "_selected_action": [cases["one"].pk], "index": "0", "select_across": "1"}
    asked = collector.post(url, data, follow=True)
    assert "4 will be changed." in asked.content.decode()
    assert "Cases, the whole list: Segment: VIP" in asked.content.decode()
    collector.post(asked.redirect_chain[-1][0], {"owner": maria.pk})
    finish(BulkJob.objects.get())
    owned = set(Case.objects.filter(owner=maria).values_list("pk", flat=True))
    assert owned == {cases[name].pk for name in ("one", "two", "promised", "paused")}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?state__exact=open", "Cases, the whole list: State: Open"),
        ("?state__exact=open&q=customer", "Cases, the whole list: “customer”; State: Open"),
        (
            "?opened_at_from_0=2026-01-01&opened_at_from_1=08:00",
            "Cases, the whole list: Opened: from 2026-01-01 08:00",
        ),
        ("?opened_at_to_0=2029-01-01", "Cases, the whole list: Opened: until 2029-01-01"),
        (
            "?opened_at_from_0=2026-01-01&opened_at_to_0=2029-01-01",
            "Cases, the whole list: Opened: from 2026-01-01, until 2029-01-01",
        ),
        ("?owner__id__exact={owner}", "Cases, the whole list: Owner: maria"),
        ("?practice=without", "Cases, the whole list: Practice case: Left out, as in figures"),
        ("", "Cases, the whole list"),
    ],
)
def test_what_the_list_was_narrowed_to_is_told_in_words(
    collector: Client, maria: User, cases: dict[str, Case], query: str, words: str
) -> None:
    Case.objects.update(owner=maria)
    url = reverse("admin:campaigns_case_changelist") + query.format(owner=maria.pk)
    data = {"action": "cases_pause", "_selected_action": [cases["one"].pk], "index": "0", "select_across": "1"}
    collector.post(url, data)
    assert BulkJob.objects.get().selection == words


def test_who_may_not_change_cases_is_not_offered_it(cases: dict[str, Case]) -> None:
    user = f.staff("auditor", "audit")
    client = f.desk(user)
    url = reverse("admin:campaigns_case_changelist")
    assert "cases_pause" not in client.get(url).content.decode()
    client.post(url, {"action": "cases_pause", "_selected_action": [cases["one"].pk], "index": "0"})
    segment = Segment.objects.create(code="vip", name="VIP", query='tags = "vip"')
    assert client.get(reverse("admin:campaigns_segment_do", args=[segment.pk, "cases_pause"])).status_code == 403
    assert not BulkJob.objects.exists()
