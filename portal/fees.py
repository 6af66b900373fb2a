"""Owns how the payment page tells of late fees: each with its reason in plain words, and what they come to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from babel.dates import format_date
from django.utils.translation import gettext as _

from billing import money
from billing.fees import Owed
from billing.models import Fee


@dataclass(frozen=True, slots=True)
class FeeLine:
    """One fee in the page's language; `number` is its invoice's."""

    label: str
    amount_text: str
    why: str
    number: str


@dataclass(frozen=True, slots=True)
class Sums:
    """What invoices and fees of one currency come to, in words; `fees_text` is empty where there are none."""

    invoices_text: str
    fees_text: str
    together_text: str


def fee_lines(fees: Iterable[Owed], language: str) -> tuple[FeeLine, ...]:
    """Fees as the page shows them."""
    return tuple(
        FeeLine(
            label=_("Interest for late payment") if fee.kind == Fee.Kind.INTEREST else _("Fixed sum for late payment"),
            amount_text=money.display(fee.amount, fee.currency, language),
            why=_why(fee, language),
            number=fee.invoice_number,
        )
        for fee in fees
    )


def fees_to_pay(fees: Iterable[Owed]) -> dict[str, int]:
    """What is asked for, minor units by currency: without what is held back or lapses with the payment."""
    return money.totals((fee.amount, fee.currency) for fee in fees if not fee.held and not fee.forgiven)


def sums_of(invoices: Mapping[str, int], fees: Mapping[str, int], language: str) -> tuple[Sums, ...]:
    """Balance, fees and both together for each currency; nothing where no fees are owed. Minor units by currency."""
    if not fees:
        return ()
    together = money.totals([*((v, k) for k, v in invoices.items()), *((v, k) for k, v in fees.items())])

    def text(amounts: Mapping[str, int], currency: str) -> str:
        return money.display(amounts[currency], currency, language) if amounts.get(currency) else ""

    return tuple(Sums(text(invoices, c), text(fees, c), text(together, c)) for c in together)


def _why(fee: Owed, language: str) -> str:
    if fee.kind == Fee.Kind.INTEREST:
        day = str(format_date(fee.until, format="long", locale=language)) if fee.until else ""
        parts = [
            _("Between companies, the law adds interest for each day after the due date; counted until %(day)s.")
            % {"day": day}
        ]
    else:
        parts = [_("Between companies, the law adds a fixed sum to each late invoice, for the cost of recovering it.")]
    if fee.law:
        parts.append(_("Legal basis: %(law)s.") % {"law": fee.law})
    if fee.held:
        parts.append(_("You need not pay it for now."))
    elif fee.forgiven:
        parts.append(_("It lapses as soon as the invoice is paid."))
    return " ".join(parts)
