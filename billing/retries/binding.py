"""Owns which earlier declines of a card bind its next charge: a code that ended it, a wait not over yet.

Asked twice of the same facts: when a retry is planned, and when it is about to be charged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.retries.declines import DeclineVerdict, classify
from billing.retries.taxonomy import Category
from billing.retries.types import PastAttempt


@dataclass(frozen=True, slots=True)
class Wait:
    """No charge before `until` (aware), because of the decline that `reason` tells of."""

    until: datetime
    reason: str


def final_verdict(own: Sequence[PastAttempt], declines: Iterable[PastAttempt]) -> DeclineVerdict | None:
    """The verdict that ends the retries of an invoice on a card, or None.

    Either a decline among `declines` (of this card, for whatever invoice) finished the card, or the last of `own`
    (this invoice's on this card, oldest first) allows no further try without the customer, or one of them asked for
    the customer's confirmation.
    """
    last = [own[-1].verdict] if own else []
    hard = [verdict for attempt in declines if (verdict := attempt.verdict).hard]
    return next((verdict for verdict in [*hard, *last, *confirmations(own)] if not verdict.may_retry), None)


def confirmations(own: Iterable[PastAttempt]) -> list[DeclineVerdict]:
    """The declines of an invoice on a card by which the bank asked for the customer's confirmation: that wish does not
    go away because a later try met another obstacle."""
    asked = (attempt.verdict for attempt in own if not attempt.approved)
    return [verdict for verdict in asked if verdict.category is Category.AUTHENTICATION]


def wait_of(declines: Iterable[PastAttempt]) -> Wait | None:
    """The longest wait that the declines of a card ask of an automatic charge."""
    return _longest((attempt, attempt.verdict) for attempt in declines)


def network_wait_of(declines: Iterable[PastAttempt]) -> Wait | None:
    """The longest wait that the network itself asked for (Mastercard 02 and 24 to 30); it binds people, too."""
    advised = ((attempt, classify(network_advice_code=attempt.network_advice_code)) for attempt in declines)
    return _longest((attempt, verdict) for attempt, verdict in advised if verdict.source != "none")


def _longest(declined: Iterable[tuple[PastAttempt, DeclineVerdict]]) -> Wait | None:
    waits = [Wait(attempt.at + v.retry.wait, v.reason) for attempt, v in declined if v.retry.wait]
    return max(waits, key=lambda wait: wait.until, default=None)
