"""The closed list of what a segment may ask about a customer, and the SQL each answer is read from.

A field is a column of a source; a source is one grouped subquery with a row per customer, joined only where a
query asks for it. Amounts carry their currency in their name (`balance.EUR`), so that no sum can mix two. To offer
a new field add a line to FIELDS.

In an expression `{now}` stands for the moment of evaluation, `{part}` for what follows the field's name (a
currency, a key); both become parameters.
"""

from collections.abc import Callable, Sequence

from django.utils.translation import gettext_lazy as _

from billing.models import Band, CollectionMethod, Rating, SubscriptionStatus
from billing.money import exponent
from billing.retries.taxonomy import Category
from campaigns.models.case import LIVE_STATES
from campaigns.segments.kinds import Field, Kind, Source
from customers.errors import SollecitoError
from customers.models import CustomerKind
from customers.models.customer import LANGUAGES

#: Since when an invoice is late: its first failed charge, or the due date of one the customer pays by hand.
_SINCE = "(CASE WHEN i.collection_method = 'manual' THEN i.due_at ELSE i.first_failed_at END)"
_LATE = f"{_SINCE} <= {{now}}"
_DAYS = "floor(extract(epoch FROM {{now}} - {}) / 86400)"
_LIVE_SUBSCRIPTION = "('trialing', 'active', 'past_due', 'unpaid', 'paused')"

SOURCES: dict[str, Source] = {
    source.key: source
    for source in (
        Source("owed", "billing_invoice i WHERE i.status = 'open' AND i.balance > 0", "i.customer_id"),
        Source("failed", "billing_invoice i WHERE i.first_failed_at IS NOT NULL", "i.customer_id"),
        Source("paid", "billing_payment y WHERE true", "y.customer_id"),
        Source(
            "subscribed",
            f"billing_subscription s WHERE s.ended_at IS NULL AND s.status IN {_LIVE_SUBSCRIPTION}",
            "s.customer_id",
        ),
        Source(
            "tried",
            "billing_paymentattempt a JOIN billing_invoice i ON i.id = a.invoice_id WHERE a.status = 'planned'",
            "i.customer_id",
        ),
        Source("promised", "billing_promise p WHERE true", "p.customer_id"),
        Source(
            "live",
            "campaigns_case k JOIN campaigns_ladderversion v ON v.id = k.ladder_version_id"
            " JOIN campaigns_ladder l ON l.id = v.ladder_id WHERE k.closed_at IS NULL",
            "k.customer_id",
        ),
        Source("past", "campaigns_case k WHERE k.closed_at IS NOT NULL", "k.customer_id"),
        Source("written", "campaigns_message m WHERE m.purpose = 'dunning'", "m.customer_id"),
        Source("judged", "billing_customerrisk r WHERE true", "r.customer_id"),
        Source("visited", "customers_interaction t WHERE t.kind = 'portal.visited'", "t.customer_id"),
    )
}


def _texts(column: str) -> str:
    return f"array_agg(DISTINCT {column}) FILTER (WHERE {column} <> '')"


def _money(expression: str, currency: str, condition: str = "true") -> str:
    return f"COALESCE(SUM({expression}) FILTER (WHERE {currency} = {{part}} AND {condition}), 0)"


def _overdue(days: int) -> str:
    return _money("i.balance", "i.currency", f"{_SINCE} <= {{now}} - interval '{days} days'")


_CUSTOMER = _("Customer")
_DEBT = _("What is owed")
_HISTORY = _("Payments and failures")
_PLAN = _("Subscription")
_ANSWER = _("Engagement")
_CASE = _("Case")
_MONTHLY = (
    "round(CASE s.interval WHEN 'year' THEN s.amount / 12.0 WHEN 'week' THEN s.amount * 52 / 12.0"
    " WHEN 'day' THEN s.amount * 365 / 12.0 ELSE s.amount END)"
)


def _recent(what: str) -> str:
    """Values of a column among the newest customers: enough to choose from, and quick on a million rows."""
    newest = "(SELECT * FROM customers_customer ORDER BY id DESC LIMIT 20000) c"
    return f"SELECT DISTINCT {what} FROM {newest} ORDER BY 1 LIMIT 200"


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field(
            "country", Kind.TEXT, _("Country, two letters"), "c.country", group=_CUSTOMER, suggest=_recent("country"),
            example='country in ("IT", "FR")',
        ),
        Field(
            "language", Kind.TEXT, _("Language"), "c.language", group=_CUSTOMER,
            suggest="SELECT * FROM unnest(ARRAY[" + ",".join(f"'{code}'" for code, _name in LANGUAGES) + "])",
            example='language = "it"',
        ),
        Field(
            "kind", Kind.TEXT, _("Consumer or business"), "c.kind", group=_CUSTOMER,
            choices=tuple(CustomerKind.values), example='kind = "business"',
        ),
        Field(
            "brand", Kind.TEXT, _("Code of the brand"), "b.code", group=_CUSTOMER,
            suggest="SELECT code FROM customers_brand ORDER BY code", example='brand = "acme"',
        ),
        Field(
            "tags", Kind.TEXTS, _("Tags"), "c.tags", group=_CUSTOMER, suggest=_recent("unnest(c.tags)"), may_lack=True,
            example='tags = "vip"',
        ),
        Field("name", Kind.TEXT, _("Name"), "c.name", group=_CUSTOMER, example='name ~ "GmbH"'),
        Field("email", Kind.TEXT, _("E-mail"), "c.email", group=_CUSTOMER, example='email endswith ".edu"'),
        Field("source", Kind.TEXT, _("Where it comes from"), "c.source", group=_CUSTOMER, suggest=_recent("source")),
        Field(
            "customer_days", Kind.NUMBER, _("Days since the customer is known here"), _DAYS.format("c.created_at"),
            group=_CUSTOMER, example="customer_days < 30",
        ),
        Field("no_dunning", Kind.FLAG, _("Excluded from dunning"), "c.no_dunning", group=_CUSTOMER),
        Field("do_not_contact", Kind.FLAG, _("Not to be contacted"), "c.do_not_contact", group=_CUSTOMER),
        Field("legal_hold", Kind.FLAG, _("Under legal hold"), "c.legal_hold", group=_CUSTOMER),
        Field("bankrupt", Kind.FLAG, _("Bankrupt"), "c.bankrupt", group=_CUSTOMER),
        Field("vulnerable", Kind.FLAG, _("Vulnerable"), "c.vulnerable", group=_CUSTOMER),
        Field(
            "metadata", Kind.FREE, _("Metadata of the customer at the source"), "(c.metadata ->> {part})",
            group=_CUSTOMER, takes="key", may_lack=True, example="metadata.seats >= 50",
        ),
        # --- what is owed
        Field(
            "balance", Kind.MONEY, _("Open balance in a currency"), _money("i.balance", "i.currency"), "owed", _DEBT,
            takes="currency", example="balance.EUR >= 500",
        ),
        Field(
            "overdue", Kind.MONEY, _("Of it failed or past due"), _overdue(0), "owed", _DEBT, takes="currency",
            example="overdue.EUR > 0",
        ),
        *(
            Field(
                f"overdue_{days}", Kind.MONEY, _("Of it late by more than %(days)d days") % {"days": days},
                _overdue(days), "owed", _DEBT, takes="currency",
            )
            for days in (30, 60, 90)
        ),
        Field(
            "overdue_days", Kind.NUMBER, _("Days the oldest open invoice is late"),
            f"COALESCE({_DAYS.format(f'MIN({_SINCE}) FILTER (WHERE {_LATE})')}, 0)", "owed", _DEBT,
            example="overdue_days > 30",
        ),
        Field("open_invoices", Kind.NUMBER, _("Open invoices"), "count(*)", "owed", _DEBT),
        Field(
            "overdue_invoices", Kind.NUMBER, _("Open invoices that failed or are past due"),
            f"count(*) FILTER (WHERE {_LATE})", "owed", _DEBT, example="overdue_invoices >= 2",
        ),
        Field(
            "disputed", Kind.FLAG, _("Disputes an open invoice"), "bool_or(i.disputed_at IS NOT NULL)", "owed", _DEBT,
        ),
        Field("in_plan", Kind.FLAG, _("Pays an open invoice in instalments"), "bool_or(i.in_plan)", "owed", _DEBT),
        Field(
            "collection", Kind.TEXTS, _("How open invoices are collected"), _texts("i.collection_method"),
            "owed", _DEBT, choices=tuple(CollectionMethod.values), may_lack=True, example='collection = "manual"',
        ),
        Field(
            "decline_category", Kind.TEXTS, _("Last decline of an open invoice"), _texts("i.last_decline_category"),
            "owed", _DEBT, choices=tuple(Category), may_lack=True, example='decline_category = "insufficient_funds"',
        ),
        Field(
            "retry_chance", Kind.NUMBER, _("Predicted chance of the next retry, in percent"),
            "MAX(a.probability) * 100", "tried", _DEBT, may_lack=True, example="retry_chance < 20",
        ),
        # --- payments and failures
        Field(
            "paid", Kind.MONEY, _("Paid in all, refunds taken off"),
            _money("y.amount - y.refunded", "y.currency"), "paid", _HISTORY, takes="currency",
            example="paid.EUR >= 5000",
        ),
        Field(
            "failures", Kind.NUMBER, _("Invoices whose charge ever failed"), "count(*)", "failed", _HISTORY,
            example="failures = 1",
        ),
        Field(
            "failures_year", Kind.NUMBER, _("Of them in the last 365 days"),
            "count(*) FILTER (WHERE i.first_failed_at > {now} - interval '365 days')", "failed", _HISTORY,
        ),
        Field(
            "promises_broken", Kind.NUMBER, _("Promises to pay that were broken"),
            "count(*) FILTER (WHERE p.status = 'broken')", "promised", _HISTORY, example="promises_broken > 0",
        ),
        Field(
            "cases_lost", Kind.NUMBER, _("Earlier cases that ended unpaid"),
            "count(*) FILTER (WHERE k.state = 'lost')", "past", _HISTORY,
        ),
        Field(
            "cases_recovered", Kind.NUMBER, _("Earlier cases that ended paid"),
            "count(*) FILTER (WHERE k.state = 'recovered')", "past", _HISTORY,
        ),
        Field(
            "risk", Kind.TEXT, _("Risk of paying late"), "MAX(NULLIF(r.band, ''))", "judged", _HISTORY,
            choices=tuple(Band.values), may_lack=True, example='risk = "high"',
        ),
        Field(
            "rating", Kind.TEXT, _("How it paid in the last twelve months, A to E"), "MAX(NULLIF(r.rating, ''))",
            "judged", _HISTORY, choices=tuple(Rating.values), may_lack=True, example='rating in ("D", "E")',
        ),
        Field(
            "late_chance", Kind.NUMBER, _("Predicted chance of paying the next invoice late, in percent"),
            "MAX(r.late_chance) * 100", "judged", _HISTORY, may_lack=True, example="late_chance >= 50",
        ),
        # --- subscription
        Field(
            "plan", Kind.TEXTS, _("Plan of a running subscription"), _texts("s.plan_name"), "subscribed", _PLAN,
            may_lack=True, example='plan in ("Team", "Business")',
            suggest="SELECT DISTINCT plan_name FROM (SELECT plan_name FROM billing_subscription ORDER BY id DESC"
            " LIMIT 20000) s WHERE plan_name <> '' ORDER BY 1 LIMIT 200",
        ),
        Field(
            "subscription_status", Kind.TEXTS, _("State of a running subscription"), _texts("s.status"), "subscribed",
            _PLAN, choices=tuple(SubscriptionStatus.values), may_lack=True,
        ),
        Field(
            "monthly", Kind.MONEY, _("Value of running subscriptions a month"), _money(_MONTHLY, "s.currency"),
            "subscribed", _PLAN, takes="currency", example="monthly.EUR >= 500",
        ),
        Field(
            "subscribed_days", Kind.NUMBER, _("Days since the oldest running subscription began"),
            _DAYS.format("MIN(s.started_at)"), "subscribed", _PLAN, may_lack=True, example="subscribed_days < 60",
        ),
        # --- engagement
        *(
            Field(name, Kind.NUMBER, label, _DAYS.format(f"MAX({column})"), source, _ANSWER, may_lack=True,
                  example=example)
            for name, label, column, source, example in (
                ("sent_days", _("Days since we last wrote for money"), "m.sent_at", "written", ""),
                ("opened_days", _("Days since a message was last opened"), "m.first_opened_at", "written",
                 "opened_days = None"),
                ("clicked_days", _("Days since a link was last clicked"), "m.first_clicked_at", "written",
                 "clicked_days <= 7"),
                ("visited_days", _("Days since the payment page was last visited"), "t.at", "visited",
                 "visited_days <= 3"),
            )
        ),
        Field(
            "messages_sent", Kind.NUMBER, _("Messages sent that ask for money"),
            "count(*) FILTER (WHERE m.sent_at IS NOT NULL)", "written", _ANSWER,
        ),
        # --- case
        Field(
            "case.state", Kind.TEXTS, _("State of the open case"), _texts("k.state"), "live", _CASE,
            choices=tuple(sorted(state.value for state in LIVE_STATES)), may_lack=True, example='case.state = "open"',
        ),
        Field(
            "case.ladder", Kind.TEXTS, _("Code of the ladder it follows"), _texts("l.code"), "live", _CASE,
            may_lack=True, suggest="SELECT code FROM campaigns_ladder ORDER BY code",
        ),
        Field("case.days", Kind.NUMBER, _("Days it has been open"), _DAYS.format("MIN(k.opened_at)"), "live", _CASE,
              may_lack=True, example="case.days > 14"),
        Field("case.steps", Kind.NUMBER, _("Steps it has taken"), "MAX(k.position)", "live", _CASE, may_lack=True),
    )
}  # fmt: skip


def names() -> list[str]:
    """Every name a query may begin a comparison with."""
    return list(FIELDS)


def _is_currency(code: str) -> bool:
    try:
        exponent(code)
    except SollecitoError:
        return False
    return code.isupper()


#: What a field may take after a dot → whether this is one.
_TAKES: dict[str, Callable[[str], bool]] = {"currency": _is_currency, "key": lambda part: True}


def find(parts: Sequence[str]) -> tuple[Field, str] | None:
    """The field of a dotted name and what follows it; None where there is no such field."""
    if (field := FIELDS.get(".".join(parts))) is not None and not field.takes:
        return field, ""
    field = FIELDS.get(".".join(parts[:-1]))
    if field is not None and field.takes and _TAKES[field.takes](parts[-1]):
        return field, parts[-1]
    return None
