"""The task list: what people have to do, soonest first."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from campaigns.admin.call_form import PLAIN_OUTCOMES
from campaigns.admin.columns import TASK, link
from campaigns.admin.contact import contact_badge, contact_fact, load_verdicts
from campaigns.admin.segments import OwnedSegmentFilter
from campaigns.models import Task
from campaigns.services.tasks import task_cancel, task_complete
from customers import clock
from customers.admin.base import ReadOnlyAdmin
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import Asked, Fact, PageAction, PageAdmin, staff_id
from customers.admin.practice import PracticeFilter
from customers.display import badge, choice_badge, when
from customers.errors import SollecitoError
from customers.models import Channel


class ReasonForm(forms.Form):
    """Why; goes into the customer's log."""

    outcome = forms.CharField(label=_("Why"), max_length=2000, required=False, widget=UnfoldAdminTextareaWidget)


class OutcomeForm(forms.Form):
    """What came of it; goes into the customer's log."""

    call = forms.ChoiceField(
        label=_("How the call ended"),
        choices=[("", "–"), *PLAIN_OUTCOMES],
        required=False,
        help_text=_(
            "For calls; without it the call counts as a conversation. One with a promise, a dispute or a time to "
            "call back is logged with “Log a call” on the customer's page."
        ),
        widget=UnfoldAdminSelectWidget,
    )
    outcome = forms.CharField(
        label=_("What came of it"), max_length=2000, required=False, widget=UnfoldAdminTextareaWidget
    )


def _facts(request: HttpRequest, task: Task, now: datetime) -> list[Fact]:
    facts = [
        Fact(_("Customer"), link("customers_customer", task.customer_id, task.customer), 10),
        Fact(_("Status"), choice_badge(task, "status", TASK), 30),
        Fact(_("Due"), when(task.due_at), 40),
        Fact(_("Assigned to"), str(task.assignee or "–"), 50),
    ]
    if task.case_id:
        facts.append(Fact(_("Case"), link("campaigns_case", task.case_id, f"#{task.case_id}"), 20))
        if _is_open(task) and task.case is not None and (contact := contact_fact(task.case, now)) is not None:
            facts.append(contact)
    return facts


def _complete(asked: Asked) -> str:
    task_complete(
        task_id=asked.obj.pk,
        outcome=asked.data["outcome"],
        call=asked.data["call"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return _now("Done; it is in the customer's log.")


def _cancel(asked: Asked) -> str:
    task_cancel(task_id=asked.obj.pk, reason=asked.data["outcome"], actor_id=asked.actor_id, now=asked.now)
    return _now("The task was cancelled.")


def _is_open(task: Task) -> bool:
    return task.status == Task.Status.OPEN


@admin.register(Task)
class TaskAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = _("Calls, answers and questions that need a person appear here.")
    list_display = ("title", "kind", "customer", "due", "contact", "state", "assignee", "case")
    list_select_related = ("customer", "assignee", "case")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        OwnedSegmentFilter,
        ("assignee", AutocompleteSelectFilter),
        ("due_at", MomentRangeFilter),
        PracticeFilter,
    )
    search_trigram = ("customer__name", "customer__email")
    ordering = ("due_at", "id")
    actions = ("mark_done",)
    fields = ("title", "notes", ("kind", "status"), ("due_at", "created_at", "closed_at"), "assignee")
    page_facts = [_facts]
    page_actions = [
        PageAction(
            slug="done",
            label=_("Mark done"),
            icon="task_alt",
            permission="campaigns.change_task",
            form=OutcomeForm,
            fits=_is_open,
            run=_complete,
        ),
        PageAction(
            slug="cancel",
            label=_("Cancel the task"),
            icon="close",
            permission="campaigns.change_task",
            form=ReasonForm,
            fits=_is_open,
            run=_cancel,
            danger=True,
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        return super().get_queryset(request).select_related("customer", "assignee", "case")

    @display(description=_("status"), ordering="status")
    def state(self, row: Task) -> str:
        return choice_badge(row, "status", TASK)

    def prepare_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        calls = {row.case_id for row in rows if row.kind == Task.Kind.CALL and _is_open(row) and row.case_id}
        verdicts = load_verdicts(calls, clock.now(), (Channel.CALL,))
        for row in rows:
            row.verdicts = verdicts.get(row.case_id, []) if row.kind == Task.Kind.CALL and _is_open(row) else []

    @display(description=_("call now?"))
    def contact(self, row: Any) -> str:
        return contact_badge(getattr(row, "verdicts", []))

    @display(description=_("due"), ordering="due_at")
    def due(self, row: Task) -> str:
        late = _is_open(row) and row.due_at <= clock.now()
        return format_html("{} {}", when(row.due_at), badge(_("due"), "danger") if late else "")

    def has_settle_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("campaigns.change_task")

    @admin.action(description=_("Mark done"), permissions=["settle"])
    def mark_done(self, request: HttpRequest, queryset: Any) -> None:
        now, done, skipped = clock.now(), 0, 0
        for pk in queryset.values_list("pk", flat=True)[: self.list_per_page]:
            try:
                task_complete(task_id=pk, outcome="", actor_id=staff_id(request), now=now)
                done += 1
            except SollecitoError:
                skipped += 1
        self.message_user(
            request,
            _now("%(done)d done, %(skipped)d left alone because they were closed already.")
            % {"done": done, "skipped": skipped},
        )
