"""The form of one rung: when, what, whom else to try, under which condition; it knows the rung's own sentence."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    INPUT_CLASSES,
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from campaigns.admin.action_fields import ActionFields
from campaigns.admin.condition_form import ConditionForm
from campaigns.admin.sentences import CHANNEL, sentence, weekday_choices
from campaigns.engine.specs import PublishedText, published_texts
from campaigns.models import Action, LadderVersion, OffsetUnit, Step, StepAnchor, Template
from campaigns.models.ladder import PRE_DUNNING, Trigger
from campaigns.services.rungs import STEP_FIELDS
from customers.meanwhile import mark
from customers.models import Channel

#: How many channels may stand in for the first.
FALLBACKS = 3

#: Trigger → what days are counted from, as the end of "3 days after …".
DAY_ZERO_IN_FORM: dict[str, Any] = {
    Trigger.PAYMENT_FAILED: _("the oldest unpaid payment failed"),
    Trigger.INVOICE_OVERDUE: _("the oldest unpaid invoice fell due"),
    Trigger.INVOICE_DUE: _("the invoice falls due"),
    Trigger.CARD_EXPIRING: _("the card expires"),
    Trigger.PROMISE_BROKEN: _("the promise was broken"),
    Trigger.INSTALMENT_MISSED: _("the instalment was missed"),
    Trigger.RENEWAL_UPCOMING: _("the subscription renews"),
}


class TimeInput(forms.TimeInput):
    """The browser's own field for a time of day, in unfold's looks."""

    input_type = "time"

    def __init__(self) -> None:
        super().__init__(attrs={"class": " ".join(INPUT_CLASSES)}, format="%H:%M")


class RungForm(forms.ModelForm):  # type: ignore[type-arg]
    """Everything of a step but its place and key. `quiet` shows no errors: the form is still being shaped."""

    amount = forms.IntegerField(label=_("How long"), min_value=0, max_value=3650, widget=UnfoldAdminIntegerFieldWidget)
    before = forms.ChoiceField(
        label=_("before or after"),
        choices=[("", _("after")), ("1", _("before"))],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    weekdays = forms.TypedMultipleChoiceField(
        label=_("Weekdays"),
        choices=weekday_choices,
        coerce=int,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("None chosen: any day."),
    )
    template_code = forms.ChoiceField(label=_("Template"), required=False, widget=UnfoldAdminSelectWidget)

    class Meta:
        model = Step
        fields = (
            "name", "offset_unit", "anchor", "window_from", "window_to", "business_days", "action", "channel",
            "wait_for_retry_hours",
        )  # fmt: skip
        labels = {
            "name": _("Name"),
            "action": _("Action"),
            "channel": _("Channel"),
            "offset_unit": _("unit"),
            "anchor": _("counted from when"),
            "wait_for_retry_hours": _("Wait while a retry is due within (hours)"),
            "business_days": _("Business days only (no public holidays of the customer's country)"),
        }
        help_texts = {"name": _("What people read in lists and on cases.")}
        widgets = {
            "name": UnfoldAdminTextInputWidget,
            "offset_unit": UnfoldAdminSelectWidget,
            "anchor": UnfoldAdminSelectWidget(attrs={"data-shape": "1"}),
            "window_from": TimeInput,
            "window_to": TimeInput,
            "business_days": UnfoldBooleanWidget,
            "action": UnfoldAdminSelectWidget(attrs={"data-shape": "1"}),
            "channel": UnfoldAdminSelectWidget(attrs={"data-shape": "1"}),
            "wait_for_retry_hours": UnfoldAdminIntegerFieldWidget,
        }

    def __init__(
        self,
        *,
        version: LadderVersion,
        step: Step | None = None,
        data: Mapping[str, Any] | None = None,
        do: str = "save",
    ) -> None:
        """`do`: save checks the data; preview, add and drop-… only take it over, reshaping the form."""
        self.version = version
        step = step or Step(version=version, action=Action.MESSAGE, channel=Channel.EMAIL, offset_unit=OffsetUnit.DAYS)
        super().__init__(data, instance=step, initial=_initial(step), label_suffix="")
        #: What was stored when the form was opened (meanwhile.mark); empty for a new rung.
        self.seen = str(data.get("seen", "")) if data is not None else mark(step, STEP_FIELDS) if step.pk else ""
        self.quiet = data is not None and do != "save"
        self.texts: dict[int, PublishedText] = published_texts()
        self.templates = {row.code: row for row in Template.objects.all()}
        self._choices()
        self.actions = ActionFields(self.picked("action"), data=data, params=step.params, ladder=version.ladder)
        self.condition = ConditionForm(data=data, condition=step.condition)
        self.asked = self.condition
        if self.quiet:
            self.condition = self.condition.reshaped(drop=do.removeprefix("drop-"), add=do == "add")

    def picked(self, name: str) -> str:
        """What a field says now, checked or not."""
        return str(self[name].value() or "")

    @property
    def is_message(self) -> bool:
        """True if the rung, as the form stands, writes to the customer."""
        return self.picked("action") == Action.MESSAGE

    def _choices(self) -> None:
        trigger = self.version.ladder.trigger
        self.fields["anchor"].choices = [  # type: ignore[attr-defined]
            (StepAnchor.CASE, DAY_ZERO_IN_FORM.get(trigger, StepAnchor.CASE.label)),
            (StepAnchor.PREVIOUS, _("the step above")),
            (StepAnchor.MONTH_END, _("the end of that month")),
        ]
        if trigger in PRE_DUNNING:  # steps count back from the day that is coming
            del self.fields["anchor"].choices[1:]  # type: ignore[attr-defined]
            self.fields["before"].choices = [("1", _("before"))]  # type: ignore[attr-defined]
        self.fields["channel"].choices = [  # type: ignore[attr-defined]
            (value, label) for value, label in Channel.choices if value != Channel.CALL
        ]
        self.fields["template_code"].choices = self._template_choices()  # type: ignore[attr-defined]
        for number in range(1, FALLBACKS + 1):
            taken = self.picked("channel")
            others = [(value, label) for value, label in Channel.choices if value != taken]
            self.fields[f"fallback_{number}"] = forms.ChoiceField(
                label=_("If that does not reach them") if number == 1 else _("then"),
                choices=[("", "–"), *others],
                required=False,
                widget=UnfoldAdminSelectWidget,
            )

    def _template_choices(self) -> list[Any]:
        channel = self.picked("channel")
        fits: list[tuple[str, str]] = []
        others: list[tuple[str, str]] = []
        for code, row in self.templates.items():
            text = self.texts.get(row.pk)
            has = text is not None and text.text_channel(channel)
            (fits if has else others).append((code, f"{row.name} · {row.get_tone_display()}"))
        words = CHANNEL.get(channel, channel)
        missing = _now("No %(channel)s text published yet") % {"channel": words}
        return [("", _now("Choose a template")), *fits, *([(missing, others)] if others else [])]

    @property
    def fallbacks(self) -> list[forms.BoundField]:
        """The fields of the channels to stand in, in order."""
        return [self[f"fallback_{number}"] for number in range(1, FALLBACKS + 1)]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        step, trigger = self.instance, self.version.ladder.trigger
        before = bool(data.get("before"))
        if before and data.get("anchor") == StepAnchor.PREVIOUS:
            self.add_error("before", _now("A step cannot come before the step above."))
        elif before and data.get("anchor") == StepAnchor.CASE and trigger not in PRE_DUNNING:
            self.add_error("before", _now("Nothing is known before that day; count the days after it."))
        if data.get("amount") is not None:
            step.offset = -data["amount"] if before else data["amount"]
        step.window_days = data.get("weekdays", [])
        start, end = data.get("window_from"), data.get("window_to")
        if start and end and start >= end:
            self.add_error("window_to", _now("The window ends before it opens."))
        step.fallback_channels, step.template = [], None
        if data.get("action") == Action.MESSAGE:
            self._clean_message(data)
        else:
            step.channel = data["channel"] = ""
        step.params, errors = self.actions.read()
        for error in errors:
            self.add_error("action", error)
        step.condition, errors = self.asked.read()
        for error in errors:
            self.add_error(None, _now("Only if: %(error)s") % {"error": error})
        return data

    def _clean_message(self, data: dict[str, Any]) -> None:
        if not data.get("channel"):
            self.add_error("channel", _now("Choose the channel."))
        self.instance.template = self.templates.get(data.get("template_code", ""))
        if self.instance.template is None:
            self.add_error("template_code", _now("Choose what is sent."))
        wanted = [data.get(f"fallback_{number}") for number in range(1, FALLBACKS + 1)]
        named = [channel for channel in wanted if channel]
        if len(set(named)) != len(named):
            self.add_error("fallback_1", _now("Name each channel once."))
        elif data.get("channel") in named:
            self.add_error("fallback_1", _now("That is the channel tried first."))
        self.instance.fallback_channels = named

    def _get_validation_exclusions(self) -> set[str]:
        # Checked above with the field's own name; the database's words would name a constraint.
        exclude: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return exclude | {"action", "template", "channel"}

    def sentence(self) -> str:
        """What the rung says as the form stands; empty while something is missing."""
        if not self.is_valid() if self.is_bound else self.instance.pk is None:
            return ""
        return sentence(self.instance)

    def complaints(self) -> list[str]:
        """Every error with the name of its field, for the head of the form."""
        found = []
        for name, messages in self.errors.items():
            label = "" if name == "__all__" else f"{self.fields[name].label}: "
            found += [f"{label}{message}" for message in messages]
        return found


def _initial(step: Step) -> dict[str, Any]:
    fallbacks = {f"fallback_{n}": channel for n, channel in enumerate(step.fallback_channels or [], start=1)}
    return {
        "amount": abs(step.offset) if step.offset is not None else None,
        "before": "1" if step.offset is not None and step.offset < 0 else "",
        "weekdays": [str(day) for day in step.window_days or []],
        "template_code": step.template.code if step.template else "",
        **fallbacks,
    }
