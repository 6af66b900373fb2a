"""Owns orders to the processor other than charges (cancel a subscription, write off or credit an invoice): an outbox.

Each is asked for once by its key and carried out at least once: both orders have no further effect when repeated,
at the processor and here. Whether it is still wanted is asked again just before: who has paid keeps the subscription.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from billing import breaker
from billing.gateways import ErrorKind, GatewayError, gateway_for
from billing.ingest.again import invoice_look_again
from billing.models import Invoice, InvoiceStatus, ProcessorCommand, Subscription, SubscriptionStatus
from customers import log
from customers.errors import SollecitoError
from customers.services import customers_reassess
from customers.wake import wake

logger = logging.getLogger(__name__)

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=6)
#: About two days with the waits above; then a person must look.
MAX_TRIES = 12
_ENDED = (SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED)


@dataclass(frozen=True, slots=True)
class CommandRun:
    """What a run did, in orders; `withdrawn` ones were not wanted any more, `retried` ones are tried again later."""

    done: int = 0
    withdrawn: int = 0
    retried: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """Orders worked on; 0 means that there is nothing to do now."""
        return self.done + self.withdrawn + self.retried + self.failed


@dataclass(frozen=True, slots=True)
class Order:
    """One order: `kind` is a ProcessorCommand.Kind, `key` what it is asked for once by."""

    kind: str
    key: str
    invoice_id: int | None = None
    subscription_id: int | None = None
    #: Of a credit note: the adjustment it is made out for.
    adjustment_id: int | None = None


def commands_enqueue(*, orders: Iterable[Order], now: datetime) -> None:
    """Orders acts at the processor, in the caller's transaction; those whose key was ordered before are passed over.

    One statement. Raises SollecitoError (`bad_command`) for a kind without its subject.
    """
    commands = [
        ProcessorCommand(
            kind=order.kind,
            invoice_id=order.invoice_id,
            subscription_id=order.subscription_id,
            adjustment_id=order.adjustment_id,
            key=order.key,
            due_at=now,
            created_at=now,
        )
        for order in orders
    ]
    for command in commands:
        cancels = command.kind == ProcessorCommand.Kind.CANCEL_SUBSCRIPTION
        subject = command.subscription_id if cancels else command.invoice_id
        lacks_sum = command.kind == ProcessorCommand.Kind.CREDIT_NOTE and command.adjustment_id is None
        if command.kind not in ProcessorCommand.Kind.values or subject is None or lacks_sum:
            raise SollecitoError(f"The order {command.kind!r} lacks what it is about.", code="bad_command")
    if commands:
        ProcessorCommand.objects.bulk_create(commands, ignore_conflicts=True)
        wake("billing.tasks.run_commands")


# Plain SQL: asked every few seconds, mostly in vain.
_DUE = """
    SELECT c.id FROM billing_processorcommand c
      LEFT JOIN billing_invoice i ON i.id = c.invoice_id
      LEFT JOIN billing_subscription s ON s.id = c.subscription_id
     WHERE c.status = 'pending' AND c.due_at <= %s
       AND NOT EXISTS (SELECT FROM billing_processoraccount p
                        WHERE p.code IN (i.source, s.source) AND p.paused_until > %s)
     ORDER BY c.due_at, c.id LIMIT %s
"""


def run_commands(*, now: datetime, limit: int) -> CommandRun:
    """Carries out at most `limit` due orders; any number of workers may run it."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [now, now, limit])
        due = [row[0] for row in cursor.fetchall()]
    counts: Counter[str] = Counter()
    for pk in due:
        command = _claim(pk, now)
        if command is not None:
            counts[_carry_out(command, now)] += 1
    return CommandRun(**{name: counts[name] for name in ("done", "withdrawn", "retried", "failed")})


def _claim(pk: int, now: datetime) -> ProcessorCommand | None:
    """Takes an order by putting its next try off: a worker that dies leaves it due again then."""
    with transaction.atomic(durable=True):
        command = (
            ProcessorCommand.objects.select_related("invoice", "subscription", "adjustment")
            .select_for_update(of=("self",), skip_locked=True)
            .filter(pk=pk, status=ProcessorCommand.Status.PENDING, due_at__lte=now)
            .first()
        )
        if command is None:
            return None
        command.claimed_at = now
        command.due_at = now + min(FIRST_WAIT * 2**command.attempts, LONGEST_WAIT)
        command.attempts += 1
        command.save(update_fields=["claimed_at", "due_at", "attempts"])
        return command


def _carry_out(command: ProcessorCommand, now: datetime) -> str:
    unwanted = _unwanted(command)
    if unwanted:
        _finish(command, ProcessorCommand.Status.DONE, "withdrawn", unwanted, now)
        return "withdrawn"
    source = _subject(command).source
    try:
        _call(command)
    except GatewayError as error:
        return _failed(command, source, error, now)
    breaker.processor_answered(source=source)
    _finish(command, ProcessorCommand.Status.DONE, "done", "", now)
    return "done"


def _call(command: ProcessorCommand) -> None:
    subject = _subject(command)
    gateway, external_id = gateway_for(subject.source), subject.external_id or ""
    if command.kind == ProcessorCommand.Kind.CANCEL_SUBSCRIPTION:
        gateway.cancel_subscription(subscription_id=external_id, idempotency_key=command.key)
    elif command.kind == ProcessorCommand.Kind.CREDIT_NOTE and command.adjustment is not None:
        credit = command.adjustment
        gateway.issue_credit_note(
            invoice_id=external_id, amount=credit.amount, memo=credit.reason, idempotency_key=command.key
        )
    else:
        gateway.mark_uncollectible(invoice_id=external_id, idempotency_key=command.key)


def _unwanted(command: ProcessorCommand) -> str:
    """Why an order is not carried out any more; empty while it is wanted."""
    if command.kind != ProcessorCommand.Kind.CANCEL_SUBSCRIPTION:
        invoice = command.invoice
        if invoice is not None and invoice.status not in (InvoiceStatus.OPEN, InvoiceStatus.DRAFT):
            return f"The invoice is {invoice.get_status_display().lower()}."
        return ""
    subscription = command.subscription
    if subscription is not None and subscription.status in _ENDED:
        return "The subscription has ended."
    newest = Invoice.objects.filter(subscription=subscription).order_by("-issued_at", "-id").first()
    if (
        newest is not None
        and newest.status == InvoiceStatus.PAID
        and newest.paid_at
        and newest.paid_at >= command.created_at
    ):
        return "The customer has paid in the meantime."
    return ""


def _failed(command: ProcessorCommand, source: str, error: GatewayError, now: datetime) -> str:
    if error.kind == ErrorKind.RATE_LIMITED:
        breaker.processor_throttled(source=source, now=now, retry_after=error.retry_after)
    elif error.kind in (ErrorKind.UNAVAILABLE, ErrorKind.UNKNOWN_OUTCOME, ErrorKind.AUTH):
        breaker.processor_failed(source=source, now=now)
    # A wrong key is mended by an operator: that one is worth waiting for.
    final = error.permanent and error.kind != ErrorKind.AUTH
    if final or command.attempts >= MAX_TRIES:
        logger.error("order %s (%s) failed for good: %s", command.pk, command.kind, error.message)
        _finish(command, ProcessorCommand.Status.FAILED, "failed", error.message, now)
        return "failed"
    ProcessorCommand.objects.filter(pk=command.pk).update(error=error.message)
    return "retried"


def _finish(command: ProcessorCommand, status: str, outcome: str, note: str, now: datetime) -> None:
    subject = _subject(command)
    done_at = now if status == ProcessorCommand.Status.DONE else None
    with transaction.atomic(durable=True):
        moved = ProcessorCommand.objects.filter(pk=command.pk, status=ProcessorCommand.Status.PENDING).update(
            status=status, done_at=done_at, error=note
        )
        if not moved:
            return
        if command.adjustment is not None and outcome == "done":
            # Its event may be lost: the invoice is read, and falls by what was credited.
            invoice_look_again(source=subject.source, external_id=subject.external_id or "", now=now)
        elif command.adjustment is not None:
            # Nothing was given: the books say so, and their history that it was tried.
            ProcessorCommand.objects.filter(pk=command.pk).update(adjustment=None)
            command.adjustment.delete()
        customers_reassess([subject.customer_id], now)
        about = "subscription" if command.subscription_id else "invoice"
        words = {"done": "carried out", "withdrawn": "not carried out", "failed": "failed"}[outcome]
        log.record(
            log.Entry(
                customer_id=subject.customer_id,
                at=now,
                kind=f"command.{outcome}",
                summary=f"{command.get_kind_display()} ({subject}): {words}." + (f" {note}" if note else ""),
                subject=f"{about}:{subject.pk}",
                outcome=outcome,
                data={"command": command.pk, "kind": command.kind},
                key=f"command:{command.pk}:{outcome}",
            )
        )


def _subject(command: ProcessorCommand) -> Invoice | Subscription:
    subject = command.subscription or command.invoice
    if subject is None:
        raise SollecitoError(f"Order {command.pk} is about nothing.", code="bad_command")
    return subject
