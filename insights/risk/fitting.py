"""Owns when a model is fitted and which one is in use: the newest that foretells better than the bare share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from billing.models import RiskModel
from insights.risk.history import Bill
from insights.risk.learning import Learned, Thin, learn, state_of
from insights.risk.rows import days, incidents_of, moment_of, newest_bills

State = RiskModel.State
#: The newest invoices that are read; bounds time and memory.
MOST = 200_000
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('insights.risk', 0))"


@dataclass(frozen=True, slots=True)
class FitRun:
    """What a run came to: "busy" (another is at work), "thin", "refused" or "in_use", with the new model's id."""

    outcome: str
    model_id: int | None = None
    thin: Thin | None = None


def risk_fit(*, now: datetime) -> FitRun:
    """Fits on the newest invoices whose outcome is known at `now` (aware UTC).

    Better than the bare share of late invoices, on invoices it has not seen and with its whole interval, it comes into
    use; else it is kept as refused. One run at a time.
    """
    # One transaction: the lock goes with it, also when the worker dies.
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_LOCK)
            if not cursor.fetchone()[0]:
                return FitRun("busy")
        bills = list(newest_bills(MOST))
        learned = learn(bills, incidents_of(list({bill.payer for bill in bills})), days(now))
        if isinstance(learned, Thin):
            return FitRun("thin", thin=learned)
        return _keep(learned, now)


def data_state(now: datetime) -> Thin:
    """How much there is to learn from, among the newest invoices."""
    return state_of(_newest(), days(now))


def _newest() -> Sequence[Bill]:
    # Enough to tell whether there is enough, and quick to read on any page.
    return list(newest_bills(5_000))


def _keep(learned: Learned, now: datetime) -> FitRun:
    if learned.better:
        RiskModel.objects.filter(state=State.IN_USE).update(state=State.RETIRED)
    model = RiskModel.objects.create(
        state=State.IN_USE if learned.better else State.REFUSED,
        fitted_at=now,
        trained_from=moment_of(learned.since),
        trained_until=moment_of(learned.until),
        rows=learned.rows,
        customers=learned.payers,
        data=learned.save(),
        figures=dict(learned.figures),
    )
    return FitRun(str(model.state), model.pk)


def model_retire(*, model_id: int) -> bool:
    """Takes a model out of use; returns False if it was not. Bands follow from ratings again with the next refresh;
    the weekly fit goes on."""
    return bool(RiskModel.objects.filter(pk=model_id, state=State.IN_USE).update(state=State.RETIRED))
