"""The form a call is logged with: whom, what came of it, and what follows, all on one page."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminSingleTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing import money
from billing.admin.debt_forms import InvoiceField
from billing.models import Invoice
from campaigns.admin.contact import verdict_words
from campaigns.admin.promise_form import NEEDED, PromiseFields, Whose, promise_initial, promised
from campaigns.engine.calendar import at_local
from campaigns.guard.zones import zone
from campaigns.models import Case
from campaigns.playbooks import brief_for
from campaigns.services.calls import (
    MORNING,
    CallResult,
    Contested,
    call_record,
    customer_zone_name,
    guard_word,
)
from customers.admin.page import Asked, PageAction
from customers.display import words
from customers.errors import SollecitoError
from customers.models import CallOutcome, Customer, Direction

#: Which fields an outcome asks for; the script shows them with it, without script all are there.
ASKED_FOR = {
    "promise_amount": (CallOutcome.PROMISED,),
    "promise_currency": (CallOutcome.PROMISED,),
    "promised_on": (CallOutcome.PROMISED,),
    "grace_days": (CallOutcome.PROMISED,),
    "promise_invoices": (CallOutcome.PROMISED,),
    "dispute_invoice": (CallOutcome.DISPUTED,),
    "dispute_reason": (CallOutcome.DISPUTED,),
    "dispute_amount": (CallOutcome.DISPUTED,),
    "again_on": (CallOutcome.CALL_BACK, CallOutcome.SPOKE, CallOutcome.LEFT_MESSAGE),
    "again_at": (CallOutcome.CALL_BACK, CallOutcome.SPOKE, CallOutcome.LEFT_MESSAGE),
}
#: What is best done next, in words under the outcome.
NEXT = {
    CallOutcome.SPOKE: _("Agree on something next time: a day, an amount, a plan."),
    CallOutcome.PROMISED: _("The case rests until the day and its grace have passed; a broken promise comes back."),
    CallOutcome.CALL_BACK: _("Puts the next call on your list."),
    CallOutcome.DISPUTED: _("The invoice is left alone until the dispute is answered."),
    CallOutcome.REFUSED: _("Somebody is asked to decide how to go on."),
    CallOutcome.LEFT_MESSAGE: _("Give them a day or two before the next call."),
    CallOutcome.NO_ANSWER: _("The call goes back on the list for tomorrow morning, their time."),
    CallOutcome.WRONG_NUMBER: _("The number is not used again, and somebody looks for another."),
}
#: Outcomes a form may offer that asks for nothing more.
PLAIN_OUTCOMES = [
    (code, words)
    for code, words in CallOutcome.choices
    if code not in (CallOutcome.PROMISED, CallOutcome.DISPUTED, CallOutcome.CALL_BACK)
]
#: What may be recorded along with a call, and by whom.
PERMISSIONS = {CallOutcome.PROMISED: "billing.add_promise", CallOutcome.DISPUTED: "billing.add_dispute"}


class CallForm(PromiseFields):
    """What came of a call, with its consequences; what an outcome does not ask for is passed over."""

    field_order = ("outcome", "number", "direction")

    class Media:
        js = ["campaigns/call.js"]

    key = forms.CharField(widget=forms.HiddenInput, max_length=60)
    seconds = forms.IntegerField(widget=forms.HiddenInput, required=False, min_value=0)
    outcome = forms.ChoiceField(
        label=_("What came of it"), choices=CallOutcome.choices, widget=forms.RadioSelect(attrs={"class": "sol-radio"})
    )
    number = forms.ChoiceField(label=_("Number"), required=False, widget=UnfoldAdminSelectWidget)
    direction = forms.ChoiceField(
        label=_("Who called"),
        choices=[(Direction.OUT, _("We called")), (Direction.IN, _("They called"))],
        widget=UnfoldAdminSelectWidget,
    )
    dispute_invoice = InvoiceField(
        label=_("Disputed invoice"), queryset=Invoice.objects.none(), required=False, widget=UnfoldAdminSelectWidget
    )
    dispute_reason = forms.CharField(label=_("Why"), required=False, max_length=100, widget=UnfoldAdminTextInputWidget)
    dispute_amount = forms.DecimalField(
        label=_("Disputed amount"),
        required=False,
        max_digits=18,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_("Empty: all of it."),
    )
    again_on = forms.DateField(label=_("Call again on"), required=False, widget=UnfoldAdminSingleDateWidget)
    again_at = forms.TimeField(label=_("at (their time)"), required=False, widget=UnfoldAdminSingleTimeWidget)
    text = forms.CharField(
        label=_("Note"), max_length=5000, required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 4})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["number"].choices = self.initial.get("numbers", [])  # type: ignore[attr-defined]
        self.fields["dispute_invoice"].queryset = self.initial.get("invoices", Invoice.objects.none())  # type: ignore[attr-defined]
        for name, outcomes in ASKED_FOR.items():
            self.fields[name].widget.attrs["data-when"] = " ".join(outcomes)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        for name in self._missing(data):
            self.add_error(name, _("Needed for this outcome."))
        return data

    def _missing(self, data: Mapping[str, Any]) -> list[str]:
        needed = {
            CallOutcome.PROMISED: NEEDED,
            CallOutcome.DISPUTED: ("dispute_invoice", "dispute_reason"),
            CallOutcome.CALL_BACK: ("again_on",),
        }.get(data.get("outcome", ""), ())
        return [name for name in needed if data.get(name) in (None, "") and name not in self.errors]


def numbers_of(customer: Customer) -> list[tuple[str, str]]:
    """(contact id and number, words) of those who can be called: active contacts, the primary one first, and the
    customer's own number."""
    people = customer.contacts.filter(active=True).exclude(phone="").order_by("-is_primary", "id")
    found = [(f"{contact.pk}|{contact.phone}", f"{contact.phone} · {contact}") for contact in people[:50]]
    if customer.phone and not any(value.endswith(f"|{customer.phone}") for value, _words in found):
        found.append((f"|{customer.phone}", f"{customer.phone} · {customer.name or customer.email}"))
    return found


def initial(customer: Customer, case: Case | None, now: datetime) -> dict[str, Any]:
    """A form ready to be saved: the usual number, all that is owed in its largest currency, a week from now."""
    numbers = numbers_of(customer)
    return {
        **promise_initial(customer, case, now),
        "key": uuid.uuid4().hex,
        "numbers": [*numbers, ("", _("another number"))],
        "number": numbers[0][0] if numbers else "",
        "direction": Direction.OUT,
        "again_at": MORNING,
        "again_on": None,
    }


def side(customer: Customer, case: Case | None, now: datetime) -> dict[str, Any]:
    """What stands beside the form: the guard's word on a call now, what o'clock it is there, and the call's brief."""
    verdict = guard_word(case, now) if case is not None else None
    return {
        "verdict": verdict_words(verdict) if verdict else "",
        "against": verdict is not None and verdict.level != "ok",
        "there": words(now.astimezone(zone(customer_zone_name(customer)))),
        "zone": customer_zone_name(customer),
        "wide": True,
        "brief": brief_for(case or customer, now),
        "next_words": [(str(outcome), sentence) for outcome, sentence in NEXT.items()],
    }


def save(asked: Asked, customer: Customer, case: Case | None) -> str:
    """Carries out a CallForm; returns the sentence to show."""
    data, outcome = asked.data, asked.data["outcome"]
    if outcome in PERMISSIONS and not asked.request.user.has_perm(PERMISSIONS[outcome]):
        raise SollecitoError(_now("Your role may log calls, but not record this."), code="not_allowed")
    contact, _bar, number = data["number"].partition("|")
    promise = dispute = None
    if outcome == CallOutcome.PROMISED:
        promise = promised(data)
    if outcome == CallOutcome.DISPUTED:
        invoice = data["dispute_invoice"]
        amount = data["dispute_amount"]
        dispute = Contested(
            invoice_id=invoice.pk,
            reason=data["dispute_reason"],
            amount=None if amount is None else money.to_minor(amount, invoice.currency),
        )
    again_at = None
    if data["again_on"] and outcome in ASKED_FOR["again_on"]:
        again_at = at_local(data["again_on"], data["again_at"] or MORNING, zone(customer_zone_name(customer)))
    result = call_record(
        customer_id=customer.pk,
        case_id=case.pk if case else None,
        outcome=outcome,
        direction=data["direction"],
        number=number,
        contact_id=int(contact) if contact else None,
        seconds=data["seconds"],
        text=data["text"],
        promise=promise,
        dispute=dispute,
        call_again_at=again_at,
        key=data["key"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return _said(result, outcome)


def _said(result: CallResult, outcome: str) -> str:
    if result.repeated:
        return _now("This call was in the log already.")
    if result.promise_id:
        return _now("The call and the promise are recorded; nobody writes until the promise is due.")
    if result.dispute_id:
        return _now("The call and the dispute are recorded; the invoice is left alone until it is answered.")
    if result.task_id:
        return _now("The call is in the log, and what comes next is on the list.")
    return _now("The call is in the log.")


def call_action(of: Whose) -> PageAction:
    """“Log a call” for a page whose rows `of` turns into a customer and their live case."""
    return PageAction(
        slug="call",
        label=_("Log a call"),
        icon="call",
        permission="customers.add_interaction",
        form=CallForm,
        initial=lambda obj, now: initial(*of(obj), now),
        run=lambda asked: save(asked, *of(asked.obj)),
        load=lambda request, obj, now: side(*of(obj), now),
        template="admin/campaigns/call.html",
        keeps_form=True,
        order=5,
    )
