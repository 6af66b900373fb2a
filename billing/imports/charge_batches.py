"""Owns writing charges of plain invoices a thousand at a time: what `charge_apply` would write, in a fixed number of
statements.

Plain is an invoice nothing is under way on: no charge planned, in flight or unknown, no payment plan, no account that
retries it. Whatever else there is goes the way of every other charge, one by one.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from billing.charge_log import decline_entry, success_entry
from billing.matching import ChargeFact, attempt_of, attempts_misplaced
from billing.models import Allocation, AttemptStatus, Invoice, Payment, PaymentAttempt, RetryState
from billing.outcomes import attempt_fill
from billing.retries.unknown import unknown_codes_count_many
from billing.settling import invoice_close, share_of
from billing.signals import announce_facts_changed
from customers.log import Entry, record_many
from customers.rows import rows
from customers.services import customers_reassess

_OPEN_ENDED = {AttemptStatus.PLANNED, AttemptStatus.IN_FLIGHT, AttemptStatus.UNKNOWN}
_INVOICE = {
    "status": "text",
    "amount_paid": "bigint",
    "paid_at": "timestamptz",
    "closed_at": "timestamptz",
    "first_failed_at": "timestamptz",
    "last_decline_code": "text",
    "last_decline_category": "text",
}


@dataclass(slots=True)
class _Account:
    """One invoice with what is on it, as the batch goes on."""

    invoice: Invoice
    attempts: list[PaymentAttempt] = field(default_factory=list)
    allocated: int = 0
    declined: bool = False


@dataclass(slots=True)
class _Batch:
    """What a batch comes to before anything of it is written."""

    attempts: list[tuple[Invoice, PaymentAttempt, ChargeFact]] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    allocations: list[Allocation] = field(default_factory=list)


def plain_invoices(invoices: Collection[Invoice]) -> dict[int, list[PaymentAttempt]]:
    """The attempts, locked, of those of these locked invoices that are plain, by the invoice's id."""
    ids = [one.pk for one in invoices if not one.in_plan and one.retry_state == RetryState.NONE]
    found: dict[int, list[PaymentAttempt]] = {pk: [] for pk in ids}
    for attempt in rows(PaymentAttempt, "invoice_id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [ids]):
        found[attempt.invoice_id].append(attempt)
    return {pk: made for pk, made in found.items() if not any(one.status in _OPEN_ENDED for one in made)}


def charges_apply(
    charges: Sequence[tuple[Invoice, ChargeFact]], attempts: dict[int, list[PaymentAttempt]], *, now: datetime
) -> None:
    """Writes charges that are known of nowhere yet, in the order they are given, in the caller's transaction, which
    holds the locks of their customers and plain invoices. `now` is aware UTC."""
    if not charges:
        return
    accounts = {invoice.pk: _Account(invoice, list(attempts[invoice.pk])) for invoice, _fact in charges}
    for pk, amount in allocated_to(list(accounts)).items():
        accounts[pk].allocated = amount
    batch = _Batch()
    for invoice, fact in charges:
        _charge(batch, accounts[invoice.pk], fact, now)
    known = {one.pk for each in attempts.values() for one in each}
    moved = [one for account in accounts.values() for one in attempts_misplaced(account.attempts) if one.pk in known]
    for account in accounts.values():
        _last_decline(account)
    PaymentAttempt.objects.bulk_create(attempt for _invoice, attempt, _fact in batch.attempts)
    _renumber(moved)
    Payment.objects.bulk_create(batch.payments)
    Allocation.objects.bulk_create(batch.allocations)
    _invoices_update([account.invoice for account in accounts.values()])
    unknown_codes_count_many(
        (fact.verdict.unknown_codes, attempt.pk, attempt.at or now)
        for _invoice, attempt, fact in batch.attempts
        if not fact.succeeded
    )
    record_many(_entries(batch, now))
    concerned = {account.invoice.customer_id for account in accounts.values()}
    customers_reassess(concerned, now)
    announce_facts_changed(concerned)


def _charge(batch: _Batch, account: _Account, fact: ChargeFact, now: datetime) -> None:
    invoice = account.invoice
    attempt = attempt_of(invoice, account.attempts, fact, now, None)
    attempt_fill(attempt, fact, AttemptStatus.SUCCEEDED if fact.succeeded else AttemptStatus.DECLINED, now)
    account.attempts.append(attempt)
    batch.attempts.append((invoice, attempt, fact))
    at = attempt.at or now
    if not fact.succeeded:
        invoice.first_failed_at = min(invoice.first_failed_at or at, at)
        account.declined = True
        return
    payment = Payment(
        source=invoice.source,
        external_id=fact.charge_id,
        customer_id=invoice.customer_id,
        amount=fact.amount,
        currency=invoice.currency,
        received_at=at,
        method=fact.method_type,
    )
    batch.payments.append(payment)
    amount = share_of(payment=payment, invoice=invoice, allocated=account.allocated)
    if amount:
        payment.allocated = amount
        account.allocated += amount
        invoice.amount_paid = max(invoice.amount_paid, account.allocated)
        batch.allocations.append(Allocation(payment=payment, invoice=invoice, amount=amount))
    invoice_close(invoice, at=at)


def _last_decline(account: _Account) -> None:
    declined = [one for one in account.attempts if one.status == AttemptStatus.DECLINED]
    if account.declined and declined:
        newest = max(declined, key=lambda one: (one.at, one.number))
        account.invoice.last_decline_code = newest.decline_code
        account.invoice.last_decline_category = newest.decline_category


def _entries(batch: _Batch, now: datetime) -> Iterable[Entry]:
    for invoice, attempt, fact in batch.attempts:
        entry = success_entry if fact.succeeded else decline_entry
        yield entry(invoice, attempt, fact, attempt.at or now)


def allocated_to(invoice_ids: list[int]) -> dict[int, int]:
    """What is allocated to invoices, in minor units, of those that have any."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT invoice_id, sum(amount)::bigint FROM billing_allocation WHERE invoice_id = ANY(%s) "
            "GROUP BY invoice_id",
            [invoice_ids],
        )
        return dict(cursor.fetchall())


def _renumber(attempts: Sequence[PaymentAttempt]) -> None:
    if attempts:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE billing_paymentattempt a SET number = n.number "
                "FROM unnest(%s::bigint[], %s::int[]) AS n(id, number) WHERE a.id = n.id",
                [[one.pk for one in attempts], [one.number for one in attempts]],
            )


def _invoices_update(invoices: Sequence[Invoice]) -> None:
    sets = ", ".join(f"{name} = n.{name}" for name in _INVOICE)
    arrays = ", ".join(f"%s::{kind}[]" for kind in _INVOICE.values())
    values: list[list[Any]] = [[getattr(one, name) for one in invoices] for name in _INVOICE]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE billing_invoice i SET {sets}, updated_at = now() "  # noqa: S608 (names are ours)
            f"FROM unnest(%s::bigint[], {arrays}) AS n(id, {', '.join(_INVOICE)}) WHERE i.id = n.id",
            [[one.pk for one in invoices], *values],
        )
