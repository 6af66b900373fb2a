"""Admin of the ways a debt rests: promises, plans, disputes. Looked at and ended here, by their services."""

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from billing.admin.columns import DISPUTE, PLAN, PROMISE, amount, money_column
from billing.approvals.credit import PERMISSION as MAY_CREDIT
from billing.approvals.credit import credit_request
from billing.disputes import dispute_answer, dispute_assign
from billing.gateways import is_chargeable
from billing.models import Dispute, PaymentPlan, PlanInstalment, Promise
from billing.money import display as display_money
from billing.plans.services import plan_cancel
from customers.admin.base import ReadOnlyAdmin, choice_badge
from customers.admin.bulk import BulkAdmin
from customers.admin.filters import DayRangeFilter, MomentRangeFilter
from customers.admin.page import Asked, PageAction, PageAdmin


@admin.register(Promise)
class PromiseAdmin(PageAdmin, BulkAdmin, ReadOnlyAdmin):
    empty_text = _("Promises to pay appear here; staff note them on a customer's case.")
    list_display = ("customer", "money", "promised_on", "state", "actor", "created_at", "note")
    list_select_related = ("customer", "actor")
    list_filter = (("status", ChoicesDropdownFilter), ("promised_on", DayRangeFilter))
    search_trigram = ("customer__name", "customer__email")
    ordering = ("-id",)
    fields = (
        ("customer", "brand"), ("money", "promised_on"), ("status", "expires_at"), "note",
        ("actor", "created_at", "closed_at"),
    )  # fmt: skip
    readonly_fields = ("money",)
    money = money_column("amount", _("amount"))

    def page_title(self, obj: Promise) -> str:
        return f"{obj.customer} · {display_money(obj.amount, obj.currency)}"

    def page_customer(self, obj: Promise) -> int:
        return obj.customer_id

    @display(description=_("status"), ordering="status")
    def state(self, row: Promise) -> str:
        return choice_badge(row, "status", PROMISE)


class AnswerForm(forms.Form):
    """What is said to the customer, or why; it goes into their log."""

    answer = forms.CharField(label=_("In words"), max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))


class OwnerForm(forms.Form):
    """A member of staff, or nobody."""

    owner = forms.ModelChoiceField(
        label=_("Owner"),
        queryset=get_user_model().objects.filter(is_active=True, is_staff=True).order_by("username"),
        required=False,
        widget=UnfoldAdminSelectWidget,
    )


class InstalmentInline(TabularInline):
    model = PlanInstalment
    extra = 0
    can_delete = False
    fields = ("number", "due_on", "money", "paid_at")
    readonly_fields = fields

    @display(description=_("amount"))
    def money(self, row: PlanInstalment) -> str:
        return amount(row.amount, row.plan.currency)

    def get_queryset(self, request: HttpRequest):  # type: ignore[no-untyped-def]
        return super().get_queryset(request).select_related("plan")

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


def _end_plan(asked: Asked) -> str:
    plan_cancel(plan_id=asked.obj.pk, reason=asked.data["answer"], actor_id=asked.actor_id, now=asked.now)
    return _now("The plan has ended; what is left is pressed for again.")


@admin.register(PaymentPlan)
class PaymentPlanAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = _("Payment plans agreed with customers appear here.")
    list_display = ("__str__", "customer", "currency", "state", "created_at", "closed_at")
    list_select_related = ("customer",)
    list_filter = (("status", ChoicesDropdownFilter), ("created_at", MomentRangeFilter))
    search_trigram = ("customer__name", "customer__email")
    ordering = ("-id",)
    fields = (
        ("customer", "brand"), ("money", "status"), ("interval", "payment_method"), ("created_at", "closed_at"),
        ("actor", "note"), "invoices",
    )  # fmt: skip
    readonly_fields = ("money",)
    money = money_column("amount", _("amount"))
    inlines = (InstalmentInline,)
    page_actions = [
        PageAction(
            slug="end",
            label=_("End the plan"),
            icon="close",
            permission="billing.change_paymentplan",
            question=_("What is left is pressed for and charged again as before the plan."),
            form=AnswerForm,
            fits=lambda plan: plan.status == PaymentPlan.Status.ACTIVE,
            run=_end_plan,
            danger=True,
        ),
    ]

    def page_customer(self, obj: PaymentPlan) -> int:
        return obj.customer_id

    @display(description=_("status"), ordering="status")
    def state(self, row: PaymentPlan) -> str:
        return choice_badge(row, "status", PLAN)


def _is_open(dispute: Dispute) -> bool:
    return dispute.status == Dispute.Status.OPEN and not is_chargeable(dispute.source)


def _answer(asked: Asked, status: str) -> str:
    dispute_answer(
        dispute_id=asked.obj.pk, status=status, answer=asked.data["answer"], actor_id=asked.actor_id, now=asked.now
    )
    return _now("The dispute is answered.")


def _grant(asked: Asked) -> str:
    """They were right: the disputed amount is credited with the answer, or asked for where that is above the limit."""
    dispute = asked.obj
    _answer(asked, Dispute.Status.LOST)
    outcome = credit_request(
        invoice_id=dispute.invoice_id,
        amount=dispute.amount,
        reason=asked.data["answer"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return outcome.words


def _hand_over(asked: Asked) -> str:
    owner = asked.data["owner"]
    dispute_assign(
        dispute_id=asked.obj.pk, owner_id=owner.pk if owner else None, actor_id=asked.actor_id, now=asked.now
    )
    return _now("The owner is set.")


@admin.register(Dispute)
class DisputeAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = _("Charges that customers dispute with their bank, and invoices they dispute with us, appear here.")
    list_display = ("__str__", "invoice", "customer", "money", "state", "owner", "opened_at", "closed_at")
    list_select_related = ("invoice__customer", "owner")
    list_filter = (("status", ChoicesDropdownFilter), ("opened_at", MomentRangeFilter))
    search_exact = ("external_id", "invoice__number")
    search_trigram = ("invoice__customer__name", "invoice__customer__email")
    ordering = ("-id",)
    fields = (
        "invoice", ("money", "reason"), "note", ("status", "owner"), "resolution", ("opened_at", "closed_at"),
        ("source", "external_id"),
    )  # fmt: skip
    page_actions = [
        PageAction(
            slug="uphold",
            label=_("The invoice stands"),
            icon="check",
            permission="billing.change_dispute",
            question=_("The invoice is pressed for and charged again."),
            form=AnswerForm,
            fits=_is_open,
            run=lambda asked: _answer(asked, Dispute.Status.WON),
            order=10,
        ),
        PageAction(
            slug="grant",
            label=_("They are right: credit it"),
            icon="money_off",
            permission=MAY_CREDIT,
            question=_("The disputed amount is credited. Above your limit somebody else approves it first."),
            form=AnswerForm,
            fits=_is_open,
            run=_grant,
            order=20,
        ),
        PageAction(
            slug="withdrawn",
            label=_("They took it back"),
            icon="undo",
            permission="billing.change_dispute",
            form=AnswerForm,
            fits=_is_open,
            run=lambda asked: _answer(asked, Dispute.Status.WITHDRAWN),
            order=30,
        ),
        PageAction(
            slug="assign",
            label=_("Assign"),
            icon="person_add",
            permission="billing.change_dispute",
            form=OwnerForm,
            initial=lambda dispute, now: {"owner": dispute.owner_id},
            fits=_is_open,
            run=_hand_over,
            order=40,
        ),
    ]
    readonly_fields = ("money",)
    money = money_column("amount", _("amount"))

    @display(description=_("customer"))
    def customer(self, row: Dispute) -> str:
        return str(row.invoice.customer)

    @display(description=_("status"), ordering="status")
    def state(self, row: Dispute) -> str:
        return choice_badge(row, "status", DISPUTE)
