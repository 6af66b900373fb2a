"""Forms of what staff agree on about debts: a plan, a dispute, a credit; for any page that shows a customer."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from billing import money
from billing.approvals.credit import PERMISSION as MAY_CREDIT
from billing.approvals.credit import credit_request
from billing.disputes import dispute_open
from billing.models import Invoice, InvoiceStatus, PaymentPlan
from billing.plans.offering import obstacles_told, plan_because, plan_offers
from billing.plans.services import plan_create
from billing.retries.eligibility import usable
from customers.admin.page import Asked, PageAction
from customers.display import customer_zone, zone
from customers.models import Customer

#: Gives the customer a row is about, and the id of the brand the debts are owed to.
Whose = Callable[[Any], tuple[Customer, int]]
#: Who may agree on a plan beyond the brand's rules.
BEYOND_RULES = "billing.change_planpolicy"


class InvoiceField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """An open invoice, with what is left on it."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj} · {money.display(obj.balance, obj.currency)}"


def open_invoices(customer: Customer, brand_id: int) -> Any:
    """What a customer owes a brand, oldest first."""
    rows = customer.invoices.filter(brand_id=brand_id, status=InvoiceStatus.OPEN, balance__gt=0)
    return rows.order_by("due_at", "id")


class _OverInvoices(forms.Form):
    """A form over one of the invoices its page gives it."""

    invoice = InvoiceField(label=_("Invoice"), queryset=Invoice.objects.none(), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["invoice"].queryset = self.initial.get("invoices", Invoice.objects.none())  # type: ignore[attr-defined]


class DisputeForm(_OverInvoices):
    """Which invoice is contested, how much of it, why, and who looks into it."""

    reason = forms.CharField(label=_("Reason"), max_length=100, widget=UnfoldAdminTextInputWidget)
    amount = forms.DecimalField(
        label=_("Disputed amount"),
        required=False,
        max_digits=18,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_("Empty: all of it."),
    )
    owner = forms.ModelChoiceField(
        label=_("Who looks into it"),
        queryset=get_user_model().objects.filter(is_active=True, is_staff=True).order_by("username"),
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    note = forms.CharField(label=_("What they say"), max_length=5000, required=False, widget=UnfoldAdminTextareaWidget)


class CreditForm(_OverInvoices):
    """How much of which invoice is given up, and why."""

    amount = forms.DecimalField(label=_("Amount"), max_digits=18, widget=UnfoldAdminDecimalFieldWidget)
    reason = forms.CharField(label=_("Reason"), max_length=255, widget=UnfoldAdminTextInputWidget)


class PlanForm(forms.Form):
    """How many instalments of all that is owed in one currency, from when on, and whether they are charged."""

    key = forms.CharField(widget=forms.HiddenInput, max_length=60)
    currency = forms.ChoiceField(label=_("Over what is owed in"), widget=UnfoldAdminSelectWidget)
    count = forms.IntegerField(
        label=_("Instalments"), min_value=2, max_value=60, widget=UnfoldAdminTextInputWidget({"inputmode": "numeric"})
    )
    interval = forms.ChoiceField(
        label=_("Interval"), choices=PaymentPlan.Interval.choices, widget=UnfoldAdminSelectWidget
    )
    first_on = forms.DateField(label=_("First instalment on"), widget=UnfoldAdminSingleDateWidget)
    method = forms.TypedChoiceField(
        label=_("Charged to"), coerce=int, empty_value=None, required=False, widget=UnfoldAdminSelectWidget
    )
    note = forms.CharField(label=_("Note"), max_length=500, required=False, widget=UnfoldAdminTextInputWidget)
    beyond_rules = forms.BooleanField(
        label=_("Pass the rules"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("For who may decide so; the log says which rule was passed."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, given in (("currency", "currencies"), ("method", "methods")):
            self.fields[name].choices = self.initial.get(given, [])  # type: ignore[attr-defined]


def _over(customer: Customer, brand_id: int) -> dict[str, Any]:
    rows = open_invoices(customer, brand_id)
    first = rows.first()
    return {"invoices": rows, "invoice": first.pk if first else None}


def _plan_initial(customer: Customer, brand_id: int, now: datetime) -> dict[str, Any]:
    sums = money.totals(open_invoices(customer, brand_id).values_list("balance", "currency"))
    methods = [row for row in customer.payment_methods.filter(source=customer.source) if usable(row)]
    default = next((row.pk for row in methods if row.is_default), "")
    return {
        "key": uuid.uuid4().hex,
        "currencies": [(code, money.display(owed, code)) for code, owed in sums.items()],
        "count": 3,
        "interval": PaymentPlan.Interval.MONTH,
        "first_on": now.astimezone(zone(customer_zone(customer))).date() + timedelta(days=1),
        "methods": [("", _("nothing: they pay themselves")), *((row.pk, str(row)) for row in methods)],
        "method": default,
    }


def _offers(customer: Customer, brand_id: int, now: datetime) -> dict[str, Any]:
    """What the rules offer, in words, beside the form."""
    currencies = money.totals(open_invoices(customer, brand_id).values_list("balance", "currency"))
    shown = []
    for currency in currencies:
        found = plan_offers(customer_id=customer.pk, brand_id=brand_id, currency=currency, now=now)
        shown += [
            (
                offer.count,
                PaymentPlan.Interval(offer.interval).label,
                money.display(offer.parts[0].amount, currency),
                offer.parts[-1].due_on,
            )
            for offer in found
        ]
    told = [
        each
        for currency in currencies
        for each in plan_because(customer_id=customer.pk, brand_id=brand_id, currency=currency, now=now)
    ]
    owed = open_invoices(customer, brand_id)
    why = obstacles_told(owed, zone(customer_zone(customer)))
    return {"offers": shown, "because": dict.fromkeys(told), "obstacles": why}


def _open_dispute(asked: Asked) -> str:
    invoice, amount, owner = asked.data["invoice"], asked.data["amount"], asked.data["owner"]
    dispute_open(
        invoice_id=invoice.pk,
        amount=None if amount is None else money.to_minor(amount, invoice.currency),
        reason=asked.data["reason"],
        note=asked.data["note"],
        owner_id=owner.pk if owner else None,
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return _now("The invoice is left alone until the dispute is answered.")


def _credit(asked: Asked) -> str:
    invoice = asked.data["invoice"]
    outcome = credit_request(
        invoice_id=invoice.pk,
        amount=money.to_minor(asked.data["amount"], invoice.currency),
        reason=asked.data["reason"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return outcome.words


def _agree(asked: Asked, customer: Customer, brand_id: int) -> str:
    data = asked.data
    plan = plan_create(
        customer_id=customer.pk,
        brand_id=brand_id,
        currency=data["currency"],
        count=data["count"],
        interval=data["interval"],
        first_on=data["first_on"],
        payment_method_id=data["method"],
        note=data["note"],
        beyond_rules=data["beyond_rules"] and asked.request.user.has_perm(BEYOND_RULES),
        key=data["key"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return _now("The plan is agreed on; it has %(count)d instalments.") % {"count": plan.instalments.count()}


def debt_actions(whose: Whose, fits: Callable[[Any], bool]) -> list[PageAction]:
    """Plan, dispute and credit for a page whose rows `whose` turns into a customer and a brand."""

    def over(obj: Any, now: datetime) -> dict[str, Any]:
        return _over(*whose(obj))

    def offered(request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        return _offers(*whose(obj), now)

    return [
        PageAction(
            slug="plan",
            label=_("Agree on a plan"),
            icon="calendar_month",
            permission="billing.add_paymentplan",
            question=_("Nothing is pressed for, or charged as a whole, while the plan is kept."),
            form=PlanForm,
            initial=lambda obj, now: _plan_initial(*whose(obj), now),
            details="admin/billing/plan_offers.html",
            load=offered,
            fits=fits,
            run=lambda asked: _agree(asked, *whose(asked.obj)),
            keeps_form=True,
            order=22,
        ),
        PageAction(
            slug="dispute",
            label=_("Note a dispute"),
            icon="gavel",
            permission="billing.add_dispute",
            question=_("The invoice leaves the ladder and is not charged until the dispute is answered."),
            form=DisputeForm,
            initial=over,
            fits=fits,
            run=_open_dispute,
            keeps_form=True,
            order=24,
        ),
        PageAction(
            slug="credit",
            label=_("Credit"),
            icon="money_off",
            permission=MAY_CREDIT,
            question=_(
                "Gives up a part of what an invoice asks for. Above your limit somebody else approves it first."
            ),
            form=CreditForm,
            initial=over,
            fits=fits,
            run=_credit,
            keeps_form=True,
            order=26,
        ),
    ]
