"""Owns what is told of a charge and which attempt it belongs on: told before, ours under way, or somebody else's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max

from billing.models import AttemptOrigin, AttemptStatus, Invoice, PaymentAttempt
from billing.retries.declines import DeclineVerdict, verdict_of

UNRESOLVED = (AttemptStatus.IN_FLIGHT, AttemptStatus.UNKNOWN)
#: Charges the bank takes days to answer (debits) are asked about hourly.
ASK_PROCESSING_AFTER = timedelta(hours=1)
#: The processor's clock and ours may differ by this much when a charge is matched to our attempt.
CLOCK_SKEW = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class ChargeFact:
    """What is known of one charge that was made.

    `amount` in minor units of `currency`; `at` is the processor's time (aware UTC), None where the answer does not
    tell one; `payment_method_id` is our row's; `charge_id` is empty when the processor refused before a charge
    was made (the customer must authenticate). The codes are those of a decline.
    """

    charge_id: str
    succeeded: bool
    amount: int
    currency: str
    at: datetime | None = None
    payment_method_id: int | None = None
    decline_code: str = ""
    network_decline_code: str = ""
    advice_code: str = ""
    network_advice_code: str = ""
    message: str = ""
    method_type: str = ""

    @property
    def verdict(self) -> DeclineVerdict:
        """What the codes mean (meaningless for a charge that succeeded)."""
        return verdict_of(self)


def attempts_renumber(attempts: Iterable[PaymentAttempt]) -> None:
    """Puts attempts told late into their place in time; numbers are the same whatever order they came in."""
    for attempt in attempts_misplaced(attempts):
        PaymentAttempt.objects.filter(pk=attempt.pk).update(number=attempt.number)


def attempts_misplaced(attempts: Iterable[PaymentAttempt]) -> list[PaymentAttempt]:
    """Sets the numbers of one invoice's attempts by their time; returns those whose number was another. Writes
    nothing."""
    # Charges of one second are told apart by their id, not by which was heard of first.
    ordered = sorted(
        attempts,
        key=lambda a: (a.at or a.scheduled_for or a.created_at, a.external_id is None, a.external_id or "", a.pk),
    )
    misplaced = []
    for number, attempt in enumerate(ordered, start=1):
        if attempt.number != number:
            attempt.number = number
            misplaced.append(attempt)
    return misplaced


def next_number(invoice_id: int) -> int:
    """The number of an attempt made now; the caller holds the invoice's lock."""
    top = PaymentAttempt.objects.filter(invoice_id=invoice_id).aggregate(top=Max("number"))["top"]
    return int(top or 0) + 1


def attempt_of(
    invoice: Invoice, attempts: Sequence[PaymentAttempt], fact: ChargeFact, now: datetime, attempt_id: int | None
) -> PaymentAttempt:
    """The row this charge belongs on: told before, ours under way, or a new one that is not saved yet."""
    known = next((a for a in attempts if fact.charge_id and a.external_id == fact.charge_id), None)
    ours = next((a for a in attempts if a.status in UNRESOLVED), None)
    if known is not None:
        return known
    if ours is not None and (ours.pk == attempt_id or _may_be(ours, fact)):
        return ours
    return PaymentAttempt(
        invoice=invoice,
        number=max((a.number for a in attempts), default=0) + 1,
        status=AttemptStatus.IN_FLIGHT,
        origin=AttemptOrigin.PROCESSOR,
        payment_method_id=fact.payment_method_id,
        at=fact.at or now,
    )


def _may_be(ours: PaymentAttempt, fact: ChargeFact) -> bool:
    """Whether a charge told by a webhook can be the one we sent and have no answer to yet."""
    same_method = (
        ours.payment_method_id is None
        or fact.payment_method_id is None
        or ours.payment_method_id == fact.payment_method_id
    )
    sent_at = ours.claimed_at or ours.at
    return same_method and (fact.at is None or sent_at is None or fact.at >= sent_at - CLOCK_SKEW)
