"""What a payment plan may look like: equal parts that sum exactly, days that exist, limits by history. Pure."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils.translation import gettext as _

from billing.models import Band, PaymentPlan, Rating
from billing.money import step

Interval = PaymentPlan.Interval
_DAYS = {Interval.WEEK: 7, Interval.FORTNIGHT: 14}


@dataclass(frozen=True, slots=True)
class Rules:
    """What is offered without asking anybody; amounts in minor units of `currency`, others are not held to it."""

    most_instalments: int = 6
    most_days: int = 180
    first_within_days: int = 14
    least_amount: int = 2000
    currency: str = "EUR"
    most_broken: int = 1
    least_paid_percent: int = 0
    risky_instalments: int = 3
    risky_first_percent: int = 40
    trusted_wait_days: int = 7
    offered_online: bool = True
    promise_days: int = 14


@dataclass(frozen=True, slots=True)
class Payer:
    """What is known of who would pay: plans and promises broken in a year, what was ever paid (minor units of the
    debt's currency), and risk and rating as insights keep them, empty where there is not enough to say."""

    broken: int = 0
    paid: int = 0
    band: str = ""
    rating: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One instalment: its number from 1, the customer's local day, minor units."""

    number: int
    due_on: date
    amount: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan that may be agreed on."""

    count: int
    interval: str
    parts: tuple[Part, ...]


def split(total: int, count: int) -> tuple[int, ...]:
    """`total` (minor units, at least `count`) in `count` parts that differ by one unit at most, the larger ones first.

    Their sum is `total`, in any currency: there are no fractions of a minor unit. Raises ValueError for less.
    """
    if count < 1 or total < count:
        raise ValueError("every part needs at least one minor unit")
    least, more = divmod(total, count)
    return tuple(least + 1 if place < more else least for place in range(count))


def days(first: date, count: int, interval: str) -> tuple[date, ...]:
    """`count` days from `first` on; of months the same day, or their last where they have no such day."""
    if interval in _DAYS:
        return tuple(first + timedelta(days=_DAYS[Interval(interval)] * place) for place in range(count))
    found = []
    for place in range(count):
        month = first.month - 1 + place
        year, month = first.year + month // 12, month % 12 + 1
        found.append(date(year, month, min(first.day, calendar.monthrange(year, month)[1])))
    return tuple(found)


def parts(
    *, total: int, count: int, interval: str, first_on: date, first_percent: int = 0, unit: int = 1
) -> tuple[Part, ...]:
    """The instalments of a plan over `total` (minor units); the first is at least `first_percent` of it, where that
    leaves something for each of the others. All are multiples of `unit` (money.step); what `total` has beside them
    comes with the last."""
    due = days(first_on, count, interval)
    whole, rest = divmod(total, unit)
    shares = split(whole, count)
    deposit = min(-(-total * first_percent // (100 * unit)), whole - (count - 1))
    if deposit > shares[0] and count > 1:
        shares = (deposit, *split(whole - deposit, count - 1))
    amounts = [share * unit for share in shares]
    amounts[-1] += rest
    return tuple(Part(n, day, amount) for n, (day, amount) in enumerate(zip(due, amounts, strict=True), start=1))


def deposit_of(rules: Rules, payer: Payer) -> int:
    """The least share of the debt, in percent, that this customer's first instalment is."""
    return rules.risky_first_percent if payer.band == Band.HIGH else 0


def wait_of(rules: Rules, payer: Payer) -> int:
    """Days this customer's first instalment may come later than anybody's."""
    return rules.trusted_wait_days if payer.band == Band.LOW and payer.rating == Rating.A else 0


def most_of(rules: Rules, payer: Payer) -> int:
    """The most instalments offered to this customer."""
    if payer.band == Band.HIGH:
        return min(rules.most_instalments, rules.risky_instalments)
    return rules.most_instalments


def against(rules: Rules, wanted: Sequence[Part], *, currency: str, payer: Payer, today: date) -> str:
    """Why a plan is not one the rules offer this customer, in words; empty if it is."""
    if payer.broken > rules.most_broken:
        return _("%(broken)d plans and promises were broken within a year.") % {"broken": payer.broken}
    if payer.paid * 100 < rules.least_paid_percent * sum(part.amount for part in wanted):
        return _("So far less than %(percent)d %% of this debt was ever paid.") % {"percent": rules.least_paid_percent}
    most = most_of(rules, payer)
    if len(wanted) > most:
        if most < rules.most_instalments:
            return _("At most %(most)d instalments at high risk.") % {"most": most}
        return _("At most %(most)d instalments.") % {"most": most}
    first_within = rules.first_within_days + wait_of(rules, payer)
    if wanted[0].due_on > today + timedelta(days=first_within):
        return _("The first instalment is due within %(most)d days.") % {"most": first_within}
    if wanted[-1].due_on > today + timedelta(days=rules.most_days):
        return _("The last instalment is due within %(most)d days.") % {"most": rules.most_days}
    if currency == rules.currency and min(part.amount for part in wanted) < rules.least_amount:
        return _("The instalments are too small.")
    return ""


def offers(rules: Rules, *, total: int, currency: str, payer: Payer, today: date) -> tuple[Offer, ...]:
    """The plans the rules offer a customer over `total` (minor units), shortest first; the first instalment is due
    tomorrow, a reliable payer's later."""
    first = today + timedelta(days=1 + wait_of(rules, payer))
    found, unit = [], step(currency)
    for interval in (Interval.MONTH, Interval.FORTNIGHT):
        for count in range(2, min(rules.most_instalments, total // unit) + 1):
            wanted = parts(
                total=total,
                count=count,
                interval=interval,
                first_on=first,
                first_percent=deposit_of(rules, payer),
                unit=unit,
            )
            if not against(rules, wanted, currency=currency, payer=payer, today=today):
                found.append(Offer(count, interval.value, wanted))
    return tuple(sorted(found, key=lambda offer: (offer.parts[-1].due_on, offer.count)))


def fitting(found: Sequence[Offer], passes: int) -> Offer:
    """Of plans, the shortest first, the one to name where the whole is too much. `passes` (minor units) is what a bank
    is known to let pass: the shortest whose largest part is no more, else the one with the smallest parts. 0, where
    nothing is known: the shortest of three parts or more, where there is one."""
    if not passes:
        return next((offer for offer in found if offer.count >= 3), found[0])
    most = {offer: max(part.amount for part in offer.parts) for offer in found}
    return next((offer for offer in found if most[offer] <= passes), min(found, key=most.__getitem__))


def because(rules: Rules, payer: Payer) -> tuple[str, ...]:
    """What the customer's risk makes of the offers, in words; nothing where not enough is known."""
    if payer.band == Band.HIGH:
        words = _("High risk: at most %(most)d instalments, at least %(percent)d %% with the first.")
        return (words % {"most": most_of(rules, payer), "percent": deposit_of(rules, payer)},)
    if wait := wait_of(rules, payer):
        return (_("Reliable payer (A): the first instalment may come %(days)d days later.") % {"days": wait},)
    return ()
