"""The pages of the back office that are measured: who looks, and at what address. Addresses are drawn by lot where a
page stands for many rows, so that no page is measured out of one warm corner of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from benchmarks.backoffice.data import BIG, FIRST, LAST, NOW, RARE, TRADE
from billing.models import Invoice, PaymentAttempt
from campaigns.models import Case, Message, Task
from customers.admin.customer import CustomerAdmin
from customers.bulk.jobs import job_draft
from customers.models import Customer
from customers.visibility import seen

#: Who looks → what they see.
USERS = {"boss": "superuser", "collector0": "sees the own", "collector1": "sees the team's"}


@dataclass(frozen=True, slots=True)
class Page:
    """A page as one user sees it; `address` draws one of its addresses."""

    name: str
    user: str
    address: Callable[[], str]


class _Drawn:
    """Rows of this database somebody may see, drawn by lot."""

    def __init__(self, username: str) -> None:
        self.rng = Random(1)
        self.user = User.objects.get(username=username)
        rows = {model: seen(model._default_manager.all(), self.user) for model in (Customer, Case, Invoice)}
        self.customers = list(rows[Customer].order_by("pk").values_list("pk", flat=True)[:2_000])
        self.cases = list(rows[Case].order_by("-pk").values_list("pk", flat=True)[:2_000])
        self.invoices = list(rows[Invoice].order_by("-pk").values_list("pk", flat=True)[:2_000])

    def of(self, rows: list[int]) -> int:
        return self.rng.choice(rows)

    def words(self) -> str:
        return f"{self.rng.choice(LAST)} {self.rng.choice(TRADE)}"


def pages(clients: dict[str, Client]) -> Iterator[Page]:
    """Every page, the widest for the superuser and those people live in for each of USERS."""
    for username, sees in USERS.items():
        drawn = _Drawn(username)
        for name, address in {**_worklist(drawn, clients[username]), **_customers(drawn), **_lists(drawn)}.items():
            yield Page(f"{name} ({sees})" if username != "boss" else name, username, address)
    drawn = _Drawn("boss")
    for name, address in {**_filters(drawn), **_details(drawn), **_others(drawn)}.items():
        yield Page(name, "boss", address)


_Addresses = dict[str, Callable[[], str]]


def _url(name: str, *args: object, **query: object) -> str:
    return reverse(f"admin:{name}", args=args) + (f"?{urlencode(query)}" if query else "")


def _worklist(drawn: _Drawn, client: Client) -> _Addresses:
    work = "campaigns_workitem_changelist"
    deep = _deep(client, _url(work, tab="team"))
    return {
        "worklist, mine": lambda: _url(work, tab="mine"),
        "worklist, team": lambda: _url(work, tab="team"),
        "worklist, team, 40th page": lambda: deep,
        "worklist, unassigned": lambda: _url(work, tab="free"),
        "worklist, resting": lambda: _url(work, tab="team", show="later"),
        "worklist, saved filter": lambda: _url(work, tab="team", country="PL", band=31),
        "worklist, who may be called": lambda: _url(work, tab="team", reach=1),
        "worklist, segment": lambda: _url(work, tab="team", segment="bench-late"),
        "worklist, search by name": lambda: _url(work, tab="team", q=drawn.words()),
        "worklist, search without a hit": lambda: _url(work, tab="team", q="xylophone works"),
        "worklist, one by one": lambda: _url("campaigns_workitem_change", drawn.of(drawn.customers)),
    }


def _deep(client: Client, url: str, pages: int = 40) -> str:
    """The address of a page far down, or of the last."""
    base = url.partition("?")[0]
    for _page in range(pages):
        more = (client.get(url).context_data or {})["more_url"]
        if not more:
            break
        url = base + more
    return url


def _customers(drawn: _Drawn) -> _Addresses:
    found = "customers_customer_changelist"
    page = "customers_customer_change"
    tabs: _Addresses = {
        f"customer, {section.slug}": (lambda slug=section.slug: _url(page, drawn.of(drawn.customers), tab=slug))  # type: ignore[misc]
        for section in CustomerAdmin.page_sections
    }
    return {
        "customers": lambda: _url(found),
        "customers, last page": lambda: _url(found, p=40 if len(drawn.customers) >= 2_000 else 1),
        "customers, by country and kind": lambda: _url(
            found, country=drawn.rng.choice(["PL", "FR"]), kind__exact="business"
        ),
        "customers, search by name": lambda: _url(found, q=drawn.words()),
        "customers, search for a common word": lambda: _url(found, q="Rossi"),
        "customers, search for a rare word": lambda: _url(found, q=RARE),
        "customers, search without a hit": lambda: _url(found, q="xylophone works"),
        "customers, search by e-mail": lambda: _url(found, q=f"c{drawn.of(drawn.customers)}@example.com"),
        "customers, search by id": lambda: _url(found, q=f"cus_{drawn.of(drawn.customers)}"),
        **tabs,
    }


def _lists(drawn: _Drawn) -> _Addresses:
    return {
        "cases": lambda: _url("campaigns_case_changelist", state__exact="open"),
        "cases, search by name": lambda: _url("campaigns_case_changelist", q=drawn.words()),
        "invoices": lambda: _url("billing_invoice_changelist"),
        "invoices, open": lambda: _url("billing_invoice_changelist", status__exact="open"),
        "invoices, search by name": lambda: _url("billing_invoice_changelist", q=drawn.words()),
        "attempts": lambda: _url("billing_paymentattempt_changelist"),
        "log": lambda: _url("customers_interaction_changelist"),
        "log, from customers": lambda: _url("customers_interaction_changelist", actor_kind__exact="customer"),
        "log, search by name": lambda: _url("customers_interaction_changelist", q=drawn.words()),
        "messages": lambda: _url("campaigns_message_changelist"),
        "tasks": lambda: _url("campaigns_task_changelist", status__exact="open"),
        "dashboard": lambda: _url("index"),
        "look-up of customers": lambda: _url(
            "autocomplete", app_label="customers", model_name="contact", field_name="customer", term=drawn.words()
        ),
        "look-up of customers, nothing typed": lambda: _url(
            "autocomplete", app_label="customers", model_name="contact", field_name="customer", term=""
        ),
        "case": lambda: _url("campaigns_case_change", drawn.of(drawn.cases)),
        "invoice": lambda: _url("billing_invoice_change", drawn.of(drawn.invoices)),
    }


def _filters(drawn: _Drawn) -> _Addresses:
    customers, cases, invoices = (
        "customers_customer_changelist", "campaigns_case_changelist", "billing_invoice_changelist",
    )  # fmt: skip
    attempts, log = "billing_paymentattempt_changelist", "customers_interaction_changelist"
    messages, tasks = "campaigns_message_changelist", "campaigns_task_changelist"

    def each(name: str, url: str, filters: dict[str, dict[str, object]]) -> _Addresses:
        return {
            f"{name}, {words}": (lambda query=query: _url(url, **query))  # type: ignore[misc]
            for words, query in filters.items()
        }

    week = {"_from_0": "2026-03-01", "_from_1": "00:00:00", "_to_0": "2026-03-08", "_to_1": "00:00:00"}

    def during(field: str) -> dict[str, object]:
        return {f"{field}{part}": value for part, value in week.items()}

    return (
        each("customers", customers, {
            "of a brand": {"brand__id__exact": 2}, "by kind": {"kind__exact": "consumer"},
            "by country": {"country": "PL"}, "not dunned": {"no_dunning__exact": 1},
            "silenced (nobody)": {"do_not_contact__exact": 1},
            "bankrupt (three of them)": {"bankrupt__exact": 1}, "vulnerable": {"vulnerable__exact": 1},
            "of a week": during("created_at"), "by risk": {"risk__band__exact": "high"},
            "by rating": {"risk__rating__exact": "D"}, "of a segment": {"segment": "bench-late"},
            "by name": {"o": "1"},
        })
        | each("cases", cases, {
            "recovered": {"state__exact": "recovered"},
            "open, by next action": {"state__exact": "open", "o": "6"},
            "paused": {"state__exact": "paused"}, "by reason of the end": {"close_reason__exact": "exhausted"},
            "of a ladder without cases": {"ladder_version__ladder__id__exact": 1},
            "of one owner": {"owner__id__exact": 2}, "of a week": during("opened_at"),
            "due in a week": during("next_action_at"),
            "closed in a week": during("closed_at"), "of a segment": {"segment": "bench-late"},
            "last page": {"p": 40 if len(drawn.cases) >= 2_000 else 1},
        })
        | each("invoices", invoices, {
            "uncollectible": {"status__exact": "uncollectible"},
            "by hand (none)": {"collection_method__exact": "manual"},
            "to be tried": {"retry_state__exact": "planned"},
            "recovered by call (none)": {"recovered_by__exact": "call"},
            "recovered by mail": {"recovered_by__exact": "email"}, "of a brand": {"brand__id__exact": 2},
            "in a currency": {"currency": "USD"}, "in a currency nobody owes": {"currency": "JPY"},
            "by decline": {"last_decline_category": "insufficient_funds"}, "in a plan (none)": {"in_plan__exact": 1},
            "due in a week": during("due_at"), "failed in a week": during("first_failed_at"),
            "paid in a week": during("paid_at"), "of a segment": {"segment": "bench-late"},
            "by risk": {"risk__band__exact": "high"}, "by number": {"q": "B-77"}, "by id": {"q": "in_77"},
            "search for a common word": {"q": "Rossi"}, "search without a hit": {"q": "xylophone"},
            "by amount": {"o": "-5"}, "by due day": {"o": "6"},
            "last page": {"p": 40 if len(drawn.invoices) >= 2_000 else 1},
        })
        | each("attempts", attempts, {
            "planned": {"status__exact": "planned"}, "unknown (none)": {"status__exact": "unknown"},
            "by staff (none)": {"origin__exact": "staff"}, "of a week": during("at"),
            "planned for a week": during("scheduled_for"), "of a segment": {"segment": "bench-late"},
            "search by name": {"q": f"{LAST[0]} {TRADE[0]}"}, "search by number": {"q": "B-77"},
            "search without a hit": {"q": "xylophone"},
        })
        | each("log", log, {
            "of calls (none)": {"channel__exact": "call"}, "of mail": {"channel__exact": "email"},
            "told by customers": {"direction__exact": "in"}, "of a brand": {"customer__brand__id__exact": 2},
            "of a week": during("at"), "search for a common word": {"q": "Rossi"},
            "search without a hit": {"q": "xylophone"}, "search by subject": {"q": "invoice:77"},
            "last page": {"p": 40},
        })
        | each("messages", messages, {
            "bounced": {"status__exact": "bounced"}, "ambiguous (none)": {"status__exact": "ambiguous"},
            "receipts (none)": {"purpose__exact": "receipt"}, "of a week": during("queued_at"),
            "sent in a week": during("sent_at"), "of a segment": {"segment": "bench-late"},
            "search by name": {"q": f"{LAST[0]} {TRADE[0]}"},
            "search without a hit": {"q": "xylophone"},
        })
        | each("tasks", tasks, {
            "all": {}, "done": {"status__exact": "done"}, "to look into (none)": {"kind__exact": "review"},
            "of somebody": {"assignee__id__exact": 3}, "due in a week": during("due_at"),
            "of a segment": {"segment": "bench-late"},
            "search by name": {"q": f"{LAST[0]} {TRADE[0]}"},
        })
    )  # fmt: skip


def _details(drawn: _Drawn) -> _Addresses:
    page = "customers_customer_change"

    def timeline(**query: str) -> Callable[[], str]:
        return lambda: _url(page, BIG, tab="timeline", **query)

    return {
        **{
            f"customer with 5,000 lines, {section.slug}": (lambda slug=section.slug: _url(page, BIG, tab=slug))  # type: ignore[misc]
            for section in CustomerAdmin.page_sections
        },
        "customer with 5,000 lines, one by one": lambda: _url("campaigns_workitem_change", BIG),
        "timeline, a page further down": timeline(before="2025-06-01T00:00:00+00:00,1"),
        "timeline, calls": timeline(kind="calls"),
        "timeline, search": timeline(find="friday"),
        "timeline, search without a hit": timeline(find="xylophone"),
        "case, log": lambda: _url("campaigns_case_change", drawn.of(drawn.cases), tab="log"),
        "case, details": lambda: _url("campaigns_case_change", drawn.of(drawn.cases), tab="details"),
        "invoice, log": lambda: _url("billing_invoice_change", drawn.of(drawn.invoices), tab="log"),
        "invoice, details": lambda: _url("billing_invoice_change", drawn.of(drawn.invoices), tab="details"),
        "attempt": lambda: _url("billing_paymentattempt_change", _any(PaymentAttempt)),
        "message": lambda: _url("campaigns_message_change", _any(Message)),
        "task": lambda: _url("campaigns_task_change", _any(Task)),
        "call form": lambda: _url("customers_customer_do", drawn.of(drawn.customers), "call"),
        "promise form": lambda: _url("customers_customer_do", drawn.of(drawn.customers), "promise"),
        "merge form": lambda: _url("customers_customer_do", drawn.of(drawn.customers), "merge"),
    }


def _any(model: type) -> int:
    return int(model._default_manager.order_by("-pk").values_list("pk", flat=True)[10])  # type: ignore[attr-defined]


def _others(drawn: _Drawn) -> _Addresses:
    job = job_draft(act="cases.pause", targets=drawn.cases[:500], selection="bench", actor_id=drawn.user.pk, now=NOW)
    lists = {
        "payments": "billing_payment", "payment methods": "billing_paymentmethod",
        "subscriptions": "billing_subscription",
        "promises": "billing_promise", "late fees": "billing_fee", "inbox": "billing_inboxevent",
        "portal links": "portal_portallink", "contacts": "customers_contact", "consent": "customers_consentevent",
        "suppressions": "customers_suppression", "bulk acts": "customers_bulkjob", "hand-overs": "campaigns_handover",
    }  # fmt: skip
    return {
        **{name: (lambda model=model: _url(f"{model}_changelist")) for name, model in lists.items()},  # type: ignore[misc]
        "inbox, failed": lambda: _url("billing_inboxevent_changelist", status__exact="failed"),
        "payments, search by name": lambda: _url("billing_payment_changelist", q=drawn.words()),
        "bulk confirm page, 500 cases": lambda: _url("customers_bulkjob_confirm", job.pk),
        "bulk job, rows": lambda: _url("customers_bulkjob_change", job.pk, tab="rows"),
        "duplicates": lambda: _url("customers_customer_duplicates"),
        "export, asked": lambda: _url("customers_customer_export"),
        "segments": lambda: _url("campaigns_segment_changelist"),
        "sidebar search": lambda: _url("search", s=drawn.rng.choice(FIRST)),
        "give out work": lambda: _url("campaigns_workitem_give", tab="free"),
    }
