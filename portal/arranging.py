"""Owns the payment plans customers agree on by themselves on the payment page.

The services are those staff use; what was shown is what is agreed on, or nothing is.
"""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction
from django.utils.translation import gettext as _

from billing import money
from billing.matching import UNRESOLVED
from billing.models import AttemptStatus, PaymentAttempt, PaymentPlan, PlanInstalment
from billing.plans.offering import plans_online
from billing.plans.paid import plans_paid
from billing.plans.services import plan_chargeable, plan_create
from billing.plans.terms import Offer
from campaigns.services.confirming import confirmation_queue
from customers.errors import SollecitoError
from portal.account import day, zone_of
from portal.models import PortalLink
from portal.owed import Account


@dataclass(frozen=True, slots=True)
class Line:
    """One instalment as the page shows it."""

    number: int
    day_text: str
    amount_text: str
    paid: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """One plan a customer may choose, in the page's language; `value` names it in addresses and forms."""

    value: str
    currency: str
    total: int
    total_text: str
    offer: Offer
    lines: tuple[Line, ...]
    #: The one to name first, as the whole seems to be too much at once.
    suggested: bool = False

    @property
    def summary(self) -> str:
        """The plan in a few words."""
        amounts = [line.amount_text for line in self.lines]
        if len(set(amounts)) == 1:
            return _("%(n)d payments of %(amount)s") % {"n": len(amounts), "amount": amounts[0]}
        return _("%(n)d payments, the first of %(amount)s") % {"n": len(amounts), "amount": amounts[0]}

    @property
    def rhythm(self) -> str:
        """How often one is due."""
        fortnight = self.offer.interval == PaymentPlan.Interval.FORTNIGHT
        return _("every two weeks") if fortnight else _("every month")

    @property
    def named(self) -> str:
        """Both: what tells it from the other plans."""
        return f"{self.summary}, {self.rhythm}"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the customer is asked to agree to. `seen` comes back with the form: no other terms are agreed on."""

    shown: Shown
    charged: bool
    text: str
    seen: str
    #: Whether the instalments could be charged to the stored card.
    chargeable: bool


@dataclass(frozen=True, slots=True)
class Running:
    """The plan that stands, as the page shows it."""

    id: int
    lines: tuple[Line, ...]
    charged_to: str
    next_number: str
    next_text: str
    next_day: str
    #: A charge of a part is planned, under way, or its outcome is awaited.
    busy: bool


def offered(*, link: PortalLink, account: Account, now: datetime, language: str) -> tuple[Shown, ...]:
    """The plans this customer may agree on here, first the one to name where the whole is too much at once. A constant
    number of queries."""
    if account.promised_text or not any(item.late for item in account.payable):
        return ()
    pair = (link.customer_id, link.brand_id)
    found = plans_online(pairs=[pair], now=now).get(pair, ())
    return tuple(
        _shown(offer, link, each.currency, language, suggested=offer == each.suggested)
        for each in sorted(found, key=lambda each: each.obstacle is None)
        for offer in sorted(each.offers, key=lambda offer: offer != each.suggested)
    )


def too_much(*, link: PortalLink, now: datetime) -> bool:
    """Whether the whole seems to be too much at once, and parts are offered. A constant number of queries."""
    pair = (link.customer_id, link.brand_id)
    return any(each.obstacle for each in plans_online(pairs=[pair], now=now).get(pair, ()))


def running(*, link: PortalLink, now: datetime, language: str) -> Running | None:
    """The active plan of the link's customer and brand. Four queries."""
    plan = (
        PaymentPlan.objects.filter(
            customer_id=link.customer_id, brand_id=link.brand_id, status=PaymentPlan.Status.ACTIVE
        )
        .select_related("payment_method")
        .prefetch_related("instalments")
        .first()
    )
    if plan is None:
        return None
    today = now.astimezone(zone_of(link.customer)).date()
    rows = sorted(plan.instalments.all(), key=lambda row: row.number)
    # What has come in counts at once, whether the instalments have been marked yet or not.
    left = plans_paid([plan.pk])[plan.pk]
    settled: set[int] = set()
    for row in rows:
        left -= row.amount
        if row.paid_at is not None or left >= 0:
            settled.add(row.pk)
    due = next((row for row in rows if row.pk not in settled), None)
    return Running(
        id=plan.pk,
        lines=tuple(_line(row, plan.currency, link, language, paid=row.pk in settled, today=today) for row in rows),
        charged_to=str(plan.payment_method) if plan.payment_method else "",
        next_number=str(due.number) if due else "",
        next_text=money.display(due.amount, plan.currency, language) if due else "",
        next_day=day(due.due_on, link.customer, language) if due else "",
        busy=PaymentAttempt.objects.filter(
            instalment__plan=plan, status__in=(AttemptStatus.PLANNED, *UNRESOLVED)
        ).exists(),
    )


def terms_of(*, link: PortalLink, account: Account, shown: Shown, charged: bool) -> Terms:
    """The words a customer is asked to agree to, in the page's language. `charged`: by the stored card, where it can
    be."""
    card = account.card if account.card is not None and account.card.usable else None
    chargeable = card is not None and plan_chargeable(
        customer_id=link.customer_id, brand_id=link.brand_id, currency=shown.currency, payment_method_id=card.id
    )
    charged = charged and chargeable
    brand = link.brand
    days = "; ".join(f"{line.day_text}: {line.amount_text}" for line in shown.lines)
    words = [
        _("I agree to pay %(total)s to %(brand)s in these parts: %(days)s.")
        % {"total": shown.total_text, "brand": brand.name, "days": days}
    ]
    if charged and card is not None:
        words.append(
            _(
                "I allow %(brand)s to charge each part to my card %(card)s on its day. I can pay earlier at any time, "
                "and take this permission back before the day of a charge by writing to %(email)s."
            )
            % {"brand": brand.name, "card": card.label, "email": brand.support_email or brand.from_email}
        )
    else:
        words.append(_("I pay each part by its day, on this page or by bank transfer."))
    text = " ".join(words)
    seen = hashlib.sha256(f"{shown.value}|{card.id if card and charged else ''}|{text}".encode()).hexdigest()
    return Terms(shown, charged, text, seen, chargeable)


@transaction.atomic
def plan_agree(
    *, link: PortalLink, account: Account, terms: Terms, seen: str, key: str, now: datetime, language: str
) -> PaymentPlan:
    """Agrees on the plan whose `terms` were shown under the digest `seen`, once for each form (`key`), and queues the
    mail that says so. Raises SollecitoError (`plan_changed`) where they were others, and as plan_create does."""
    shown = terms.shown
    known = PaymentPlan.objects.filter(key=_key(link, key), customer_id=link.customer_id).first()
    if known is not None:
        return known
    if seen != terms.seen:
        raise SollecitoError("Other terms were shown.", code="plan_changed")
    card = account.card if terms.charged else None
    plan = plan_create(
        customer_id=link.customer_id,
        brand_id=link.brand_id,
        currency=shown.currency,
        count=shown.offer.count,
        interval=shown.offer.interval,
        first_on=shown.offer.parts[0].due_on,
        payment_method_id=card.id if card is not None else None,
        consent=terms.text,
        total_shown=shown.total,
        key=_key(link, key),
        now=now,
    )
    confirmation_queue(
        customer_id=link.customer_id,
        brand_id=link.brand_id,
        key=f"plan:{plan.pk}",
        subject=_("Your payment plan with %(brand)s") % {"brand": link.brand.name},
        paragraphs=[
            _("Thank you. This is what we agreed on:"),
            "\n".join(f"{line.day_text}: {line.amount_text}" for line in shown.lines),
            _("These are the words you agreed to: “%(words)s”") % {"words": terms.text},
            _("You find the plan, and what is left of it, on your page:"),
        ],
        language=language,
        now=now,
    )
    return plan


def agreed_before(*, link: PortalLink, key: str) -> bool:
    """Whether this form was sent before and made its plan."""
    return PaymentPlan.objects.filter(key=_key(link, key), customer_id=link.customer_id).exists()


def _key(link: PortalLink, key: str) -> str:
    return f"portal:{link.pk}:{key}"[:100]


def _shown(offer: Offer, link: PortalLink, currency: str, language: str, *, suggested: bool) -> Shown:
    total = sum(part.amount for part in offer.parts)
    return Shown(
        value=f"{currency}-{offer.interval}-{offer.count}",
        currency=currency,
        total=total,
        total_text=money.display(total, currency, language),
        offer=offer,
        suggested=suggested,
        lines=tuple(
            Line(
                part.number, day(part.due_on, link.customer, language), money.display(part.amount, currency, language)
            )
            for part in offer.parts
        ),
    )


def _line(row: PlanInstalment, currency: str, link: PortalLink, language: str, *, paid: bool, today: date) -> Line:
    return Line(
        number=row.number,
        day_text=day(row.due_on, link.customer, language),
        amount_text=money.display(row.amount, currency, language),
        paid=paid,
        late=not paid and row.due_on < today,
    )
