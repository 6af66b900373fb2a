"""Owns what a page knows of a customer's live cases: each is read once, however many parts of the page ask for it."""

from datetime import datetime

from campaigns.engine.load import Loaded, load_cases
from campaigns.models import Case
from campaigns.models.case import LIVE_STATES
from customers.models import Customer


def live_cases(customer: Customer) -> list[Case]:
    """The customer's live cases, oldest first, one for each brand they owe; the same rows for whoever asks of the same
    `customer` object, so that what was read with one of them is there for all."""
    known: list[Case] | None = getattr(customer, "_live_cases", None)
    if known is None:
        rows = customer.cases.filter(state__in=LIVE_STATES).select_related("brand", "ladder_version__ladder", "owner")
        known = customer._live_cases = list(rows.order_by("id"))  # type: ignore[attr-defined]
        for row in known:
            row.customer = customer
    return known


def standing(case: Case, now: datetime) -> Loaded | None:
    """What the engine knows of the case at `now` (aware UTC), as it would decide by it; read once for each `case`
    object and moment. None for a case that is gone."""
    known: tuple[datetime, Loaded | None] | None = getattr(case, "_standing", None)
    if known is None or known[0] != now:
        known = now, next(iter(load_cases([case.pk], now).cases), None)
        case._standing = known  # type: ignore[attr-defined]
    return known[1]
