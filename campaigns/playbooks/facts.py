"""Owns the lines of the call brief, each with the row it was read from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils.formats import date_format
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from billing.models import (
    AttemptStatus,
    CustomerRisk,
    Invoice,
    InvoiceStatus,
    PaymentAttempt,
    PaymentMethod,
    Promise,
)
from billing.money import display, totals
from billing.plans.obstacle import Obstacle, chief
from billing.plans.offering import broken_words, obstacles, plan_because, plan_offers
from billing.plans.terms import Offer, fitting
from billing.retries.declines import classify
from campaigns.engine.load import load_cases
from campaigns.guard.types import GuardSnapshot
from campaigns.models import Case, Message
from campaigns.rendering.reasons import decline_told
from campaigns.worklist.windows import call_window
from customers.display import zone as tz_of
from customers.models import CallOutcome, Channel, Contact, Customer, Direction, Interaction
from customers.models.customer import LANGUAGES

#: Rows of one kind a brief names; more is on the customer's page.
MOST = 5
#: What is remembered of answers and of broken words.
YEAR = timedelta(days=365)
_HELPS = {
    "new_card": lambda: _("A new card helps; this one will not work again."),
    "authenticate": lambda: _("They have to confirm the payment with their bank."),
    "funds": lambda: _("Money on the account helps: ask when they are paid."),
    "contact_bank": lambda: _("Only their bank can say why; another card helps at once."),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One fact in words; `model` (as admin addresses name it) and `pk` say where it is from."""

    text: str
    model: str = ""
    pk: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a brief is written from."""

    customer: Customer
    case: Case | None
    zone: str
    now: datetime
    invoices: Sequence[Invoice]
    #: By invoice, where its amount seems to be what stands in the way.
    obstacles: Mapping[int, Obstacle]
    contacts: Sequence[Contact]
    guard: GuardSnapshot | None
    language: str


def load(customer: Customer, case: Case | None, zone: str, now: datetime) -> Facts:
    """The rows most parts need; `now` is aware UTC."""
    owed = Invoice.objects.filter(customer=customer, status=InvoiceStatus.OPEN, balance__gt=0)
    if case is not None:
        owed = owed.filter(brand=case.brand_id)
    loaded = load_cases([case.pk], now).cases if case is not None else []
    invoices = list(owed.select_related("subscription").order_by("due_at", "pk")[:50])
    return Facts(
        customer=customer,
        case=case,
        zone=zone,
        now=now,
        invoices=invoices,
        obstacles=obstacles(invoices),
        contacts=list(Contact.objects.filter(customer=customer, active=True).order_by("-is_primary", "pk")[:MOST]),
        guard=loaded[0].snapshot.guard if loaded else None,
        language=get_language() or "en",
    )


def _day(facts: Facts, moment: datetime, form: str = "DATE_FORMAT") -> str:
    return date_format(moment.astimezone(tz_of(facts.zone)), form)


def who(facts: Facts) -> list[Line]:
    customer = facts.customer
    about = ("customers_customer", customer.pk)
    words = [str(customer), customer.get_kind_display(), customer.country]
    lines = [Line(" · ".join(word for word in words if word), *about)]
    lines += [
        Line(" · ".join(w for w in (c.name, c.phone, c.email) if w), "customers_contact", c.pk) for c in facts.contacts
    ]
    since = _day(facts, customer.created_at, "YEAR_MONTH_FORMAT")
    lines.append(Line(_("Known since %(month)s.") % {"month": since}, *about))
    plans = {row.subscription for row in facts.invoices if row.subscription is not None}
    for row in sorted(plans, key=lambda each: each.pk)[:MOST]:
        price = display(row.amount, row.currency, facts.language)
        text = f"{row.plan_name or _('Subscription')} · {price} · {row.get_status_display()}"
        lines.append(Line(text, "billing_subscription", row.pk))
    risk = CustomerRisk.objects.filter(customer=customer).first()
    if risk is not None and risk.rating:
        lines.append(Line(_("As a payer: %(rating)s.") % {"rating": risk.get_rating_display()}, *about))
    return lines


def happened(facts: Facts) -> list[Line]:
    sums = totals((row.balance, row.currency) for row in facts.invoices)
    if not sums:
        return [Line(_("Nothing is owed."))]
    owed = ", ".join(display(amount, currency, facts.language) for currency, amount in sums.items())
    n = len(facts.invoices)
    lines = [
        Line(ngettext("%(sum)s is owed on %(n)d invoice.", "%(sum)s is owed on %(n)d invoices.", n)
             % {"sum": owed, "n": n})
    ]  # fmt: skip
    for row in facts.invoices[:MOST]:
        values = {"invoice": row, "sum": display(row.balance, row.currency, facts.language)}
        if row.first_failed_at is not None:
            text = _("%(invoice)s: %(sum)s, the charge failed on %(day)s")
            values["day"] = _day(facts, row.first_failed_at)
        elif row.due_at is not None:
            text, values["day"] = _("%(invoice)s: %(sum)s, due on %(day)s"), _day(facts, row.due_at)
        else:
            text = "%(invoice)s: %(sum)s"
        lines.append(Line(text % values, "billing_invoice", row.pk))
    return lines


def reason(facts: Facts) -> list[Line]:
    lines = []
    declined = PaymentAttempt.objects.filter(
        invoice__in=[row.pk for row in facts.invoices], status=AttemptStatus.DECLINED
    ).order_by("-at", "-pk")
    newest = declined.first()
    if newest is not None:
        verdict = classify(decline_code=newest.decline_code)
        told = decline_told(verdict=verdict, category=newest.decline_category, language=facts.language)
        code = f" ({newest.decline_code})" if newest.decline_code else ""
        lines.append(Line(f"{told['message']}{code}", "billing_paymentattempt", newest.pk))
        if told["asks_for"] in _HELPS:
            lines.append(Line(_HELPS[told["asks_for"]]()))
    for obstacle in list(facts.obstacles.values())[:MOST]:
        words = obstacle.words(tz_of(facts.zone))
        lines.append(Line(words, "billing_paymentattempt", obstacle.attempt_id))
    card = PaymentMethod.objects.filter(customer=facts.customer, is_default=True, detached_at__isnull=True).first()
    if card is None:
        lines.append(Line(_("No payment method is stored.")))
    elif card.exp_year and card.exp_month and (card.exp_year, card.exp_month) < (facts.now.year, facts.now.month):
        words = _("The stored card expired in %(month)02d/%(year)d.") % {
            "month": card.exp_month,
            "year": card.exp_year,
        }
        lines.append(Line(words, "billing_paymentmethod", card.pk))
    for row in facts.invoices:
        if row.disputed_at is not None:
            lines.append(Line(_("They dispute %(invoice)s.") % {"invoice": row}, "billing_invoice", row.pk))
    return lines


def tried(facts: Facts) -> list[Line]:
    lines = []
    made = PaymentAttempt.objects.filter(
        invoice__in=[row.pk for row in facts.invoices], status__in=(AttemptStatus.DECLINED, AttemptStatus.SUCCEEDED)
    ).count()
    if made:
        lines.append(Line(ngettext("%(n)d charge was tried.", "%(n)d charges were tried.", made) % {"n": made}))
    sent = Message.objects.filter(customer=facts.customer, sent_at__isnull=False).defer("html", "text")
    for row in sent.order_by("-queued_at")[:MOST]:
        words = [_day(facts, row.sent_at or row.queued_at), row.get_channel_display(), row.subject]
        words.append(row.get_status_display())
        lines.append(Line(" · ".join(word for word in words if word), "campaigns_message", row.pk))
    calls = Interaction.objects.filter(customer=facts.customer, channel=Channel.CALL, direction=Direction.OUT)
    for call in calls.order_by("-at", "-pk")[:MOST]:
        lines.append(Line(f"{_day(facts, call.at)} · {call.summary}", "customers_interaction", call.pk))
    return lines


def answered(facts: Facts) -> list[Line]:
    lines = []
    spoken = Q(direction=Direction.IN) | Q(channel=Channel.CALL, outcome=CallOutcome.SPOKE)
    rows = Interaction.objects.filter(spoken, customer=facts.customer, at__gt=facts.now - YEAR)
    for row in rows.order_by("-at", "-pk")[:MOST]:
        said = f" “{row.body.strip()[:200]}”" if row.body.strip() else ""
        lines.append(Line(f"{_day(facts, row.at)} · {row.summary}{said}", "customers_interaction", row.pk))
    for promise in Promise.objects.filter(customer=facts.customer).order_by("-created_at")[:MOST]:
        words = _("Promised %(sum)s by %(day)s: %(status)s") % {
            "sum": display(promise.amount, promise.currency, facts.language),
            "day": date_format(promise.promised_on),
            "status": promise.get_status_display(),
        }
        lines.append(Line(words, "billing_promise", promise.pk))
    return lines


def reach(facts: Facts) -> list[Line]:
    customer = facts.customer
    lines = []
    if customer.language:
        spoken = dict(LANGUAGES).get(customer.language.partition("-")[0], customer.language)
        lines.append(Line(_("Speaks %(language)s.") % {"language": spoken}, "customers_customer", customer.pk))
    local = facts.now.astimezone(tz_of(facts.zone))
    lines.append(Line(_("It is %(time)s where they are.") % {"time": f"{local:%H:%M}"}))
    if facts.guard is not None:
        lines += _window(facts, facts.guard)
    heard = Interaction.objects.filter(
        customer=customer, channel=Channel.CALL, outcome=CallOutcome.SPOKE, at__gt=facts.now - YEAR
    ).values_list("at", flat=True)
    hours = Counter(at.astimezone(tz_of(facts.zone)).hour for at in heard[:50])
    if hours:
        hour, times = hours.most_common(1)[0]
        words = ngettext(
            "They answered at about %(hour)02d:00 once.",
            "They answered at about %(hour)02d:00 %(n)d times.",
            times,
        )
        lines.append(Line(words % {"hour": hour, "n": times}))
    return lines


def _window(facts: Facts, guard: GuardSnapshot) -> list[Line]:
    window = call_window(guard, facts.now)
    if window.start is None:
        return [Line(_("Must not be called: %(rule)s.") % {"rule": window.rule})]
    if window.start > facts.now:
        return [Line(_("May be called from %(time)s.") % {"time": _day(facts, window.start, "DATETIME_FORMAT")})]
    end = _day(facts, window.end, "DATETIME_FORMAT") if window.end else ""
    return [Line(_("May be called now, until %(time)s.") % {"time": end} if end else _("May be called now."))]


def offer(facts: Facts) -> list[Line]:
    """The payment plans the brand's rules allow this customer, the shortest and the longest of each currency."""
    brand_id = facts.case.brand_id if facts.case else facts.customer.brand_id
    sums = totals((row.balance, row.currency) for row in facts.invoices)
    lines: list[Line] = []
    for currency in sums:
        found = plan_offers(customer_id=facts.customer.pk, brand_id=brand_id, currency=currency, now=facts.now)
        told = plan_because(customer_id=facts.customer.pk, brand_id=brand_id, currency=currency, now=facts.now)
        lines += [Line(each) for each in told if found]
        hindering = chief(each for each in facts.obstacles.values() if each.currency == currency)
        if found and hindering is not None:
            named = fitting(found, hindering.approved)
            words = _("All at once seems to be too much; offer parts: %(parts)s.")
            lines.append(Line(words % {"parts": _terms(named, currency, facts)}))
        if found:
            words = _("%(sum)s in instalments: %(first)s to %(last)s.")
            values = {"sum": display(sums[currency], currency, facts.language)}
            lines.append(Line(words % (values | {"first": _terms(found[0], currency, facts),
                                                 "last": _terms(found[-1], currency, facts)})))  # fmt: skip
    broken = broken_words(facts.customer.pk, facts.now)
    if broken and not lines and sums:
        words = ngettext(
            "No plan by the rules: %(n)d word broken within a year.",
            "No plan by the rules: %(n)d words broken within a year.",
            broken,
        )
        lines.append(Line(words % {"n": broken}))
    return lines


def _terms(offered: Offer, currency: str, facts: Facts) -> str:
    return _("%(n)d × %(sum)s until %(day)s") % {
        "n": offered.count,
        "sum": display(offered.parts[0].amount, currency, facts.language),
        "day": date_format(offered.parts[-1].due_on),
    }
