"""Owns when the amount is what stands in the way of a payment: less of it could be had, all at once cannot. Pure.

Either the bank said so twice (funds lack, a limit is passed) since money last came in, or once while it let a charge
of half as much at most pass on the same payment method. What a bank leaves open ("do not honor") is no evidence, and
once it has said something else (the card has expired), parts would not help.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.models import Invoice, PaymentAttempt
from billing.money import shown
from billing.retries.parts import refused
from billing.retries.taxonomy import VAGUE, Category

#: Refusals for the amount that are enough by themselves.
ENOUGH = 2
#: What the bank let pass so long before the first refusal, or later, is held against it.
LATELY = timedelta(days=14)
#: What says nothing about the amount, for or against.
_SILENT = VAGUE | {Category.TECHNICAL}
#: Limits on how often a card is charged, or a PIN is tried: a smaller charge is one more.
_COUNT_LIMITS = frozenset({"card_decline_rate_limit_exceeded", "exceeds_count_limit"})
_COUNT_LIMITS_BY_NETWORK = frozenset({"38", "65", "75"})


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why the amount of an invoice seems to be what stands in the way."""

    #: Refusals for lack of funds, and for a limit.
    funds: int
    limits: int
    #: The newest of them (PaymentAttempt).
    attempt_id: int | None
    #: The largest charge of half as much at most that the same method let pass lately, in minor units; 0: none.
    approved: int = 0
    approved_at: datetime | None = None
    currency: str = ""

    def words(self, zone: tzinfo) -> str:
        """The reason for staff, one sentence in the active language; days in `zone`."""
        said = []
        if self.funds:
            told = ngettext("refused for lack of funds once", "refused for lack of funds %(n)d times", self.funds)
            said.append(told % {"n": self.funds})
        if self.limits:
            told = ngettext("refused for a limit once", "refused for a limit %(n)d times", self.limits)
            said.append(told % {"n": self.limits})
        if self.approved_at is not None:
            day = date_format(self.approved_at.astimezone(zone))
            told = _("%(sum)s approved on %(day)s")
            said.append(told % {"sum": shown(self.approved, self.currency), "day": day})
        return _("The amount seems to be the obstacle: %(evidence)s.") % {"evidence": ", ".join(said)}


def obstacle_of(
    invoice: Invoice, attempts: Sequence[PaymentAttempt], approved: Iterable[PaymentAttempt]
) -> Obstacle | None:
    """Whether, and why, the amount of `invoice` seems to be the obstacle.

    `attempts` are its own, oldest first; `approved` charges of any invoice that passed lately, on whatever method.
    """
    balance = invoice.amount_due - invoice.amount_paid - invoice.amount_credited
    declined = refused(attempts)
    telling = next((each for each in reversed(declined) if each.decline_category not in _SILENT), None)
    if telling is None or not hinders(telling):
        return None
    # More was refused than is left: that says nothing of what is left.
    found = [each for each in declined if hinders(each) and each.amount <= balance]
    times = [each.at for each in found if each.at is not None]
    if not times:
        return None
    methods = {each.payment_method_id for each in found} - {None}
    passed = [
        (each.amount, each.at)
        for each in approved
        if each.at is not None
        and each.at >= min(times) - LATELY
        and each.payment_method_id in methods
        and each.currency == invoice.currency
    ]
    if any(amount >= balance and at > max(times) for amount, at in passed):
        return None
    smaller = max(((amount, at) for amount, at in passed if amount * 2 <= balance), default=None)
    if len(found) < ENOUGH and smaller is None:
        return None
    funds = sum(each.decline_category == Category.INSUFFICIENT_FUNDS for each in found)
    return Obstacle(
        funds=funds,
        limits=len(found) - funds,
        attempt_id=found[-1].pk,
        approved=smaller[0] if smaller else 0,
        approved_at=smaller[1] if smaller else None,
        currency=invoice.currency,
    )


def chief(found: Iterable[Obstacle]) -> Obstacle | None:
    """Of what hinders several invoices, what parts are chosen by: where a bank is known to let most pass."""
    return max(found, key=lambda each: each.approved, default=None)


def hinders(attempt: PaymentAttempt) -> bool:
    """Whether the bank said of this charge that it was too much."""
    if attempt.decline_category == Category.INSUFFICIENT_FUNDS:
        return True
    return (
        attempt.decline_category == Category.LIMIT_VELOCITY
        and attempt.decline_code not in _COUNT_LIMITS
        and attempt.network_decline_code not in _COUNT_LIMITS_BY_NETWORK
    )
