"""The forms a promise to pay is noted and taken back with, and what every form about a debt starts from."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing import money
from billing.admin.debt_forms import open_invoices
from billing.models import Invoice, Promise
from campaigns.admin.standing import live_cases
from campaigns.models import Case
from campaigns.services.calls import Promised, suggested_day
from campaigns.services.promise_back import promise_cancel
from campaigns.services.promises import PROMISE_GRACE_AT_MOST, PROMISE_GRACE_DAYS, promise_record
from customers.admin.page import Asked, PageAction
from customers.models import Customer

#: Turns the row of a page into the customer and their live case, if there is one.
Whose = Callable[[Any], tuple[Customer, Case | None]]


class InvoicesField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Open invoices with what is left on each."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj} · {money.display(obj.balance, obj.currency)}"


class PromiseFields(forms.Form):
    """How much, in major units as people say it, of which currency, by which day of the customer's, for what."""

    promise_amount = forms.DecimalField(
        label=_("Promised amount"),
        required=False,
        min_value=Decimal(0),
        max_digits=18,
        widget=UnfoldAdminDecimalFieldWidget,
    )
    promise_currency = forms.CharField(
        label=_("Currency"), required=False, min_length=3, max_length=3, widget=UnfoldAdminTextInputWidget
    )
    promised_on = forms.DateField(label=_("Paid by the end of"), required=False, widget=UnfoldAdminSingleDateWidget)
    grace_days = forms.IntegerField(
        label=_("Days of grace"),
        required=False,
        min_value=0,
        max_value=PROMISE_GRACE_AT_MOST,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric"}),
    )
    promise_invoices = InvoicesField(
        label=_("For which invoices"),
        queryset=Invoice.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None ticked: for all that is owed."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["promise_invoices"].queryset = self.initial.get("invoices", Invoice.objects.none())  # type: ignore[attr-defined]


#: Without these there is no promise.
NEEDED = ("promise_amount", "promise_currency", "promised_on")


class PromiseForm(PromiseFields):
    """A promise by itself, not taken on the telephone."""

    note = forms.CharField(label=_("Note"), max_length=500, required=False, widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in NEEDED:
            self.fields[name].required = True


def promised(data: Mapping[str, Any]) -> Promised:
    """What the cleaned PromiseFields say."""
    currency = data["promise_currency"].upper()
    return Promised(
        amount=money.to_minor(data["promise_amount"], currency),
        currency=currency,
        by=data["promised_on"],
        grace_days=PROMISE_GRACE_DAYS if data["grace_days"] is None else data["grace_days"],
        invoice_ids=[invoice.pk for invoice in data["promise_invoices"]],
    )


def promise_initial(customer: Customer, case: Case | None, now: datetime) -> dict[str, Any]:
    """PromiseFields ready to be saved: all that is owed in its largest currency, a week from now."""
    invoices = open_invoices(customer, brand_of(customer, case))
    values: dict[str, Any] = {
        "promised_on": suggested_day(now, customer),
        "grace_days": PROMISE_GRACE_DAYS,
        "invoices": invoices,
    }
    sums = money.totals(invoices.values_list("balance", "currency"))
    if sums:
        currency = max(sums, key=lambda code: money.to_major(sums[code], code))
        values |= {"promise_amount": money.to_major(sums[currency], currency), "promise_currency": currency}
    return values


def brand_of(customer: Customer, case: Case | None) -> int:
    """The brand the debts are owed to: the case's, else the customer's own."""
    return case.brand_id if case is not None else customer.brand_id


def live_case(customer: Customer) -> tuple[Customer, Case | None]:
    """The row of a customer's page as an act on their case takes it."""
    return customer, next(iter(live_cases(customer)), None)


def _take(asked: Asked, customer: Customer, case: Case | None) -> str:
    said = promised(asked.data)
    promise_record(
        customer_id=customer.pk,
        brand_id=brand_of(customer, case),
        amount=said.amount,
        currency=said.currency,
        promised_on=said.by,
        grace_days=said.grace_days,
        invoice_ids=said.invoice_ids,
        note=asked.data["note"],
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
        initial=lambda obj, now: promise_initial(*whose(obj), now),
        fits=lambda obj: fits(obj) and _standing(*whose(obj)) is None,
        run=lambda asked: _take(asked, *whose(asked.obj)),
        keeps_form=True,
        order=20,
    )


class TakeBackForm(forms.Form):
    """Why; goes into the customer's log."""

    reason = forms.CharField(label=_("Reason"), max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))


def _standing(customer: Customer, case: Case | None) -> Promise | None:
    """The promise that stands towards the brand; asked for by several acts of a page, read once."""
    if not hasattr(customer, "standing_promise"):
        rows = Promise.objects.filter(customer=customer, brand=brand_of(customer, case), status=Promise.Status.OPEN)
        customer.standing_promise = rows.first()  # type: ignore[attr-defined]
    return customer.standing_promise  # type: ignore[attr-defined, no-any-return]


def _take_back(asked: Asked, promise: Promise | None) -> str:
    promise_cancel(
        promise_id=promise.pk if promise else 0, reason=asked.data["reason"], actor_id=asked.actor_id, now=asked.now
    )
    return _now("The promise is taken back; the ladder goes on.")


def take_back_action(promise_of: Callable[[Any], Promise | None]) -> PageAction:
    """“Take the promise back” for a page whose rows `promise_of` turns into the promise that stands, if one does."""
    return PageAction(
        slug="promise-back",
        label=_("Take the promise back"),
        icon="undo",
        permission="billing.change_promise",
        question=_("For one noted by mistake: the case goes on as if it had not been made, and it is not broken."),
        form=TakeBackForm,
        fits=lambda obj: promise_of(obj) is not None,
        run=lambda asked: _take_back(asked, promise_of(asked.obj)),
        keeps_form=True,
        order=21,
    )


def standing_of(whose: Whose) -> Callable[[Any], Promise | None]:
    """`take_back_action` for pages about a customer or a case."""
    return lambda obj: _standing(*whose(obj))
