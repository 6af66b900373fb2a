"""What a collector may do to an invoice: charge it, choose its method, hold or release its retries, give it up."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSplitDateTimeWidget, UnfoldAdminTextInputWidget

from billing.admin.ledgers import ledger_rows
from billing.approvals.write_off import PERMISSION as WRITE_OFF
from billing.approvals.write_off import invoices_write_off
from billing.charging import AttemptOutcome, charge_now
from billing.holds import retries_hold, retry_method_choose
from billing.models import AttemptOrigin, AttemptStatus, Invoice, InvoiceStatus
from billing.retries.loading import method_order
from customers.admin.page import Asked, PageAction


class HoldForm(forms.Form):
    """Until when, and why; the why goes into the customer's log."""

    until = forms.SplitDateTimeField(label=_("No retry before"), widget=UnfoldAdminSplitDateTimeWidget)
    reason = forms.CharField(label=_("Reason"), max_length=500, widget=UnfoldAdminTextInputWidget)


class WriteOffForm(forms.Form):
    """Why the money is given up; it stands on the adjustment and in the customer's log."""

    reason = forms.CharField(label=_("Reason"), max_length=255, widget=UnfoldAdminTextInputWidget)


class PastLimitForm(forms.Form):
    """Why a charge is worth passing a limit; it goes on the attempt and into the customer's log."""

    reason = forms.CharField(label=_("Reason"), max_length=500, widget=UnfoldAdminTextInputWidget)


class MethodForm(forms.Form):
    """Which stored method goes first, listed in the order they would be tried, each with the reason."""

    method = forms.TypedChoiceField(
        label=_("Payment method"), coerce=int, empty_value=None, required=False, widget=UnfoldAdminSelectWidget
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["method"].choices = self.initial.get("methods", [])  # type: ignore[attr-defined]


def _is_open(invoice: Invoice) -> bool:
    return invoice.status == InvoiceStatus.OPEN


def _charge(asked: Asked) -> str:
    outcome = charge_now(invoice_id=asked.obj.pk, origin=AttemptOrigin.STAFF, now=asked.now, actor_id=asked.actor_id)
    return _charged(outcome)


def _charge_past(asked: Asked) -> str:
    outcome = charge_now(
        invoice_id=asked.obj.pk,
        origin=AttemptOrigin.STAFF,
        now=asked.now,
        actor_id=asked.actor_id,
        override=asked.data["reason"],
    )
    return _charged(outcome)


def _charged(outcome: AttemptOutcome) -> str:
    return _now("Charged: %(status)s.") % {"status": AttemptStatus(outcome.status).label}


def _cards(request: HttpRequest, invoice: Invoice, now: datetime) -> dict[str, Any]:
    """What the networks' rules leave of the customer's cards, before somebody decides to pass them."""
    return {"ledgers": ledger_rows(invoice.customer.payment_methods.filter(is_default=True), now, invoice=invoice)}


def _hold(asked: Asked) -> str:
    retries_hold(
        invoice_id=asked.obj.pk,
        until=asked.data["until"],
        reason=asked.data["reason"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return _now("Retries wait until then.")


def _release(asked: Asked) -> str:
    retries_hold(invoice_id=asked.obj.pk, until=None, reason="", actor_id=asked.actor_id, now=asked.now)
    return _now("Retries go on.")


def _methods(invoice: Any, now: datetime) -> dict[str, Any]:
    listed = [(c.method.pk, f"{c.method} ({c.why})") for c in method_order(invoice, now)]
    return {"methods": [("", _("The default")), *listed], "method": invoice.retry_method_id or ""}


def _choose(asked: Asked) -> str:
    retry_method_choose(
        invoice_id=asked.obj.pk,
        payment_method_id=asked.data["method"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return _now("The next retry is planned anew.")


def _write_off(asked: Asked) -> str:
    done = invoices_write_off(
        invoice_ids=[asked.obj.pk], reason=asked.data["reason"], actor_id=asked.actor_id, now=asked.now
    )
    return done.words


def _week(invoice: Any, now: datetime) -> dict[str, Any]:
    return {"until": now + timedelta(days=7)}


INVOICE_ACTIONS = [
    PageAction(
        slug="charge",
        label=_("Retry now"),
        icon="bolt",
        permission="billing.add_paymentattempt",
        question=_("Charges the open balance on the customer's stored method at once, in place of what was planned."),
        fits=_is_open,
        run=_charge,
        order=10,
    ),
    PageAction(
        slug="charge-past-limit",
        label=_("Retry past a limit"),
        icon="warning",
        permission="billing.override_limits",
        question=_(
            "Charges once although the networks' limits or waits forbid it; they may charge a fee for it. A card that "
            "must never be charged again stays so."
        ),
        form=PastLimitForm,
        fits=_is_open,
        run=_charge_past,
        danger=True,
        details="admin/billing/ledger.html",
        load=_cards,
        order=15,
    ),
    PageAction(
        slug="method",
        label=_("Choose the method"),
        icon="credit_card",
        permission="billing.change_invoice",
        question=_("Retries of this invoice use it first. One that was not tried yet is charged at once."),
        form=MethodForm,
        initial=_methods,
        fits=_is_open,
        run=_choose,
        order=18,
    ),
    PageAction(
        slug="hold",
        label=_("Hold retries"),
        icon="pause",
        permission="billing.change_invoice",
        form=HoldForm,
        initial=_week,
        fits=_is_open,
        run=_hold,
        order=20,
    ),
    PageAction(
        slug="release",
        label=_("Let retries go on"),
        icon="play_arrow",
        permission="billing.change_invoice",
        fits=lambda invoice: _is_open(invoice) and invoice.retry_not_before is not None,
        run=_release,
        order=30,
    ),
    PageAction(
        slug="write-off",
        label=_("Write off"),
        icon="delete_forever",
        permission=WRITE_OFF,
        question=_(
            "What is still owed is given up. Above your limit somebody else has to approve it first. Whoever wants to "
            "pay later still may."
        ),
        form=WriteOffForm,
        fits=_is_open,
        run=_write_off,
        danger=True,
        order=90,
    ),
]
