"""Owns what customers are told and asked of fees: those that stand open, in one reading for mails and the portal."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from django.db.models import QuerySet

from billing.fees.table import regime_for, regimes
from billing.matching import UNRESOLVED
from billing.models import Fee, InvoiceStatus
from customers.models import CustomerKind


@dataclass(frozen=True, slots=True)
class Owed:
    """One open fee: `amount` in minor units of `currency`; `forgiven` ones lapse once their invoice is paid."""

    fee_id: int
    invoice_id: int
    kind: str
    amount: int
    currency: str
    forgiven: bool
    #: The law it is asked under, as the customer is told.
    law: str
    #: Interest: the last day counted.
    until: date | None
    invoice_number: str
    #: A dispute about the invoice, or a plan it is in, holds its fees too.
    held: bool
    invoice_paid: bool
    #: A charge of it is under way or unresolved.
    in_flight: bool

    @property
    def payable(self) -> bool:
        """Whether its payer may pay it now: the invoice comes first, as interest runs until it is paid."""
        return self.invoice_paid and not (self.held or self.forgiven or self.in_flight)


@dataclass(frozen=True, slots=True)
class Sum:
    """Open fees of one currency in minor units; `forgiven` is the part that lapses once its invoice is paid."""

    currency: str
    interest: int
    fixed_sum: int
    forgiven: int
    law: str

    @property
    def amount(self) -> int:
        """Interest and fixed sums together, those that lapse included."""
        return self.interest + self.fixed_sum

    @property
    def kept(self) -> int:
        """What is to be paid beside the invoices."""
        return self.amount - self.forgiven


def fees_owed(invoice_ids: Collection[int]) -> dict[int, tuple[Owed, ...]]:
    """Open fees by invoice, in one query."""
    return _read(Fee.objects.filter(invoice_id__in=list(invoice_ids)))


def fees_owed_by(*, customer_id: int, brand_id: int) -> dict[int, tuple[Owed, ...]]:
    """All a customer owes a brand in fees, by invoice, in one query; those that stayed when it was paid included."""
    return _read(Fee.objects.filter(customer_id=customer_id, invoice__brand_id=brand_id))


def _read(fees: QuerySet[Fee]) -> dict[int, tuple[Owed, ...]]:
    found: dict[int, tuple[Owed, ...]] = {}
    rows = (
        # Who need not pay an invoice any more (void, written off) need not pay for its being late.
        fees.filter(status=Fee.Status.OPEN, invoice__status__in=[InvoiceStatus.OPEN, InvoiceStatus.PAID])
        .select_related("invoice", "customer", "payment")
        .order_by("invoice_id", "kind", "id")
    )
    for row in rows:
        # What is forgiven with the payment is gone once that has come, even before the engine has written it down.
        forgiven = row.on_payment == Fee.OnPayment.FORGIVE
        if forgiven and row.invoice.status == InvoiceStatus.PAID:
            continue
        owed = Owed(
            fee_id=row.pk,
            invoice_id=row.invoice_id,
            kind=row.kind,
            amount=row.amount,
            currency=row.currency,
            forgiven=forgiven,
            law=_law(row),
            until=row.accrued_until,
            invoice_number=row.invoice.number,
            invoice_paid=row.invoice.status == InvoiceStatus.PAID,
            in_flight=row.payment is not None and row.payment.status in UNRESOLVED,
            held=row.invoice.disputed_at is not None or row.invoice.in_plan,
        )
        found[row.invoice_id] = (*found.get(row.invoice_id, ()), owed)
    return found


def fees_sum(fees: Iterable[Owed]) -> list[Sum]:
    """One sum per currency, in order of currency code."""
    by_currency: dict[str, list[Owed]] = {}
    for fee in fees:
        by_currency.setdefault(fee.currency, []).append(fee)
    return [
        Sum(
            currency=currency,
            interest=sum(fee.amount for fee in rows if fee.kind == Fee.Kind.INTEREST),
            fixed_sum=sum(fee.amount for fee in rows if fee.kind == Fee.Kind.LATE_FEE),
            forgiven=sum(fee.amount for fee in rows if fee.forgiven),
            law=", ".join(dict.fromkeys(fee.law for fee in rows if fee.law)),
        )
        for currency, rows in sorted(by_currency.items())
    ]


def late_payment_law(*, country: str, kind: str) -> str:
    """The law on late payment between businesses in a customer's country (ISO 3166, two letters), as the customer is
    told of it; empty unless `kind` is CustomerKind.BUSINESS, and where no law is tabled."""
    regime = regime_for(country) if kind == CustomerKind.BUSINESS else None
    return regime.law_in(country) if regime else ""


def _law(fee: Fee) -> str:
    regime = regimes().get(fee.rule.partition(".")[0])
    if regime is None:
        return ""  # of a table that is gone
    # A regime chosen for another country than its own goes by its own name.
    return regime.law_in(fee.customer.country) if fee.customer.country in regime.countries else regime.name
