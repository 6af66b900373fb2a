"""The form a promise to pay is noted with, and what every form about a debt starts from."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextInputWidget,
)

from billing import money
from billing.admin.debt_forms import open_invoices
from billing.models import Invoice
from campaigns.admin.standing import live_cases
from campaigns.models import Case
from campaigns.services.calls import suggested_day
from campaigns.services.promises import PROMISE_GRACE_AT_MOST, PROMISE_GRACE_DAYS, promise_record
from customers.admin.page import Asked, PageAction
from customers.models import Customer

#: Turns the row of a page into the customer and their live case, if there is one.
Whose = Callable[[Any], tuple[Customer, Case | None]]


class InvoicesField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Open invoices with what is left on each."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj} · {money.display(obj.balance, obj.currency)}"


class PromiseForm(forms.Form):
    """How much, in major units as people say it, of which currency, by which day of the customer's."""

    amount = forms.DecimalField(
        label=_("Amount"), min_value=Decimal(0), max_digits=18, widget=UnfoldAdminDecimalFieldWidget
    )
    currency = forms.CharField(label=_("Currency"), min_length=3, max_length=3, widget=UnfoldAdminTextInputWidget)
    promised_on = forms.DateField(label=_("Paid by the end of"), widget=UnfoldAdminSingleDateWidget)
    grace_days = forms.IntegerField(
        label=_("Days of grace"),
        required=False,
        min_value=0,
        max_value=PROMISE_GRACE_AT_MOST,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric"}),
    )
    invoices = InvoicesField(
        label=_("For which invoices"),
        queryset=Invoice.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None ticked: for all that is owed."),
    )
    note = forms.CharField(label=_("Note"), max_length=500, required=False, widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["invoices"].queryset = self.initial.get("open", Invoice.objects.none())  # type: ignore[attr-defined]


def brand_of(customer: Customer, case: Case | None) -> int:
    """The brand the debts are owed to: the case's, else the customer's own."""
    return case.brand_id if case is not None else customer.brand_id


def all_owed(customer: Customer, case: Case | None) -> dict[str, Any]:
    """All that is owed in the largest currency, as `amount` (major units) and `currency`; empty for nothing."""
    sums = money.totals(open_invoices(customer, brand_of(customer, case)).values_list("balance", "currency"))
    if not sums:
        return {}
    currency = max(sums, key=lambda code: money.to_major(sums[code], code))
    return {"amount": money.to_major(sums[currency], currency), "currency": currency}


def live_case(customer: Customer) -> tuple[Customer, Case | None]:
    """The row of a customer's page as an act on their case takes it."""
    return customer, next(iter(live_cases(customer)), None)


def _initial(customer: Customer, case: Case | None, now: datetime) -> dict[str, Any]:
    return {
        "promised_on": suggested_day(now, customer),
        "grace_days": PROMISE_GRACE_DAYS,
        "open": open_invoices(customer, brand_of(customer, case)),
        **all_owed(customer, case),
    }


def _take(asked: Asked, customer: Customer, case: Case | None) -> str:
    data, currency = asked.data, asked.data["currency"].upper()
    promise_record(
        customer_id=customer.pk,
        brand_id=brand_of(customer, case),
        amount=money.to_minor(data["amount"], currency),
        currency=currency,
        promised_on=data["promised_on"],
        grace_days=PROMISE_GRACE_DAYS if data["grace_days"] is None else data["grace_days"],
        invoice_ids=[invoice.pk for invoice in data["invoices"]],
        note=data["note"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return _now("The promise is recorded; nobody writes until it is due.")


def promise_action(whose: Whose, fits: Callable[[Any], bool] = lambda obj: True) -> PageAction:
    """“Record promise” for a page whose rows `whose` turns into a customer and their live case."""
    return PageAction(
        slug="promise",
        label=_("Record promise"),
        icon="handshake",
        permission="billing.add_promise",
        question=_("Until the promised day and its grace have passed nobody writes and nothing is charged."),
        form=PromiseForm,
        initial=lambda obj, now: _initial(*whose(obj), now),
        fits=fits,
        run=lambda asked: _take(asked, *whose(asked.obj)),
        keeps_form=True,
        order=20,
    )
