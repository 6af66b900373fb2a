"""Owns how the payment page tells of late fees: each with its reason in plain words, and what they come to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from babel.dates import format_date
from django.utils.translation import gettext as _

from billing import money
from billing.fees import Owed
from billing.matching import UNRESOLVED
from billing.models import AttemptStatus, Fee, FeePayment
from campaigns.rendering.reasons import decline_for

#: How long the outcome of a press is shown.
TOLD_FOR = timedelta(hours=1)


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


@dataclass(frozen=True, slots=True)
class Offer:
    """Fees of one currency that can be paid here and now, by a press of their own."""

    currency: str
    amount_text: str
    #: What the form sends back: fee id and the amount shown, in minor units.
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What came of the last press on fees, in words."""

    good: bool
    text: str


def offers_of(fees: Iterable[Owed], language: str) -> tuple[Offer, ...]:
    """What can be paid, a form for each currency."""
    payable = [fee for fee in fees if fee.payable]
    return tuple(
        Offer(
            currency=currency,
            amount_text=money.display(amount, currency, language),
            values=tuple(f"{fee.fee_id}:{fee.amount}" for fee in payable if fee.currency == currency),
        )
        for currency, amount in money.totals((fee.amount, fee.currency) for fee in payable).items()
    )


def expected_of(values: Iterable[str]) -> dict[int, int]:
    """Fee id → minor units, as a form sent them back; empty where it is not ours."""
    found: dict[int, int] = {}
    for value in values:
        number, _colon, amount = value.partition(":")
        if not (number.isdecimal() and amount.isdecimal() and max(len(number), len(amount)) < 19):
            return {}
        found[int(number)] = int(amount)
    return found


def last_press(*, customer_id: int, language: str, now: datetime) -> Told | None:
    """What came of the customer's last press on fees: while it is not known, and for an hour afterwards."""
    row = FeePayment.objects.filter(customer_id=customer_id).first()
    if row is None:
        return None
    amount = money.display(row.amount, row.currency, language)
    if row.status in UNRESOLVED:
        return Told(
            good=True, text=_("Your payment of %(amount)s for late fees is being processed.") % {"amount": amount}
        )
    if row.claimed_at < now - TOLD_FOR:
        return None
    if row.status == AttemptStatus.SUCCEEDED:
        return Told(good=True, text=_("We have received %(amount)s for late fees. Thank you!") % {"amount": amount})
    why = _("No money was taken.")
    if row.status == AttemptStatus.DECLINED:
        told = decline_for(row.decline_category, language)
        why = f"{told['message']} {why}"
    return Told(good=False, text=why)


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
