"""What is asked when work is put aside, finished or given out."""

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from campaigns.admin.call_form import PLAIN_OUTCOMES
from campaigns.engine.calendar import at_local
from campaigns.guard.zones import zone

#: When people are back at their desks.
MORNING = time(9)
TWO_HOURS, TOMORROW, THREE_DAYS, WEEK, CHOSEN = "2h", "1d", "3d", "7d", "on"


class SnoozeForm(forms.Form):
    """Until when; days are mornings of the customer's."""

    until = forms.ChoiceField(
        label=_("Until"),
        choices=[
            (TWO_HOURS, _("In two hours")),
            (TOMORROW, _("Tomorrow at nine, on their clock")),
            (THREE_DAYS, _("In three days")),
            (WEEK, _("In a week")),
            (CHOSEN, _("On the day below")),
        ],
        initial=TOMORROW,
        widget=UnfoldAdminRadioSelectWidget,
    )
    on = forms.DateField(label=_("Day"), required=False, widget=UnfoldAdminSingleDateWidget)
    reason = forms.CharField(label=_("Why"), max_length=255, required=False, widget=UnfoldAdminTextInputWidget)

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        if found.get("until") == CHOSEN and not found.get("on"):
            self.add_error("on", _("Choose a day."))
        return found


def snooze_until(data: dict[str, Any], zone_name: str, now: datetime) -> datetime:
    """The moment (UTC) a cleaned SnoozeForm means for a customer in that zone."""
    if data["until"] == TWO_HOURS:
        return now + timedelta(hours=2)
    tz = zone(zone_name)
    days = {TOMORROW: 1, THREE_DAYS: 3, WEEK: 7}
    today = now.astimezone(tz).date()
    day = data["on"] if data["until"] == CHOSEN else today + timedelta(days=days[data["until"]])
    return at_local(day, MORNING, tz)


class DoneForm(forms.Form):
    """What came of it."""

    call = forms.ChoiceField(
        label=_("How the call ended"),
        choices=[("", _("Nobody called")), *PLAIN_OUTCOMES],
        required=False,
        help_text=_(
            "Closes the tasks to call, too. A call with a promise, a dispute or a time to "
            "call back is logged with “Log a call”."
        ),
        widget=UnfoldAdminSelectWidget,
    )
    outcome = forms.CharField(
        label=_("What came of it"), max_length=2000, required=False, widget=UnfoldAdminTextareaWidget
    )


class _People(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Any) -> str:
        return str(obj.get_full_name() or obj.get_username())


class GiveForm(forms.Form):
    """Whom work goes to, in turn; and how much of it."""

    people = _People(
        label=_("To"),
        queryset=get_user_model().objects.filter(is_active=True, is_staff=True).order_by("username"),
        required=False,
        help_text=_("In turn, whoever has least first. Nobody ticked: given back to nobody."),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    most = forms.IntegerField(
        label=_("At most"),
        min_value=1,
        required=False,
        help_text=_("The first of the list; empty: all of it."),
        widget=UnfoldAdminIntegerFieldWidget,
    )


class OneOwnerForm(forms.Form):
    """A member of staff, or nobody."""

    owner = forms.ModelChoiceField(
        label=_("Owner"),
        queryset=get_user_model().objects.filter(is_active=True, is_staff=True).order_by("username"),
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
