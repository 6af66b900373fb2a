"""Owns what follows from a unit's facts for each invoice: places in time, first failure, and whether to try again.

Runs once at the end of a unit over everything it touched, from the rows as they then stand, so that the order in
which facts came leaves no trace.
"""

import logging
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from typing import Any

from django.db import connection
from django.db.models import Sum
from django.utils.translation import gettext as _

from billing.conflicts import conflict_seen, conflict_settle
from billing.ingest.facts.charges import write_charge, write_out_of_band
from billing.ingest.facts.invoices import write_invoice, write_invoice_payment
from billing.ingest.facts.unit import Unit, write
from billing.matching import UNRESOLVED
from billing.models import (
    Allocation,
    AttemptStatus,
    CollectionMethod,
    Invoice,
    InvoiceStatus,
    PaymentAttempt,
    ProcessorAccount,
    RetryMode,
    RetryState,
)
from billing.outcomes import recovered_by
from billing.settling import planned_cancel
from customers.rows import rows
from customers.services import customers_reassess
from customers.wake import wake

logger = logging.getLogger(__name__)

#: Written to Invoice.retry_reason for the planner: why this invoice waits for a plan.
REASON_DECLINED = "declined"
REASON_NEW_METHOD = "new_method"
# Plain SQL: asked with every customer's events.
_FAILED = """
    SELECT id FROM billing_invoice WHERE customer_id = ANY(%s) AND status = 'open' AND first_failed_at IS NOT NULL
"""
_DISPUTED = """
    SELECT invoice_id, min(opened_at) FROM billing_dispute
     WHERE invoice_id = ANY(%s) AND status = 'open' GROUP BY invoice_id
"""
_CREDENTIALS = """
    SELECT customer_id, attached_at, renewed_at FROM billing_paymentmethod
     WHERE customer_id = ANY(%s) AND detached_at IS NULL AND never_again_at IS NULL
"""
_SETTLED = """
    SELECT invoice_id, sum(amount)::bigint FROM billing_allocation WHERE invoice_id = ANY(%s) GROUP BY invoice_id
"""
_ACTIVE = {AttemptStatus.PLANNED, AttemptStatus.IN_FLIGHT, AttemptStatus.UNKNOWN}


def follow_up(unit: Unit) -> None:
    """Brings every invoice the unit touched to rest and notes whose case must be looked at again."""
    _touch_failed(unit)
    if not unit.touched:
        return
    invoices, attempts = _standing(unit)
    if _complete(unit, invoices, attempts):
        invoices, attempts = _standing(unit)
    with connection.cursor() as cursor:
        cursor.execute(_DISPUTED, [[invoice.pk for invoice in invoices]])
        disputed = dict(cursor.fetchall())
    credentials = _credentials(invoice.customer_id for invoice in invoices if invoice.status == InvoiceStatus.OPEN)
    for invoice in invoices:
        known = attempts[invoice.pk]
        values = _derived(invoice, known) | {"disputed_at": disputed.get(invoice.pk)}
        if invoice.status == InvoiceStatus.PAID and values["first_failed_at"] and not invoice.recovered_by:
            # The invoice was told paid before the charge that paid it was recorded.
            values["recovered_by"] = recovered_by(
                next((a for a in known if a.status == AttemptStatus.SUCCEEDED), None)
            )
        names = write(invoice, values)
        _retries(unit, invoice, known, credentials.get(invoice.customer_id))
        concerns_case = invoice.first_failed_at or invoice.collection_method == CollectionMethod.MANUAL
        if concerns_case or "disputed_at" in names:
            unit.reassess.add(invoice.customer_id)
    if any(invoice.processor_next_attempt_at is None for invoice in invoices):
        conflict_settle(unit.account)


def _touch_failed(unit: Unit) -> None:
    """A new card, or another default, is news for whatever its customer has failed to pay."""
    customers = unit.new_credentials | unit.new_defaults.keys()
    if customers:
        with connection.cursor() as cursor:
            cursor.execute(_FAILED, [list(customers)])
            unit.touched.update(pk for (pk,) in cursor.fetchall())


def _standing(unit: Unit) -> tuple[list[Invoice], dict[int, list[PaymentAttempt]]]:
    """The invoices touched, locked, and the attempts at each, as the rows stand now."""
    touched = [list(unit.touched)]
    invoices = rows(Invoice, "id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", touched)
    attempts: dict[int, list[PaymentAttempt]] = defaultdict(list)
    for attempt in rows(PaymentAttempt, "invoice_id = ANY(%s) ORDER BY number", touched):
        attempts[attempt.invoice_id].append(attempt)
    return invoices, attempts


def _derived(invoice: Invoice, attempts: list[PaymentAttempt]) -> dict[str, Any]:
    """First failure and last decline, from all attempts there are."""
    declined = [a for a in attempts if a.status == AttemptStatus.DECLINED and a.at is not None]
    moments = [a.at for a in declined if a.at is not None]
    if invoice.first_failed_at is not None:
        moments.append(invoice.first_failed_at)
    elif not moments and _failed_untold(invoice) and not _under_way(attempts) and invoice.issued_at is not None:
        # Tried and not paid, without a charge to show for it: there was no method to charge.
        moments.append(invoice.issued_at)
    last = declined[-1] if declined else None
    return {
        "first_failed_at": min(moments, default=None),
        "last_decline_code": last.decline_code if last else "",
        "last_decline_category": last.decline_category if last else "",
    }


def _under_way(attempts: Iterable[PaymentAttempt]) -> bool:
    return any(attempt.status in UNRESOLVED for attempt in attempts)


def _failed_untold(invoice: Invoice) -> bool:
    return (
        invoice.status == InvoiceStatus.OPEN
        and invoice.processor_attempts > 0
        and invoice.collection_method == CollectionMethod.AUTOMATIC
    )


def _credentials(customer_ids: Iterable[int]) -> dict[int, Any]:
    """Customer → when the newest usable method, or new details of one, came (aware UTC)."""
    newest: dict[int, Any] = {}
    wanted = list(set(customer_ids))
    if not wanted:
        return newest
    with connection.cursor() as cursor:
        cursor.execute(_CREDENTIALS, [wanted])
        methods = cursor.fetchall()
    for customer_id, *moments in methods:
        for at in moments:
            if at is not None and (customer_id not in newest or at > newest[customer_id]):
                newest[customer_id] = at
    return newest


def _retries(unit: Unit, invoice: Invoice, attempts: list[PaymentAttempt], credential_at: Any) -> None:
    """Tells the retry loop that there is something to plan, or that there is nothing any more."""
    declined = [a for a in attempts if a.status == AttemptStatus.DECLINED and a.at is not None]
    active = {a.status for a in attempts} & _ACTIVE
    if _is_over(invoice):
        _stop(unit, invoice, active, _over_reason(invoice))
        return
    conflict = invoice.processor_next_attempt_at is not None and invoice.processor_attempts > 0
    if unit.account.retry_mode == RetryMode.OWN and conflict:
        _schedule_conflict(unit, invoice, active)
        return
    if not declined:
        return
    if not _ours_to_retry(unit.account, invoice):
        # Not ours yet (take over after N) or not any more: whoever recorded the charge could not tell.
        if invoice.retry_state == RetryState.NEEDS_PLAN:
            write(invoice, {"retry_state": RetryState.NONE, "retry_reason": ""})
        return
    last_at = declined[-1].at
    wanted = REASON_NEW_METHOD if credential_at and last_at and credential_at > last_at else REASON_DECLINED
    if active - {AttemptStatus.PLANNED}:
        return
    came = wanted == REASON_NEW_METHOD and invoice.customer_id in unit.new_credentials
    default_at = unit.new_defaults.get(invoice.customer_id)
    try_now = came or bool(default_at and last_at and default_at > last_at)
    if AttemptStatus.PLANNED in active:
        if not try_now:
            return
        reason = _("A new payment method came; it is tried at once.") if came else _("The default method was changed.")
        planned_cancel(invoice_id=invoice.pk, reason=reason, now=unit.now)
    elif invoice.retry_state == RetryState.STOPPED and invoice.pk not in unit.news and not try_now:
        # Stopped for a reason the planner knows; only a new decline or a new card opens the question again.
        return
    if write(invoice, {"retry_state": RetryState.NEEDS_PLAN, "retry_reason": wanted}):
        wake("billing.tasks.plan_retries")


def _is_over(invoice: Invoice) -> bool:
    return invoice.status != InvoiceStatus.OPEN or invoice.disputed_at is not None


def _over_reason(invoice: Invoice) -> str:
    if invoice.disputed_at is not None:
        return _("The invoice is disputed.")
    return _("The invoice is {status}.").format(status=invoice.get_status_display().lower())


def _ours_to_retry(account: ProcessorAccount, invoice: Invoice) -> bool:
    if invoice.collection_method != CollectionMethod.AUTOMATIC or invoice.in_plan or invoice.balance <= 0:
        return False
    if account.retry_mode == RetryMode.TAKE_OVER:
        over = invoice.processor_next_attempt_at is None
        return over and invoice.processor_attempts >= account.take_over_after
    return account.retry_mode == RetryMode.OWN


def _schedule_conflict(unit: Unit, invoice: Invoice, active: Container[str]) -> None:
    """The processor retries although we are to: we say so and stay out of its way."""
    logger.warning("account %s: invoice %s is left to the processor's own retries", unit.source, invoice.external_id)
    conflict_seen([unit.source], now=unit.now)
    _stop(unit, invoice, active, _("The processor's own retry schedule is on."))


def _stop(unit: Unit, invoice: Invoice, active: Container[str], reason: str) -> None:
    if AttemptStatus.PLANNED in active:
        planned_cancel(invoice_id=invoice.pk, reason=reason, now=unit.now)
    write(invoice, {"retry_state": RetryState.NONE, "retry_reason": ""})


def _complete(unit: Unit, invoices: Iterable[Invoice], attempts: Mapping[int, list[PaymentAttempt]]) -> bool:
    """Reads what the events did not tell: the charges of an invoice that failed or was paid without any known.

    Returns whether anything was written.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SETTLED, [[invoice.pk for invoice in invoices]])
        settled = dict(cursor.fetchall())
    read = False
    for invoice in invoices:
        external_id = invoice.external_id or ""
        sum_settled = settled.get(invoice.pk, 0)
        if invoice.status == InvoiceStatus.OPEN and invoice.first_failed_at and sum_settled >= invoice.balance > 0:
            # Money came in for an invoice we are after: do not wait for the event that says it is paid.
            fresh = unit.read("invoice", external_id, optional=True)
            if fresh is not None:
                read = True
                write_invoice(unit, fresh)
        elif invoice.status == InvoiceStatus.PAID and sum_settled < invoice.amount_paid:
            read = True
            _read_charges(unit, invoice)
            rest = invoice.amount_paid - _settled(invoice)
            if rest > 0 and unit.read("charges_of", external_id, optional=True) is not None:
                write_out_of_band(unit, invoice, rest)
        elif _failed_untold(invoice) and not attempts.get(invoice.pk):
            read = True
            _read_charges(unit, invoice)
    return read


def _read_charges(unit: Unit, invoice: Invoice) -> None:
    """Every charge of an invoice, and which payment intents pay it, as the processor tells them."""
    answer = unit.read("charges_of", invoice.external_id or "", optional=True)
    for payment in (answer or {}).get("payments", ()):
        write_invoice_payment(unit, payment)
    for charge in (answer or {}).get("charges", ()):
        write_charge(unit, charge)


def _settled(invoice: Invoice) -> int:
    return Allocation.objects.filter(invoice=invoice).aggregate(total=Sum("amount"))["total"] or 0


def announce(unit: Unit) -> None:
    """Sets reassess_at of everybody concerned, in the caller's transaction."""
    customers_reassess(unit.reassess, unit.now)
