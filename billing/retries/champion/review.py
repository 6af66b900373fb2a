"""The weekly comparison: a candidate that recovers more becomes champion, a champion that has drifted is taken out."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from billing.models import AttemptStatus, PaymentAttempt, RetryModel, RetryModelEvent
from billing.retries.champion.offline import ENOUGH, TIGHTEST, Comparison, Decision, compare
from billing.retries.champion.scores import Interval, Judged, clustered_sequence, loss_differences
from billing.retries.champion.switching import model_promote, model_retire, note

State, Kind = RetryModel.State, RetryModelEvent.Kind
RULES = "rules"

#: What becomes of an invoice is waited for this long after a retry of it was planned, for all alike: invoices that are
#: paid are known sooner than those that are not.
MATURE = timedelta(days=28)
#: Older decisions were made in other times.
MEMORY = timedelta(days=364)
#: A candidate that shows no difference for this long makes room for a newer one.
TRIAL = timedelta(weeks=52)
#: The newest of them; bounds a review's memory.
MOST = 100_000
#: Drift is looked for every week in the charges since the champion's present quarter began, counted from its fitting:
#: a sequence that never began anew would weigh the good months before a change against the bad ones after it.
DRIFT = timedelta(weeks=13)
#: The chance that a champion without drift is taken out within a quarter; in a year of four about 5 %.
DRIFT_ALPHA = 0.0125


@dataclass(frozen=True, slots=True)
class Review:
    """What a comparison came to; None where there was nothing to compare."""

    candidate: Comparison | None = None
    champion: Comparison | None = None
    drift: Interval | None = None


def name_of(model: RetryModel | None) -> str:
    """What a model is called in the lot."""
    return f"model:{model.pk}" if model is not None else RULES


def models_review(*, now: datetime) -> Review:
    """Compares candidate with champion and champion with rules by what was drawn by lot; switches where one wins.

    The champion is also taken out where it foretells the present quarter's charges worse than the rules do. Every
    comparison is written into the models' log. `now` is aware UTC.
    """
    with transaction.atomic():
        # Two reviews at once would switch twice.
        held = list(RetryModel.objects.exclude(state=State.RETIRED).defer("data").order_by("pk").select_for_update())
        champion = next((model for model in held if model.state == State.CHAMPION), None)
        candidate = next((model for model in held if model.state == State.CANDIDATE), None)
        if not held:
            return Review()
        decisions = decisions_drawn(now)
        found = Review(
            candidate=compare(decisions, name_of(candidate), name_of(champion)) if candidate else None,
            champion=compare(decisions, name_of(champion), RULES) if champion else None,
            drift=drift_of(champion, now) if champion else None,
        )
        if champion is not None:
            _judge_champion(champion, found, now)
        if candidate is not None:
            _judge_candidate(candidate, found.candidate, now)
    return found


def _judge_champion(champion: RetryModel, found: Review, now: datetime) -> None:
    if found.champion is not None and found.champion.loses:
        why = _("The rules recover more: %(words)s") % {"words": words(found.champion)}
    elif found.drift is not None and found.drift.low > 0:
        why = _("It foretells this quarter worse than the rules: log loss %(low)s to %(high)s.") % {
            "low": f"{found.drift.low:+.4f}",
            "high": f"{found.drift.high:+.4f}",
        }
    else:
        note(Kind.COMPARED, words(found.champion), now, model=champion, data=figures(found.champion))
        return
    model_retire(model_id=champion.pk, reason=why, now=now, kind=Kind.DEMOTED, data=figures(found.champion))


def _judge_candidate(candidate: RetryModel, found: Comparison | None, now: datetime) -> None:
    if found is not None and found.wins:
        model_promote(model_id=candidate.pk, reason=words(found), now=now, data=figures(found))
    elif found is not None and found.loses:
        model_retire(model_id=candidate.pk, reason=words(found), now=now, data=figures(found))
    elif now - candidate.fitted_at >= TRIAL:
        why = _("No difference was shown in a year: %(words)s") % {"words": words(found)}
        model_retire(model_id=candidate.pk, reason=why, now=now, data=figures(found))
    else:
        note(Kind.COMPARED, words(found), now, model=candidate, data=figures(found))


def decisions_drawn(now: datetime) -> list[Decision]:
    """Retries drawn by lot long enough ago to know what became of them. One query.

    Paid means in full within MATURE of the plan, by whatever: a charge that was called off because the customer paid
    first is no failure of its moment, and leaving it out would favour whoever waits.
    """
    drawn = (
        PaymentAttempt.objects.filter(
            propensity__isnull=False, created_at__gt=now - MEMORY, created_at__lte=now - MATURE
        )
        .order_by("-id")
        .values_list("invoice__customer_id", "propensity", "options", "created_at", "invoice__paid_at")[:MOST]
    )
    decisions = []
    for customer_id, propensity, options, planned_at, paid_at in drawn.iterator(chunk_size=2000):
        # An arm without a share was never tried: nothing speaks for or against it.
        arms = [option for option in options if option["share"] > 0]
        decisions.append(
            Decision(
                cluster=str(customer_id),
                propensity=propensity or 1.0,
                paid=paid_at is not None and paid_at <= planned_at + MATURE,
                same_hour=frozenset(arm["name"] for arm in arms if arm["drawn"]),
                chances={arm["name"]: arm["chance"] for arm in arms},
            )
        )
    return decisions


def drift_of(champion: RetryModel, now: datetime) -> Interval | None:
    """Mean log loss of the champion minus that of the rules on what it had charged in the present quarter, with an
    interval that holds at all of the quarter's looks at once; None with too few charges."""
    own, rules = [], []
    began = now - (now - champion.fitted_at) % DRIFT
    charged = (
        PaymentAttempt.objects.filter(
            retry_model=champion,
            at__gt=began,
            at__lte=now,
            status__in=(AttemptStatus.SUCCEEDED, AttemptStatus.DECLINED),
            probability__isnull=False,
        )
        .order_by("id")
        .values_list("invoice__customer_id", "probability", "status", "options")
    )
    for customer_id, chance, status, options in charged.iterator(chunk_size=2000):
        rule = _chance_of(RULES, options)
        if rule is not None and chance is not None:
            approved = status == AttemptStatus.SUCCEEDED
            own.append(Judged(chance, approved, str(customer_id)))
            rules.append(Judged(rule, approved, str(customer_id)))
    if len(own) < ENOUGH:
        return None
    return clustered_sequence(loss_differences(own, rules), tightest=TIGHTEST, alpha=DRIFT_ALPHA)


def words(comparison: Comparison | None) -> str:
    """A comparison in one sentence."""
    if comparison is None:
        return _("Nothing that was drawn by lot is older than four weeks yet.")
    told = {
        "low": f"{100 * comparison.difference.low:+.1f}",
        "high": f"{100 * comparison.difference.high:+.1f}",
        "one": comparison.one.matches,
        "other": comparison.other.matches,
        "needed": ENOUGH,
    }
    if not comparison.enough:
        return _("Not enough yet: %(one)s and %(other)s of %(needed)s retries each.") % told
    return _("%(low)s to %(high)s points of recovered invoices, by %(one)s and %(other)s retries.") % told


def figures(comparison: Comparison | None) -> dict[str, Any]:
    """A comparison as plain data for the log; an interval without bounds has none there."""
    if comparison is None:
        return {}
    data = asdict(comparison)
    for interval in (data["difference"], data["one"]["value"], data["other"]["value"]):
        for bound in ("low", "high"):
            interval[bound] = interval[bound] if abs(interval[bound]) < 1e9 else None
    return data


def _chance_of(name: str, options: Iterable[dict[str, Any]]) -> float | None:
    return next((option["chance"] for option in options if option["name"] == name), None)
