"""What a collector may do to a case; each asks first, then calls one service."""

from django import forms
from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing.admin.debt_forms import debt_actions
from billing.admin.invoice_actions import WriteOffForm
from billing.approvals.write_off import PERMISSION as WRITE_OFF
from billing.approvals.write_off import invoices_write_off
from campaigns.admin.call_form import call_action
from campaigns.admin.message_form import MESSAGE_ACTION
from campaigns.admin.notes import note_action
from campaigns.admin.promise_form import promise_action, standing_of, take_back_action
from campaigns.models import Case, CaseInvoice, CaseState
from campaigns.models.case import LIVE_STATES
from campaigns.services.cases import case_close, case_pause, case_resume, case_skip_step
from campaigns.services.owners import case_assign
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


def _skip(asked: Asked) -> str:
    step = case_skip_step(case_id=asked.obj.pk, reason=asked.data["reason"], actor_id=asked.actor_id, now=asked.now)
    return _now("Skipped: %(step)s.") % {"step": step.name}


def _assign(asked: Asked) -> str:
    owner = asked.data["owner"]
    case_assign(case_id=asked.obj.pk, owner_id=owner and owner.pk, actor_id=asked.actor_id, now=asked.now)
    return _now("The owner is set.")


def _write_off(asked: Asked) -> str:
    joined = CaseInvoice.objects.filter(case=asked.obj, left_at__isnull=True)
    done = invoices_write_off(
        invoice_ids=list(joined.values_list("invoice_id", flat=True)),
        reason=asked.data["reason"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return done.words


CASE_ACTIONS = [
    call_action(lambda case: (case.customer, case)),
    MESSAGE_ACTION,
    *debt_actions(lambda case: (case.customer, case.brand_id), _is_live),
    note_action(lambda case: case.customer_id, lambda case: case.pk),
    attach_action(lambda case: case.customer_id, lambda case: f"case:{case.pk}"),
    promise_action(lambda case: (case.customer, case), _is_live),
    take_back_action(standing_of(lambda case: (case.customer, case))),
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
        # What an agency has is recalled instead, which gives its invoices back too.
        fits=lambda case: _is_live(case) and case.state not in (CaseState.OPEN, CaseState.AGENCY),
        run=_resume,
        order=30,
    ),
    PageAction(
        slug="skip",
        label=_("Skip the next step"),
        icon="skip_next",
        permission="campaigns.change_case",
        question=_("The step counts as taken and is not; the one after it keeps its day."),
        form=ReasonForm,
        fits=lambda case: case.state == CaseState.OPEN,
        run=_skip,
        order=35,
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
