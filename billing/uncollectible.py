"""Owns giving up invoices: uncollectible at the processor, or here where there is none; written off in our books."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from billing.commands import Order, commands_enqueue
from billing.gateways import is_chargeable
from billing.models import Adjustment, Invoice, InvoiceStatus, ProcessorCommand, RetryState
from billing.money import display
from customers.log import Entry, record_many
from customers.models import ActorKind, Customer
from customers.services import customers_reassess


@transaction.atomic
def invoices_give_up(
    *, keys: Mapping[int, str], write_off: bool, reason: str, now: datetime, actor_id: int | None = None
) -> int:
    """Marks open invoices uncollectible; with `write_off` notes what is given up (minor units) as an adjustment.

    `keys` are the invoices' ids with what makes the order to their processor one; an invoice without processor is
    marked at once. A second call changes nothing. Returns how many invoices it concerned, in a constant number of
    statements. Whoever wants to pay later still may.
    """
    ids = sorted(keys)
    owners = Invoice.objects.filter(pk__in=ids).values("customer_id")
    list(Customer.objects.filter(pk__in=owners).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    rows = list(
        Invoice.objects.filter(pk__in=ids, status=InvoiceStatus.OPEN).order_by("pk").select_for_update(no_key=True)
    )
    entries: list[Entry] = []
    if write_off:
        noted = Adjustment.objects.filter(invoice__in=rows, kind=Adjustment.Kind.WRITE_OFF)
        done = set(noted.values_list("invoice_id", flat=True))
        fresh = [invoice for invoice in rows if invoice.pk not in done and invoice.balance > 0]
        adjustments = Adjustment.objects.bulk_create(
            Adjustment(
                invoice=invoice,
                kind=Adjustment.Kind.WRITE_OFF,
                amount=invoice.balance,
                reason=reason[:255],
                actor_id=actor_id,
                at=now,
            )
            for invoice in fresh
        )
        Adjustment.history.bulk_history_create(adjustments)
        words = _("%(amount)s of %(invoice)s written off.")
        entries += [_entry(row, now, words, reason, actor_id, kind="invoice.written_off") for row in fresh]
    kind = ProcessorCommand.Kind.MARK_UNCOLLECTIBLE
    ordered = [invoice for invoice in rows if is_chargeable(invoice.source)]
    commands_enqueue(
        orders=[Order(kind, f"{keys[row.pk]}:{kind}:{row.pk}", invoice_id=row.pk) for row in ordered], now=now
    )
    own = [invoice for invoice in rows if not is_chargeable(invoice.source)]
    Invoice.objects.filter(pk__in=[invoice.pk for invoice in own]).update(
        status=InvoiceStatus.UNCOLLECTIBLE, closed_at=now, retry_state=RetryState.NONE, retry_reason=""
    )
    words = _("%(invoice)s marked uncollectible: %(amount)s.")
    entries += [_entry(row, now, words, reason, actor_id, kind="invoice.uncollectible") for row in own]
    record_many(entries)
    customers_reassess({invoice.customer_id for invoice in own}, now)
    return len(rows)


def _entry(invoice: Invoice, now: datetime, words: str, reason: str, actor_id: int | None, *, kind: str) -> Entry:
    return Entry(
        customer_id=invoice.customer_id,
        at=now,
        kind=kind,
        summary=words % {"amount": display(invoice.balance, invoice.currency), "invoice": invoice},
        body=reason,
        actor_kind=ActorKind.USER if actor_id else ActorKind.SYSTEM,
        actor_id=actor_id,
        subject=f"invoice:{invoice.pk}",
        key=f"invoice:{invoice.pk}:{kind.partition('.')[2]}",
    )
