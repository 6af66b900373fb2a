"""What a collector may do to a case; each asks first, then calls one service."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db.models import F, Sum
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing import money
from billing.admin.debt_forms import debt_actions
from billing.admin.invoice_actions import WriteOffForm
from billing.approvals.write_off import PERMISSION as WRITE_OFF
from billing.approvals.write_off import invoices_write_off
from billing.models import InvoiceStatus
from campaigns.admin.call_form import call_action
from campaigns.admin.message_form import MESSAGE_ACTION
from campaigns.admin.notes import note_action
from campaigns.models import Case, CaseInvoice, CaseState
from campaigns.models.case import LIVE_STATES
from campaigns.services.cases import case_close, case_pause, case_resume
from campaigns.services.owners import case_assign
from campaigns.services.promises import promise_record
from customers.admin.files import attach_action
from customers.admin.page import Asked, PageAction


class PauseForm(forms.Form):
    """Until when (empty: until somebody resumes it), and why."""

    until = forms.SplitDateTimeField(
        label=_("Until"),
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text=_("Empty: until somebody resumes the case."),
    )
    reason = forms.CharField(label=_("Reason"), max_length=255, widget=UnfoldAdminTextInputWidget)


class ReasonForm(forms.Form):
    """Why; goes into the customer's log."""

    reason = forms.CharField(label=_("Reason"), max_length=500, widget=UnfoldAdminTextareaWidget)


class PromiseForm(forms.Form):
    """How much, in major units as people say it, of which currency, by which day of the customer's."""

    amount = forms.DecimalField(
        label=_("Amount"), min_value=Decimal(0), max_digits=18, widget=UnfoldAdminDecimalFieldWidget
    )
    currency = forms.CharField(label=_("Currency"), min_length=3, max_length=3, widget=UnfoldAdminTextInputWidget)
    promised_on = forms.DateField(label=_("Paid by the end of"), widget=UnfoldAdminSingleDateWidget)
    note = forms.CharField(label=_("Note"), max_length=500, required=False, widget=UnfoldAdminTextInputWidget)


class OwnerForm(forms.Form):
    """A member of staff, or nobody."""

    owner = forms.ModelChoiceField(
        label=_("Owner"),
        queryset=get_user_model().objects.filter(is_active=True, is_staff=True).order_by("username"),
        required=False,
        widget=UnfoldAdminSelectWidget,
    )


def _is_live(case: Case) -> bool:
    return case.state in LIVE_STATES


def _pause(asked: Asked) -> str:
    case_pause(
        case_id=asked.obj.pk,
        until=asked.data["until"],
        reason=asked.data["reason"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return _now("The case rests.")


def _resume(asked: Asked) -> str:
    case_resume(case_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now)
    return _now("The case goes on.")


def _close(asked: Asked) -> str:
    case_close(case_id=asked.obj.pk, reason=asked.data["reason"], actor_id=asked.actor_id, now=asked.now)
    return _now("The case is closed.")


def _assign(asked: Asked) -> str:
    owner = asked.data["owner"]
    case_assign(case_id=asked.obj.pk, owner_id=owner and owner.pk, actor_id=asked.actor_id, now=asked.now)
    return _now("The owner is set.")


def take_promise(customer_id: int, brand_id: int, asked: Asked) -> str:
    """Carries out a PromiseForm for a customer; returns the sentence to show."""
    currency = asked.data["currency"].upper()
    promise_record(
        customer_id=customer_id,
        brand_id=brand_id,
        amount=money.to_minor(asked.data["amount"], currency),
        currency=currency,
        promised_on=asked.data["promised_on"],
        note=asked.data["note"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return _now("The promise is recorded; nobody writes until it is due.")


def _write_off(asked: Asked) -> str:
    joined = CaseInvoice.objects.filter(case=asked.obj, left_at__isnull=True)
    done = invoices_write_off(
        invoice_ids=list(joined.values_list("invoice_id", flat=True)),
        reason=asked.data["reason"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return done.words


def _whole_balance(case: Case, now: datetime) -> dict[str, Any]:
    """The largest open balance of the case, and a week from now."""
    rows = (
        CaseInvoice.objects.filter(case=case, left_at__isnull=True, invoice__status=InvoiceStatus.OPEN)
        .values(currency=F("invoice__currency"))
        .annotate(owed=Sum("invoice__balance"))
        .order_by("-owed")
    )
    found = rows.first()
    initial: dict[str, Any] = {"promised_on": (now + timedelta(days=7)).date()}
    if found:
        initial |= {"amount": money.to_major(found["owed"], found["currency"]), "currency": found["currency"]}
    return initial


CASE_ACTIONS = [
    call_action(lambda case: (case.customer, case)),
    MESSAGE_ACTION,
    *debt_actions(lambda case: (case.customer, case.brand_id), _is_live),
    note_action(lambda case: case.customer_id, lambda case: case.pk),
    attach_action(lambda case: case.customer_id, lambda case: f"case:{case.pk}"),
    PageAction(
        slug="promise",
        label=_("Record promise"),
        icon="handshake",
        permission="billing.add_promise",
        question=_("Until the promised day and two days of grace nobody writes and nothing is charged."),
        form=PromiseForm,
        initial=_whole_balance,
        fits=_is_live,
        run=lambda asked: take_promise(asked.obj.customer_id, asked.obj.brand_id, asked),
        order=20,
    ),
    PageAction(
        slug="pause",
        label=_("Pause"),
        icon="pause",
        permission="campaigns.change_case",
        question=_("Nothing is sent while the case rests; what is in the outbox is stopped too."),
        form=PauseForm,
        fits=lambda case: case.state == CaseState.OPEN,
        run=_pause,
        order=30,
    ),
    PageAction(
        slug="resume",
        label=_("Resume"),
        icon="play_arrow",
        permission="campaigns.change_case",
        question=_("The case goes on with the step it stood before."),
        fits=lambda case: _is_live(case) and case.state != CaseState.OPEN,
        run=_resume,
        order=30,
    ),
    PageAction(
        slug="assign",
        label=_("Assign"),
        icon="person_add",
        permission="campaigns.change_case",
        form=OwnerForm,
        initial=lambda case, now: {"owner": case.owner_id},
        run=_assign,
        order=40,
    ),
    PageAction(
        slug="close",
        label=_("Close the case"),
        icon="close",
        permission="campaigns.change_case",
        question=_("Ends the dunning of these invoices without result. They open no other case."),
        form=ReasonForm,
        fits=_is_live,
        run=_close,
        danger=True,
        order=90,
    ),
    PageAction(
        slug="write-off",
        label=_("Write off"),
        icon="delete_forever",
        permission=WRITE_OFF,
        question=_(
            "What the invoices of this case still owe is given up. Above your limit somebody else has to approve it "
            "first."
        ),
        form=WriteOffForm,
        fits=_is_live,
        run=_write_off,
        danger=True,
        order=95,
    ),
]
