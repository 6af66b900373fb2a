"""Charges, follows up and ends late fees and interest; each change is a line in the customer's log."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from django.db import connection, transaction
from django.utils.translation import gettext as _

from billing.fees.compute import Debt, FeeRefused, Paid, Quote, fixed_sum, interest, payments_in_order
from billing.fees.table import Regime, regime_for, regimes
from billing.matching import UNRESOLVED
from billing.models import Allocation, Fee, Invoice, InvoiceStatus
from billing.money import display
from customers.display import customer_zone, zone
from customers.errors import SollecitoError, check_transition
from customers.log import Entry, record_many
from customers.models import ActorKind, Customer, CustomerKind


@dataclass(frozen=True, slots=True)
class FeesResult:
    """Ids of the invoices charged, and why others were not (invoice id → words)."""

    charged: tuple[int, ...] = ()
    refused: dict[int, str] = field(default_factory=dict)


@transaction.atomic
def fees_charge(
    *,
    invoice_ids: Collection[int],
    kind: str,
    now: datetime,
    regime: str = "auto",
    on_payment: str = Fee.OnPayment.KEEP,
    actor_id: int | None = None,
) -> FeesResult:
    """Charges the fixed sum (`late_fee`) or the interest so far on late invoices at `now` (aware UTC).

    Once per invoice and kind: a second fixed sum changes nothing, interest is brought up to date in its row. `regime`
    is a code of the table or `auto` (by the customer's country). One that cannot be charged (a consumer, not late, no
    law or no rate known) is refused with words and stops nobody else's. Constant number of statements.
    """
    owners = Invoice.objects.filter(pk__in=invoice_ids).values("customer_id")
    list(Customer.objects.filter(pk__in=owners).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    rows = list(
        Invoice.objects.filter(pk__in=invoice_ids, status=InvoiceStatus.OPEN).select_related("customer__brand")
    )
    refused: dict[int, str] = {}
    wanted: list[Fee] = []
    payments = _payments([row.pk for row in rows])
    for row in rows:
        try:
            quote = _quote(row, kind, _regime(row, regime), payments.get(row.pk, ()), _today(row, now))
        except SollecitoError as error:
            refused[row.pk] = str(error)
            continue
        if quote.amount > 0:
            wanted.append(_fee(row, kind, quote, on_payment, actor_id, now))
    changed = _write(wanted)
    record_many(_charged(fee, now) for fee in changed)
    return FeesResult(tuple(fee.invoice_id for fee in changed), refused)


# Plain SQL: asked with every batch of customers, mostly in vain.
_PAID = """
    SELECT f.id FROM billing_fee f JOIN billing_invoice i ON i.id = f.invoice_id
     WHERE f.customer_id = ANY(%s) AND f.status = 'open' AND i.status = 'paid'
"""


def fees_follow_payment(*, customer_ids: Collection[int], now: datetime) -> int:
    """Settles what becomes of fees whose invoice has been paid: forgiven where that was the choice, else interest is
    counted to the day of the payment and stays owed. Returns how many changed; constant number of statements."""
    with connection.cursor() as cursor:
        cursor.execute(_PAID, [list(customer_ids)])
        ids = [pk for (pk,) in cursor.fetchall()]
    if not ids:
        return 0
    rows = list(Fee.objects.filter(pk__in=ids).select_related("invoice", "customer__brand", "payment"))
    rows = [fee for fee in rows if not _fixed(fee)]
    forgiven = [fee for fee in rows if fee.on_payment == Fee.OnPayment.FORGIVE]
    for fee in forgiven:
        fee.status, fee.closed_at = Fee.Status.WAIVED, now
    last = [fee for fee in rows if fee.on_payment == Fee.OnPayment.KEEP and fee.kind == Fee.Kind.INTEREST]
    payments = _payments([fee.invoice_id for fee in last])
    counted = []
    for fee in last:
        paid_on = _today(fee.invoice, fee.invoice.paid_at or now)
        if fee.accrued_until is None or fee.accrued_until >= paid_on:
            continue
        try:
            law = regimes()[fee.rule.partition(".")[0]]
            quote = _quote(fee.invoice, fee.kind, law, payments.get(fee.invoice_id, ()), paid_on)
        except (SollecitoError, KeyError):
            continue  # what was charged stands; what cannot be computed is not added
        fee.amount, fee.basis, fee.accrued_until = max(quote.amount, fee.amount), quote.basis, quote.until
        counted.append(fee)
    if forgiven:
        Fee.objects.bulk_update(forgiven, ["status", "closed_at"])
    if counted:
        Fee.objects.bulk_update(counted, ["amount", "basis", "accrued_until"])
    for changed in (forgiven, counted):
        if changed:
            Fee.history.bulk_history_create(changed, update=True)
    record_many([_entry(fee, now, "fee.waived", _("Forgiven with the payment: %(amount)s.")) for fee in forgiven])
    record_many(
        [_entry(fee, now, "fee.charged", _("Interest to the day of the payment: %(amount)s.")) for fee in counted]
    )
    return len(forgiven) + len(counted)


@transaction.atomic
def fee_close(*, fee_id: int, paid: bool, reason: str, actor_id: int, now: datetime) -> Fee:
    """Ends an owed fee: as paid, or waived by a person. Raises SollecitoError if there is none, IllegalTransition if
    it has ended, and while a charge of it is under way (`fee_in_flight`)."""
    # The customer's row first, as everywhere (billing.locks): no charge of the fee can begin meanwhile.
    owner = Fee.objects.filter(pk=fee_id).values("customer_id")
    list(Customer.objects.filter(pk__in=owner).select_for_update(no_key=True).values_list("pk"))
    fee = Fee.objects.select_for_update(of=("self",)).select_related("payment").filter(pk=fee_id).first()
    if fee is None:
        raise SollecitoError(_("There is no such fee."), code="fee_missing")
    if fee.status == Fee.Status.OPEN and _fixed(fee):
        raise SollecitoError(_("The customer is paying it just now."), code="fee_in_flight", permanent=False)
    target = Fee.Status.PAID if paid else Fee.Status.WAIVED
    check_transition(
        {str(k): frozenset(map(str, v)) for k, v in Fee.TRANSITIONS.items()},
        what="Fee",
        source=fee.status,
        target=target,
    )
    fee.status, fee.closed_at = target, now
    fee.save(update_fields=["status", "closed_at"])
    kind, words = ("fee.paid", _("Paid: %(amount)s.")) if paid else ("fee.waived", _("Waived: %(amount)s."))
    record_many([_entry(fee, now, kind, words, actor_id=actor_id, body=reason.strip())])
    return fee


def _regime(invoice: Invoice, code: str) -> Regime:
    found = regime_for(invoice.customer.country) if code == "auto" else regimes().get(code)
    if found is None:
        where = invoice.customer.country or _("no country")
        raise FeeRefused(_("No law is tabled for %(where)s.") % {"where": where}, code="fee_no_law")
    return found


def _quote(invoice: Invoice, kind: str, law: Regime, payments: Sequence[Paid], today: date) -> Quote:
    if invoice.due_at is None:
        raise FeeRefused(_("The invoice has no due date."), code="fee_not_late")
    # Without a dated payment of ours: paid when the invoice was, else, in the debtor's favour, before it was due.
    undated = max(invoice.amount_paid - sum(paid.amount for paid in payments), 0)
    if undated and invoice.paid_at is not None:
        payments, undated = [*payments, Paid(_today(invoice, invoice.paid_at), undated)], 0
    debt = Debt(
        amount=invoice.amount_due - invoice.amount_credited - undated,
        currency=invoice.currency,
        due_on=_today(invoice, invoice.due_at),
        payments=payments_in_order(payments),
        business=invoice.customer.kind == CustomerKind.BUSINESS,
    )
    return fixed_sum(debt, law, today) if kind == Fee.Kind.LATE_FEE else interest(debt, law, today)


def _today(invoice: Invoice, moment: datetime) -> date:
    return moment.astimezone(zone(customer_zone(invoice.customer))).date()


def _payments(invoice_ids: Collection[int]) -> dict[int, list[Paid]]:
    found: dict[int, list[Paid]] = {}
    rows = Allocation.objects.filter(invoice__in=list(invoice_ids)).select_related(
        "payment", "invoice__customer__brand"
    )
    for row in rows:
        if row.payment.received_at is not None:
            found.setdefault(row.invoice_id, []).append(Paid(_today(row.invoice, row.payment.received_at), row.amount))
    return found


def _fee(invoice: Invoice, kind: str, quote: Quote, on_payment: str, actor_id: int | None, now: datetime) -> Fee:
    return Fee(
        customer_id=invoice.customer_id,
        invoice=invoice,
        kind=kind,
        amount=quote.amount,
        currency=quote.currency,
        on_payment=on_payment,
        rule=quote.rule,
        basis=quote.basis,
        accrued_until=quote.until,
        actor_id=actor_id,
        at=now,
    )


def _write(wanted: Sequence[Fee]) -> list[Fee]:
    """New rows, and interest rows that have grown; the others are as they were."""
    if not wanted:
        return []
    there = {
        (fee.invoice_id, fee.kind): fee
        for fee in Fee.objects.filter(invoice__in=[fee.invoice_id for fee in wanted]).select_related("payment")
    }
    fresh = [fee for fee in wanted if (fee.invoice_id, fee.kind) not in there]
    grown = []
    for fee in wanted:
        old = there.get((fee.invoice_id, fee.kind))
        if old is None or _fixed(old) or fee.accrued_until is None or fee.amount <= old.amount:
            continue
        old.amount, old.basis, old.accrued_until = fee.amount, fee.basis, fee.accrued_until
        grown.append(old)
    Fee.objects.bulk_create(fresh)
    Fee.history.bulk_history_create(fresh)
    if grown:
        Fee.objects.bulk_update(grown, ["amount", "basis", "accrued_until"])
        Fee.history.bulk_history_create(grown, update=True)
    return [*fresh, *grown]


def _fixed(fee: Fee) -> bool:
    """Whether its amount may not change: it has ended, or a charge of that amount is under way."""
    return fee.status != Fee.Status.OPEN or (fee.payment is not None and fee.payment.status in UNRESOLVED)


def _charged(fee: Fee, now: datetime) -> Entry:
    words = _("Late fee: %(amount)s.") if fee.kind == Fee.Kind.LATE_FEE else _("Interest so far: %(amount)s.")
    return _entry(fee, now, "fee.charged", words, actor_id=fee.actor_id, body=fee.basis)


def _entry(fee: Fee, now: datetime, kind: str, words: str, *, actor_id: int | None = None, body: str = "") -> Entry:
    return Entry(
        customer_id=fee.customer_id,
        at=now,
        kind=kind,
        summary=words % {"amount": display(fee.amount, fee.currency)},
        body=body,
        actor_kind=ActorKind.USER if actor_id else ActorKind.SYSTEM,
        actor_id=actor_id,
        subject=f"invoice:{fee.invoice_id}",
        data={"fee": fee.pk, "kind": fee.kind, "amount": fee.amount, "currency": fee.currency},
    )
