"""What the pages of agencies and of hand-overs share: their forms, and the file that is handed out."""

from collections.abc import Collection

from django import forms
from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from campaigns.admin.case_actions import ReasonForm
from campaigns.agencies import package_make
from campaigns.agencies.package import FORMS
from campaigns.models import Agency
from customers.admin.page import Asked

STATUS = {"open": "info", "recalled": "warning", "ended": ""}
PACKAGE = "campaigns.export_handover"
#: Rows a page shows.
SHOWN = 100


class ChooseForm(forms.Form):
    """Which agency, and why."""

    agency = forms.ModelChoiceField(
        label=_("Agency"), queryset=Agency.objects.filter(active=True), widget=UnfoldAdminSelectWidget
    )


class HandOverForm(ReasonForm, ChooseForm):
    field_order = ("agency", "reason")


class PackageForm(forms.Form):
    """As what file, and of which hand-overs."""

    form = forms.ChoiceField(
        label=_("File"), choices=[(code, code.upper()) for code in FORMS], widget=UnfoldAdminSelectWidget
    )


def package_file(asked: Asked, ids: Collection[int]) -> HttpResponse:
    made = package_make(handover_ids=ids, form=asked.data["form"], actor_id=asked.actor_id, now=asked.now)
    response = HttpResponse(made.content, content_type=made.content_type)
    response["Content-Disposition"] = f'attachment; filename="{made.name}"'
    return response
