"""Owns what charges of a file change: attempts and payments of invoices that are known, else payments of nobody's."""

from collections.abc import Sequence

from django.db.models import F
from django.db.models.functions import Greatest, Least
from django.utils.translation import gettext as _

from billing.imports.items import Charge, RowError
from billing.imports.parties import Context, customers_made, told_elsewhere
from billing.imports.receivables import Outcome, Planned
from billing.matching import ChargeFact
from billing.models import Invoice, Payment, PaymentAttempt
from billing.outcomes import charge_apply
from customers.errors import SollecitoError


class Charges:
    """Plans and writes charges of one file. Each is told to `billing.outcomes`, as a webhook would tell it."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def plan(self, items: Sequence[Charge]) -> list[Planned]:
        """What the rows would do as things stand; writes nothing."""
        numbers = [item.number for item in items]
        elsewhere = dict(told_elsewhere(self.context, Payment, items))
        attempts = PaymentAttempt.objects.filter(external_id__in=numbers).select_related("invoice")
        told = {attempt.external_id: attempt for attempt in attempts}
        payments = {
            row.external_id: row for row in Payment.objects.filter(source=self.context.source, external_id__in=numbers)
        }
        invoices = self._invoices(items)
        planned = []
        for item in items:
            attempt, payment = told.get(item.number), payments.get(item.number)
            if attempt is not None and attempt.invoice.source != self.context.source:
                elsewhere.setdefault(item.number, _elsewhere(attempt.invoice.source))
            if item.number in elsewhere:
                planned.append(self._refused(item, "number", item.number, *elsewhere[item.number]))
            elif item.invoice and item.invoice not in invoices and not item.succeeded:
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
        planned = self.plan(items)
        wanted = [one.item for one in planned if one.outcome in (Outcome.NEW, Outcome.CHANGED)]
        customers, made = customers_made(self.context, wanted)
        invoices = self._invoices(items)
        for one in planned:
            item = one.item
            assert isinstance(item, Charge)
            if one.outcome == Outcome.NEW:
                try:
                    self._charge(item, invoices.get(item.invoice), customers[item.customer].pk)
                except SollecitoError as error:
                    one.outcome, one.error = Outcome.REJECTED, RowError(item.row, "", item.number, error.message)
                    continue
            if one.outcome in (Outcome.NEW, Outcome.CHANGED) and item.refunded:
                Payment.objects.filter(source=self.context.source, external_id=item.number).update(
                    refunded=Least(F("amount"), Greatest(F("refunded"), item.refunded))
                )
        return planned, made

    def _invoices(self, items: Sequence[Charge]) -> dict[str, Invoice]:
        rows = Invoice.objects.filter(
            source=self.context.source, external_id__in={item.invoice for item in items if item.invoice}
        )
        return {row.external_id or "": row for row in rows}

    def _charge(self, item: Charge, invoice: Invoice | None, customer_id: int) -> None:
        if invoice is None:
            Payment.objects.get_or_create(
                source=self.context.source,
                external_id=item.number,
                defaults={
                    "customer_id": customer_id,
                    "amount": item.amount,
                    "currency": item.currency,
                    "received_at": item.at,
                    "method": item.method[:30],
                },
            )
            return
        fact = ChargeFact(
            charge_id=item.number,
            succeeded=item.succeeded,
            amount=item.amount,
            currency=item.currency,
            at=item.at,
            decline_code="" if item.succeeded else item.reason[:60],
            message="" if item.succeeded else item.message[:500],
            method_type=item.method[:30],
        )
        charge_apply(invoice_id=invoice.pk, fact=fact, now=self.context.now)

    def _refused(self, item: Charge, name: str, value: str, reason: str, remedy: str) -> Planned:
        error = RowError(item.row, self.context.preset.columns.get(name, name), value, reason, remedy)
        return Planned(item, Outcome.REJECTED, error=error)


def _elsewhere(source: str) -> tuple[str, str]:
    return (
        _("is known from the connected account {name}").format(name=source),
        _("Nothing to mend: the connection keeps it up to date by itself."),
    )
