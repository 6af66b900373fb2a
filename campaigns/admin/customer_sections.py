"""What campaigns add to the customer page: cases, tasks, messages, and whether one may write now."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from billing.admin.arrangements import PromiseAdmin
from billing.admin.debt_forms import debt_actions
from billing.admin.facts import PaymentAttemptAdmin
from billing.admin.invoices import InvoiceAdmin
from billing.models import Promise
from campaigns.admin.call_form import call_action
from campaigns.admin.case_actions import CASE_ACTIONS, ReasonForm
from campaigns.admin.columns import CASE, MESSAGE, TASK, link
from campaigns.admin.contact import contact_fact
from campaigns.admin.notes import note_action
from campaigns.admin.own_ladder import own_ladder
from campaigns.admin.promise_form import live_case, promise_action, standing_of, take_back_action
from campaigns.admin.rungs import ladder_shown
from campaigns.admin.segments import OwnedSegmentFilter, SegmentFilter
from campaigns.admin.standing import live_cases
from campaigns.models import Case, CaseState, Task
from customers.admin.customer import CustomerAdmin
from customers.admin.page import Asked, EmptyForm, Fact, PageAction, Section
from customers.bulk.acts import act_on_one
from customers.display import choice_badge, customer_zone, when
from customers.models import Customer

LIMIT = 100


def _live_case(request: HttpRequest, customer: Customer, now: datetime) -> list[Fact]:
    facts = []
    for case in live_cases(customer)[:3]:
        rests = case.state != CaseState.OPEN
        moment = case.rests_until if rests else case.next_action_at
        value = format_html(
            "{} {}<span class='sol-sub'>{}</span><span class='sol-sub'>{}</span>",
            link("campaigns_case", case.pk, case),
            choice_badge(case, "state", CASE),
            format_html(_now("until {}") if rests else "{}", when(moment, customer_zone(customer))) if moment else "",
            (case.rest_reason if rests else case.next_action_reason) or case.rest_reason,
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
    if live := next(iter(live_cases(customer)), None):
        shown = {"live": live, **ladder_shown(live, now, customer_zone(customer))}
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
#: Acts on a case that a customer's page offers too, for the live one.
_OF_THE_CASE = ("write", "pause", "resume", "skip", "assign", "close")


def _on_customer(action: PageAction) -> PageAction:
    """An act on a case as the customer's page offers it."""

    def case_of(customer: Customer) -> Case | None:
        return live_case(customer)[1]

    def fits(customer: Customer) -> bool:
        case = case_of(customer)
        return case is not None and action.fits(case)

    return replace(
        action,
        fits=fits,
        initial=lambda customer, now: action.initial(case_of(customer), now),
        load=lambda request, customer, now: action.load(request, case_of(customer), now),
        run=lambda asked: action.run(replace(asked, obj=case_of(asked.obj))),
    )


def _is_silenced(customer: Customer) -> bool:
    return customer.do_not_contact


def _may_be_contacted(customer: Customer) -> bool:
    return not customer.do_not_contact


def _silence(asked: Asked) -> str:
    return _contact(asked, "customers.do_not_contact", asked.data["reason"], _now("Nobody writes or calls any more."))


def _unsilence(asked: Asked) -> str:
    # What is taken back is what was set for a reason: that reason goes with it.
    return _contact(asked, "customers.contact_again", asked.obj.exclusion_reason, _now("They may be contacted again."))


def _contact(asked: Asked, slug: str, reason: str, words: str) -> str:
    act_on_one(slug=slug, row_id=asked.obj.pk, params={"reason": reason}, actor_id=asked.actor_id, now=asked.now)
    return words


for _action in CASE_ACTIONS:
    if _action.slug in _OF_THE_CASE:
        CustomerAdmin.add_action(_on_customer(_action))
for _on, _label in ((True, _("Do not contact")), (False, _("Let them be contacted"))):
    CustomerAdmin.add_action(
        PageAction(
            slug="silence" if _on else "unsilence",
            label=_label,
            icon="notifications_off" if _on else "notifications",
            permission="customers.change_customer",
            question=_("Holds for every channel, for people and for the ladder."),
            form=ReasonForm if _on else EmptyForm,
            fits=_may_be_contacted if _on else _is_silenced,
            run=_silence if _on else _unsilence,
            order=80,
        )
    )
for _action in debt_actions(lambda customer: (customer, customer.brand_id), lambda customer: True):
    CustomerAdmin.add_action(_action)
CustomerAdmin.add_action(promise_action(live_case))
CustomerAdmin.add_action(take_back_action(standing_of(live_case)))
PromiseAdmin.add_action(take_back_action(lambda promise: promise if promise.status == Promise.Status.OPEN else None))
CustomerAdmin.add_section(
    Section("cases", _("Case and ladder"), "admin/campaigns/customer/cases.html", _cases, "campaigns.view_case", 30)
)
CustomerAdmin.add_section(
    Section(
        "messages", _("Messages"), "admin/campaigns/customer/messages.html", _messages, "campaigns.view_message", 60
    )
)
