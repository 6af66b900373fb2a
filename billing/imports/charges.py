"""Owns what charges of a file change: attempts and payments of invoices that are known, else payments of nobody's."""

from collections.abc import Mapping, Sequence

from django.db import connection, transaction
from django.utils.translation import gettext as _

from billing.imports.charge_batches import charges_apply, plain_invoices
from billing.imports.items import Charge, RowError
from billing.imports.parties import Context, customers_known, customers_lock, customers_made, told_elsewhere
from billing.imports.receivables import Outcome, Planned
from billing.imports.stand_ins import stand_ins_yield
from billing.matching import ChargeFact
from billing.models import Invoice, Payment, PaymentAttempt, ProcessorAccount
from billing.outcomes import charge_apply
from customers.errors import SollecitoError
from customers.models import Customer

_REFUND = """
    UPDATE billing_payment p SET refunded = least(p.amount, greatest(p.refunded, n.refunded))
      FROM unnest(%s::text[], %s::bigint[]) AS n(number, refunded)
     WHERE p.source = %s AND p.external_id = n.number
"""


class Charges:
    """Plans and writes charges of one file, in a constant number of queries per batch. What is under way here is told
    to `billing.outcomes` one by one, as a webhook would tell it."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def plan(self, items: Sequence[Charge], locked: Mapping[str, Invoice] | None = None) -> list[Planned]:
        """What the rows would do as things stand; writes nothing. `locked`: their invoices, where the caller has
        them."""
        numbers = [item.number for item in items]
        elsewhere = dict(told_elsewhere(self.context, Payment, items))
        attempts = PaymentAttempt.objects.filter(external_id__in=numbers).select_related("invoice")
        told = {attempt.external_id: attempt for attempt in attempts}
        payments = {
            row.external_id: row for row in Payment.objects.filter(source=self.context.source, external_id__in=numbers)
        }
        invoices = self._invoices(items) if locked is None else locked
        planned = []
        for item in items:
            attempt, payment = told.get(item.number), payments.get(item.number)
            if attempt is not None and attempt.invoice.source != self.context.source:
                elsewhere.setdefault(item.number, _elsewhere(attempt.invoice.source))
            if item.number in elsewhere:
                planned.append(self._refused(item, "number", item.number, *elsewhere[item.number]))
            elif item.invoice and item.invoice not in invoices:
                # Kept as nobody's, it would be counted beside the payment the invoice's own file tells of.
                planned.append(
                    self._refused(
                        item,
                        "invoice",
                        item.invoice,
                        _("is an invoice we do not know"),
                        _("Import the invoices first, then the payments."),
                    )
                )
            elif not item.succeeded and not item.invoice:
                planned.append(
                    self._refused(
                        item,
                        "invoice",
                        "",
                        _("is missing, and a failed charge of no invoice is no debt"),
                        _("Nothing to mend: there is nothing to recover."),
                    )
                )
            elif payment is not None and item.refunded > payment.refunded:
                planned.append(
                    Planned(item, Outcome.CHANGED, [["refunded", str(payment.refunded), str(item.refunded)]])
                )
            elif attempt is not None or payment is not None:
                planned.append(Planned(item, Outcome.UNCHANGED))
            elif item.invoice in invoices and invoices[item.invoice].currency != item.currency:
                planned.append(
                    self._refused(
                        item,
                        "currency",
                        item.currency,
                        _("is not the currency of its invoice"),
                        _("Correct the invoice or the currency."),
                    )
                )
            else:
                planned.append(Planned(item, Outcome.NEW))
        return planned

    def write(self, items: Sequence[Charge]) -> tuple[list[Planned], int]:
        """Writes a batch in the caller's transaction; what became of each row, and how many customers are new."""
        # Customers are locked before their invoices, all of them in one order: see billing.locks.
        owners = {invoice.customer_id for invoice in self._invoices(items).values()}
        named = set(customers_known(self.context, items).values())
        customers_lock(owners | named)
        invoices = self._invoices(items, lock=True)
        planned = self.plan(items, invoices)
        wanted = [one.item for one in planned if one.outcome in (Outcome.NEW, Outcome.CHANGED)]
        customers, made = customers_made(self.context, wanted)
        new = [one for one in planned if one.outcome == Outcome.NEW]
        self._nobodys([one for one in new if invoices.get(_charge(one).invoice) is None], customers)
        told = [one for one in new if invoices.get(_charge(one).invoice) is not None]
        stand_ins_yield([(invoices[_charge(one).invoice], _fact(_charge(one))) for one in told])
        # Whose invoice went to another customer meanwhile is not locked: it goes the slow way, as odd ones do.
        ours = [row for row in invoices.values() if row.customer_id in owners]
        attempts = {} if self._retried_here() else plain_invoices(ours)
        plain = []
        for one in told:
            item = _charge(one)
            if invoices[item.invoice].pk in attempts:
                plain.append((invoices[item.invoice], _fact(item)))
            else:
                self._odd(one, invoices[item.invoice])
        charges_apply(plain, attempts, now=self.context.now)
        self._refunds([_charge(one) for one in planned if one.outcome in (Outcome.NEW, Outcome.CHANGED)])
        return planned, made

    def _invoices(self, items: Sequence[Charge], *, lock: bool = False) -> dict[str, Invoice]:
        rows = Invoice.objects.filter(
            source=self.context.source, external_id__in={item.invoice for item in items if item.invoice}
        ).order_by("pk")
        if lock:
            rows = rows.select_for_update(no_key=True)
        return {row.external_id or "": row for row in rows}

    def _retried_here(self) -> bool:
        return ProcessorAccount.objects.filter(code=self.context.source).exists()

    def _nobodys(self, told: Sequence[Planned], customers: Mapping[str, Customer]) -> None:
        """Payments of no invoice: kept for whoever files them."""
        Payment.objects.bulk_create(
            (
                Payment(
                    source=self.context.source,
                    external_id=item.number,
                    customer=customers[item.customer],
                    amount=item.amount,
                    currency=item.currency,
                    received_at=item.at,
                    method=item.method[:30],
                )
                for item in map(_charge, told)
            ),
            ignore_conflicts=True,
        )

    def _odd(self, one: Planned, invoice: Invoice) -> None:
        item = _charge(one)
        try:
            with transaction.atomic():
                charge_apply(invoice_id=invoice.pk, fact=_fact(item), now=self.context.now)
        except SollecitoError as error:
            one.outcome, one.error = Outcome.REJECTED, RowError(item.row, "", item.number, error.message)

    def _refunds(self, items: Sequence[Charge]) -> None:
        refunded = [item for item in items if item.refunded]
        if refunded:
            with connection.cursor() as cursor:
                cursor.execute(
                    _REFUND, [[i.number for i in refunded], [i.refunded for i in refunded], self.context.source]
                )

    def _refused(self, item: Charge, name: str, value: str, reason: str, remedy: str) -> Planned:
        error = RowError(item.row, self.context.preset.columns.get(name, name), value, reason, remedy)
        return Planned(item, Outcome.REJECTED, error=error)


def _charge(one: Planned) -> Charge:
    assert isinstance(one.item, Charge)
    return one.item


def _fact(item: Charge) -> ChargeFact:
    return ChargeFact(
        charge_id=item.number,
        succeeded=item.succeeded,
        amount=item.amount,
        currency=item.currency,
        at=item.at,
        decline_code="" if item.succeeded else item.reason[:60],
        message="" if item.succeeded else item.message[:500],
        method_type=item.method[:30],
    )


def _elsewhere(source: str) -> tuple[str, str]:
    return (
        _("is known from the connected account {name}").format(name=source),
        _("Nothing to mend: the connection keeps it up to date by itself."),
    )
