"""What campaigns add to the customer page: cases, tasks, messages, and whether one may write now."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from billing.admin.debt_forms import debt_actions
from billing.admin.facts import PaymentAttemptAdmin
from billing.admin.invoices import InvoiceAdmin
from campaigns.admin.call_form import call_action
from campaigns.admin.columns import CASE, MESSAGE, TASK, link
from campaigns.admin.contact import contact_fact
from campaigns.admin.notes import note_action
from campaigns.admin.own_ladder import own_ladder
from campaigns.admin.promise_form import live_case, promise_action
from campaigns.admin.rungs import rungs
from campaigns.admin.segments import OwnedSegmentFilter, SegmentFilter
from campaigns.models import EndAction, Task
from campaigns.models.case import LIVE_STATES
from customers.admin.customer import CustomerAdmin
from customers.admin.page import Fact, Section
from customers.display import choice_badge, customer_zone, when
from customers.models import Customer

LIMIT = 100


def _live_case(request: HttpRequest, customer: Customer, now: datetime) -> list[Fact]:
    facts = []
    for case in customer.cases.filter(state__in=LIVE_STATES).order_by("id")[:3]:
        value = format_html(
            "{} {}<span class='sol-sub'>{} {}</span>",
            link("campaigns_case", case.pk, case),
            choice_badge(case, "state", CASE),
            when(case.next_action_at) if case.next_action_at else "",
            case.next_action_reason or case.rest_reason,
        )
        facts.append(Fact(_("Case"), value, 40))
        if not facts[1:] and (contact := contact_fact(case, now)) is not None:
            facts.append(contact)
    return facts


def _cases(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    """Every case, the live one's ladder with what was done, put off and is foreseen, and the tasks."""
    cases = list(customer.cases.select_related("ladder_version__ladder", "owner")[:LIMIT])
    tasks = Task.objects.filter(customer=customer).select_related("assignee").order_by("-id")[:LIMIT]
    shown = {}
    live = next((row for row in cases if row.state in LIVE_STATES), None)
    if live is not None:
        steps, end = rungs(live, now)
        shown = {
            "live": live,
            "rungs": steps,
            "ladder_end": end,
            "end_actions": [EndAction(code).label for code in live.ladder_version.end_actions],
            "zone": customer_zone(customer),
        }
    if request.user.has_perm("campaigns.view_ladderoverride"):
        shown |= {"shows_own": True, **own_ladder(customer)}
    return shown | {
        "cases": [(row, choice_badge(row, "state", CASE)) for row in cases],
        "tasks": [(row, choice_badge(row, "status", TASK)) for row in tasks],
    }


def _messages(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    rows = customer.messages.select_related("template_version__template").defer("html", "text").order_by("-id")[:LIMIT]
    return {"sent": [(row, choice_badge(row, "status", MESSAGE)) for row in rows]}


class AttemptSegmentFilter(SegmentFilter):
    owner = "invoice__customer"


CustomerAdmin.list_filter = (SegmentFilter, *CustomerAdmin.list_filter)
InvoiceAdmin.list_filter = (*InvoiceAdmin.list_filter, OwnedSegmentFilter)
PaymentAttemptAdmin.list_filter = (*PaymentAttemptAdmin.list_filter, AttemptSegmentFilter)
CustomerAdmin.add_action(note_action(lambda customer: customer.pk))
CustomerAdmin.add_fact(_live_case)
CustomerAdmin.add_action(call_action(live_case))
for _action in debt_actions(lambda customer: (customer, customer.brand_id), lambda customer: True):
    CustomerAdmin.add_action(_action)
CustomerAdmin.add_action(promise_action(live_case))
CustomerAdmin.add_section(
    Section("cases", _("Case and ladder"), "admin/campaigns/customer/cases.html", _cases, "campaigns.view_case", 30)
)
CustomerAdmin.add_section(
    Section(
        "messages", _("Messages"), "admin/campaigns/customer/messages.html", _messages, "campaigns.view_message", 60
    )
)
