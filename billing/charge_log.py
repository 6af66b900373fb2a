"""Owns what the log says of charges, in one wording whoever tells of them."""

from datetime import datetime
from typing import Any

from billing.matching import ChargeFact
from billing.models import AttemptOrigin, Invoice, PaymentAttempt
from billing.money import display
from customers import log
from customers.models import ActorKind


def success_entry(invoice: Invoice, attempt: PaymentAttempt, fact: ChargeFact, at: datetime) -> log.Entry:
    """What the log says of a charge that succeeded at `at` (aware UTC)."""
    return _entry(
        (invoice, attempt, at),
        kind="attempt.succeeded",
        summary=f"{display(fact.amount, invoice.currency)} paid for {invoice}.",
        outcome="succeeded",
        data={"attempt": attempt.pk, "charge": fact.charge_id, "amount": fact.amount, "currency": invoice.currency},
        key=f"charge:{fact.charge_id}:succeeded",
    )


def decline_entry(invoice: Invoice, attempt: PaymentAttempt, fact: ChargeFact, at: datetime) -> log.Entry:
    """What the log says of a charge that was declined at `at` (aware UTC)."""
    verdict = fact.verdict
    return _entry(
        (invoice, attempt, at),
        kind="attempt.declined",
        summary=f"Charge of {display(fact.amount, invoice.currency)} for {invoice} declined: {verdict.reason}",
        outcome=verdict.category.value,
        data={"attempt": attempt.pk, "charge": fact.charge_id, "unknown_codes": list(verdict.unknown_codes)},
        key=f"charge:{fact.charge_id}:declined" if fact.charge_id else f"attempt:{attempt.pk}:declined",
    )


def _entry(about: tuple[Invoice, PaymentAttempt, datetime], **told: Any) -> log.Entry:
    invoice, attempt, at = about
    return log.Entry(
        customer_id=invoice.customer_id,
        at=at,
        actor_kind=_actor_kind(attempt),
        actor_id=attempt.actor_id,
        subject=f"invoice:{invoice.pk}",
        **told,
    )


def _actor_kind(attempt: PaymentAttempt) -> str:
    if attempt.strategy:
        return ActorKind.SYSTEM
    by_origin: dict[str, str] = {
        AttemptOrigin.PROCESSOR: ActorKind.PROCESSOR,
        AttemptOrigin.PORTAL: ActorKind.CUSTOMER,
        AttemptOrigin.NEW_METHOD: ActorKind.CUSTOMER,
        AttemptOrigin.STAFF: ActorKind.USER,
    }
    return by_origin.get(attempt.origin, ActorKind.SYSTEM)
