"""What a payment plan may look like: equal parts that sum exactly, days that exist, limits by history. Pure."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils.translation import gettext as _

from billing.models import PaymentPlan

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


def parts(*, total: int, count: int, interval: str, first_on: date) -> tuple[Part, ...]:
    """The instalments of a plan over `total` (minor units)."""
    due = days(first_on, count, interval)
    amounts = split(total, count)
    return tuple(Part(n, day, amount) for n, (day, amount) in enumerate(zip(due, amounts, strict=True), start=1))


def against(rules: Rules, wanted: Sequence[Part], *, currency: str, broken: int, today: date) -> str:
    """Why a plan is not one the rules offer, in words; empty if it is. `broken` counts plans and promises not kept in
    a year."""
    if broken > rules.most_broken:
        return _("%(broken)d plans and promises were broken within a year.") % {"broken": broken}
    if len(wanted) > rules.most_instalments:
        return _("At most %(most)d instalments.") % {"most": rules.most_instalments}
    if wanted[0].due_on > today + timedelta(days=rules.first_within_days):
        return _("The first instalment is due within %(most)d days.") % {"most": rules.first_within_days}
    if wanted[-1].due_on > today + timedelta(days=rules.most_days):
        return _("The last instalment is due within %(most)d days.") % {"most": rules.most_days}
    if currency == rules.currency and min(part.amount for part in wanted) < rules.least_amount:
        return _("The instalments are too small.")
    return ""


def offers(rules: Rules, *, total: int, currency: str, broken: int, today: date) -> tuple[Offer, ...]:
    """The plans the rules offer over `total` (minor units), shortest first; the first instalment is due tomorrow."""
    first = today + timedelta(days=1)
    found = []
    for interval in (Interval.MONTH, Interval.FORTNIGHT):
        for count in range(2, min(rules.most_instalments, total) + 1):
            wanted = parts(total=total, count=count, interval=interval, first_on=first)
            if not against(rules, wanted, currency=currency, broken=broken, today=today):
                found.append(Offer(count, interval.value, wanted))
    return tuple(sorted(found, key=lambda offer: (offer.parts[-1].due_on, offer.count)))
