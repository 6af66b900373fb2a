"""Owns what is told of one card: how far its limits are used, what it waits for, what ended it, what it has cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.retries.binding import Wait, network_wait_of
from billing.retries.limits import LimitVerdict, usages
from billing.retries.network_fees import Card, Fee, fees_so_far, next_fee
from billing.retries.types import PastAttempt


@dataclass(frozen=True, slots=True)
class CardLedger:
    """The state of one card or account at one moment, whoever stored it.

    `limits` has a verdict per limit in force, those on an invoice only where one was named; `wait` is what the network
    asked for and is not over; `next_fee` is what one more attempt would cost, `fees` what the attempts of the last
    weeks are estimated to have cost.
    """

    limits: tuple[LimitVerdict, ...]
    wait: Wait | None
    next_fee: Fee | None
    fees: tuple[Fee, ...]

    @property
    def full(self) -> bool:
        """Whether a limit forbids a further attempt now."""
        return any(not verdict.allowed for verdict in self.limits)


def ledger_of(
    card: Card,
    attempts: Sequence[PastAttempt],
    now: datetime,
    *,
    under_way: Sequence[datetime] = (),
    invoice_attempts: Sequence[PastAttempt] | None = None,
) -> CardLedger:
    """Reads the ledger of a card from all its attempts of the last weeks, oldest first, whatever the invoice.

    `under_way` are the moments of charges whose outcome is to come: they count. `invoice_attempts` are those of the
    one invoice looked at, for bank debits whose limits count by invoice.
    """
    verdicts = usages(
        brand=card.brand,
        history=[*under_way, *(attempt.at for attempt in attempts)],
        invoice_history=[attempt.at for attempt in invoice_attempts or ()],
        now=now,
        profile=card.profile,
    )
    if invoice_attempts is None:
        verdicts = [verdict for verdict in verdicts if not verdict.per_invoice]
    wait = network_wait_of([attempt for attempt in attempts if not attempt.approved])
    return CardLedger(
        limits=tuple(verdicts),
        wait=wait if wait is not None and wait.until > now else None,
        next_fee=next_fee(card, attempts, now),
        fees=fees_so_far(card, attempts),
    )
