"""Fits a candidate on the installation's own charges and says whether it foretells the newest weeks better."""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _

from billing.models import AttemptStatus, PaymentAttempt, RetryModel, RetryModelEvent
from billing.retries import STRATEGIES
from billing.retries.champion.judging import MOST, SCHEDULED, figures_of, replay
from billing.retries.champion.learnable import LEARNED, Learnable
from billing.retries.champion.loading import ModelBroken, checksum, model_load
from billing.retries.champion.rows import history_rows, newest_since
from billing.retries.champion.scores import loss_difference
from billing.retries.champion.switching import note
from billing.retries.planner import Strategy

logger = logging.getLogger(__name__)

State, Kind = RetryModel.State, RetryModelEvent.Kind

#: The newest weeks are not learned from: a model is judged by them.
HELD_OUT = timedelta(weeks=4)
#: A first failure lies at most this long before the retries that are judged.
_BEFORE = timedelta(days=90)
#: With fewer charges to learn from, or retries to be judged by, nothing is fitted.
ENOUGH_CHARGES = 2_000
ENOUGH_RETRIES = 300
_EVERY = 50_000
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('billing.retries.champion', 0))"


@dataclass(frozen=True, slots=True)
class FitRun:
    """What a run came to: "busy" (another is at work), "trial" (a candidate is being tried already), "thin", "worse"
    or "candidate"; `model_id` is the new candidate's."""

    outcome: str
    model_id: int | None = None


@dataclass(slots=True)
class _Counted:
    """Passes rows on and keeps what is told of them."""

    rows: int = 0
    since: datetime | None = None
    customers: set[str] | None = None

    def through(self, rows: Iterator[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
        self.customers = set()
        for row in rows:
            self.rows += 1
            self.since = self.since or row["at"]
            self.customers.add(row["customer_id"])
            if self.rows % _EVERY == 0:
                logger.info("fitting a retry model: %d charges read", self.rows)
            yield row


def model_fit(*, now: datetime) -> FitRun:
    """Fits on the charges before the held-out weeks and tries the result on those; `now` is aware UTC.

    A model that foretells them better than the champion (or the rules), with its whole interval, becomes the
    candidate: it then gets its share of the lot. One run at a time; it reads the newest RETRY_FIT_ROWS charges.
    """
    # One transaction: the lock goes with it, also when the worker dies.
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_LOCK)
            if not cursor.fetchone()[0]:
                return FitRun("busy")
        if RetryModel.objects.filter(state=State.CANDIDATE).exists():
            return FitRun("trial")
        return _fit(now)


def data_state(now: datetime) -> tuple[int, int]:
    """Charges that could be learned from (counted up to ENOUGH_CHARGES), and how many are needed."""
    found, _since = newest_since(ENOUGH_CHARGES, before=now - HELD_OUT)
    return found, ENOUGH_CHARGES


def retries_since(moment: datetime) -> int:
    """How many scheduled retries were made from a moment (aware UTC) on."""
    made = PaymentAttempt.objects.filter(status__in=(AttemptStatus.SUCCEEDED, AttemptStatus.DECLINED), at__gte=moment)
    return made.filter(number__gt=1, origin__in=SCHEDULED).count()


def _fit(now: datetime) -> FitRun:
    until = now - HELD_OUT
    found, since = newest_since(settings.RETRY_FIT_ROWS, before=until)
    if since is None or found < ENOUGH_CHARGES:
        words = _("%(found)s of %(needed)s charges older than four weeks.")
        note(Kind.THIN, words % {"found": found, "needed": ENOUGH_CHARGES}, now, data={"charges": found})
        return FitRun("thin")
    started = time.monotonic()
    strategy: Learnable = STRATEGIES[LEARNED]()
    counted = _Counted()
    strategy.fit(counted.through(history_rows(since=since, until=until)))
    fitted = time.monotonic()
    data = strategy.save()
    against, baseline = _baseline()
    held_out = history_rows(since=until - _BEFORE, until=now)
    share = min(1.0, MOST / max(1, retries_since(until)))
    judged = replay(held_out, {"candidate": strategy, "baseline": baseline}, until, share)
    retries = len(judged["candidate"])
    if retries < ENOUGH_RETRIES:
        words = _("%(found)s of %(needed)s retries in the last four weeks to judge a model by.")
        note(Kind.THIN, words % {"found": retries, "needed": ENOUGH_RETRIES}, now, data={"retries": retries})
        return FitRun("thin")
    difference = loss_difference(judged["candidate"], judged["baseline"])
    figures = {
        "candidate": figures_of(judged["candidate"]),
        "baseline": figures_of(judged["baseline"]),
        "against": against,
        "difference": asdict(difference),
        "seconds_fitting": round(fitted - started, 1),
        "seconds_judging": round(time.monotonic() - fitted, 1),
        "bytes": len(data),
    }
    told = {"low": f"{difference.low:+.4f}", "high": f"{difference.high:+.4f}", "retries": retries, "other": against}
    if difference.high >= 0:
        words = _("On %(retries)s new retries its log loss differs from that of %(other)s by %(low)s to %(high)s.")
        note(Kind.WORSE, words % told, now, data=figures)
        return FitRun("worse")
    model = RetryModel.objects.create(
        strategy=strategy.name,
        fitted_at=now,
        trained_from=counted.since or since,
        trained_until=until,
        rows=counted.rows,
        customers=len(counted.customers or ()),
        data=data,
        checksum=checksum(data),
        figures=figures,
    )
    words = _("It foretells %(retries)s new retries better than %(other)s: log loss %(low)s to %(high)s. On trial.")
    note(Kind.FITTED, words % told, now, model=model, data=figures)
    return FitRun("candidate", model.pk)


def _baseline() -> tuple[str, Strategy]:
    """What a candidate must foretell better than: its name for the log, and the strategy."""
    champion = RetryModel.objects.filter(state=State.CHAMPION).first()
    if champion is not None:
        try:
            return str(champion), model_load(champion)
        except ModelBroken as error:
            # The planning loop retires it; here it only cannot be compared with.
            logger.error("retry model %s cannot be compared with: %s", champion.pk, error)
    return _("the rules"), STRATEGIES["rules"]()
