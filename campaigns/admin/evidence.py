"""“Export as evidence” on the customer page."""

from datetime import datetime, time, timedelta

from django import forms
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSingleDateWidget

from campaigns.evidence import evidence_export
from customers.admin.customer import CustomerAdmin
from customers.admin.page import Asked, PageAction


class PeriodForm(forms.Form):
    """From which day to which, both included; empty for all of it."""

    first = forms.DateField(label=_("From"), required=False, widget=UnfoldAdminSingleDateWidget)
    last = forms.DateField(label=_("To"), required=False, widget=UnfoldAdminSingleDateWidget)


def _export(asked: Asked) -> HttpResponse:
    """The document as a download."""
    zone = timezone.get_current_timezone()
    first, last = asked.data["first"], asked.data["last"]
    made = evidence_export(
        customer_id=asked.obj.pk,
        since=datetime.combine(first, time(0), zone) if first else None,
        until=datetime.combine(last + timedelta(days=1), time(0), zone) if last else None,
        actor_id=asked.actor_id,
        now=asked.now,
    )
    response = HttpResponse(made.pdf, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{made.name}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-store"
    return response


CustomerAdmin.add_action(
    PageAction(
        slug="evidence",
        label=_("Export as evidence"),
        icon="verified",
        permission="customers.export_interaction",
        question=_(
            "One PDF: every entry of the log, oldest first, and every message as it was sent, with their hashes. The"
            " export is logged."
        ),
        form=PeriodForm,
        run=_export,
        order=70,
    )
)
