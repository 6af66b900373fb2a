"""The form in which managers write contact rules of their own, without knowing how they are stored."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from campaigns.guard.hours import Hours, Span
from campaigns.guard.policy import GENERAL_RULES, ChannelRules, General, Policy, channel_rules, most, shipped
from campaigns.guard.words import BASES, CHANNELS, CONSENTS, DAYS, LABELS, TEXTS, spans_raw
from campaigns.models import PolicyOverride
from campaigns.services.policies import (
    BUSINESS,
    EVERYBODY,
    audience_of,
    policy_check,
    rules_of,
    rules_with,
    rules_without,
)
from customers import clock
from customers.errors import SollecitoError

NUMBERS = ("min_gap_hours", "per_day", "per_week", "per_month", "after_call_hours")
_FLAGS = ("in_every_zone", "one_click")
_CLOSED, _ANY = _("closed"), _("any time")


def fields_of(prefix: str) -> list[Any]:
    """Names of a channel's fields as a fieldset lays them out; `all` is what holds for all channels together."""
    if prefix == "all":
        return [tuple(f"all_{name}" for name in GENERAL_RULES), "all_basis", "all_source"]
    return [
        (f"{prefix}_weekdays", f"{prefix}_saturday"),
        (f"{prefix}_sunday", f"{prefix}_holiday"),
        tuple(f"{prefix}_{name}" for name in NUMBERS[:3]),
        (f"{prefix}_per_month", f"{prefix}_after_call_hours", f"{prefix}_consent"),
        (f"{prefix}_in_every_zone", f"{prefix}_one_click"),
        f"{prefix}_texts",
        f"{prefix}_basis",
        f"{prefix}_source",
    ]


def _spans(text: str) -> list[str] | None:
    """Hours as typed: `08:30-21:00, 22:00-23:00`, or the word for closed; None for an empty field.

    Raises ValueError for anything else.
    """
    text = text.strip()
    if not text:
        return None
    if text.casefold() in {"closed", str(_CLOSED).casefold()}:
        return []
    return [str(Span.parse(part.replace("–", "-").strip())).replace("–", "-") for part in text.split(",")]


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """Starts from the rules in force; what is left as it is goes on following them."""

    audience = forms.ChoiceField(
        label=_("For whom"),
        choices=[(EVERYBODY, _("Consumers and businesses")), (BUSINESS, _("Businesses only"))],
        widget=UnfoldAdminSelectWidget,
        initial=EVERYBODY,
    )
    #: Policy whose rules the form was filled with: what was typed is told from what was shown by it.
    starting_from = forms.CharField(required=False, max_length=20, widget=forms.HiddenInput)

    class Meta:
        model = PolicyOverride
        fields = ("code", "brand", "valid_from", "note")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row: PolicyOverride = self.instance
        day = row.valid_from or clock.now().date()
        code = row.code or str(self.data.get("starting_from") or self.initial.get("code") or "default").lower()
        self.initial["starting_from"] = code
        if "code" in self.fields:
            self.fields["code"] = forms.CharField(
                label=_("Policy"),
                max_length=20,
                help_text=_("A country in two letters, or one of: %(codes)s") % {"codes": ", ".join(shipped())},
                widget=UnfoldAdminTextInputWidget,
            )
        if row.pk:
            self.initial["audience"] = audience_of(row.rules)
            shown = rules_with(row)
        else:
            self.initial.setdefault("valid_from", day)
            shown = rules_without(None, code=code, brand_id=None, day=day, audience=EVERYBODY)
        self._shown = shown
        for name, field, initial in self._rule_fields(shown):
            self.fields[name] = field
            self.initial.setdefault(name, initial)

    def _rule_fields(self, shown: Policy) -> Iterator[tuple[str, forms.Field, Any]]:
        for channel in CHANNELS:
            rules, prefix = shown.rules(channel), channel.value
            for day, label in DAYS.items():
                yield f"{prefix}_{day}", self._hours_field(day, label), self._hours_value(rules.hours, day)
            for name in NUMBERS:
                yield f"{prefix}_{name}", self._number_field(name), getattr(rules, name)
            for name in _FLAGS:
                flag = forms.BooleanField(label=LABELS[name], required=False, widget=UnfoldBooleanSwitchWidget)
                yield f"{prefix}_{name}", flag, getattr(rules, name)
            yield (
                f"{prefix}_consent",
                forms.ChoiceField(
                    label=LABELS["consent"], choices=list(CONSENTS.items()), widget=UnfoldAdminSelectWidget
                ),
                rules.consent,
            )
            yield (
                f"{prefix}_texts",
                forms.MultipleChoiceField(
                    label=LABELS["texts"],
                    choices=list(TEXTS.items()),
                    required=False,
                    widget=UnfoldAdminCheckboxSelectMultipleWidget,
                ),
                list(rules.texts),
            )
            yield from self._ground_fields(prefix, rules)
        for name in GENERAL_RULES:
            yield f"all_{name}", self._number_field(name), getattr(shown.general, name)
        yield from self._ground_fields("all", shown.general)

    @staticmethod
    def _hours_field(day: str, label: Any) -> forms.Field:
        help_text = {
            "weekdays": _("For example 08:30-21:00, or 09:00-12:00, 14:00-18:00; empty: at any time."),
            "holiday": _("Empty: like any day of the week."),
        }.get(day, _("Empty: closed."))
        return forms.CharField(
            label=label, required=False, max_length=120, help_text=help_text, widget=UnfoldAdminTextInputWidget
        )

    @staticmethod
    def _hours_value(hours: Hours | None, day: str) -> str:
        if hours is None:
            return ""
        spans = spans_raw(getattr(hours, day))
        return "" if spans is None else ", ".join(spans) or str(_CLOSED)

    @staticmethod
    def _number_field(name: str) -> forms.Field:
        return forms.IntegerField(
            label=LABELS[name],
            min_value=0,
            max_value=most(name),
            required=False,
            help_text=_("0: no limit."),
            widget=UnfoldAdminIntegerFieldWidget,
        )

    @staticmethod
    def _ground_fields(prefix: str, rules: ChannelRules | General) -> Iterator[tuple[str, forms.Field, Any]]:
        basis = forms.ChoiceField(
            label=_("Rests on"), choices=list(BASES.items()), widget=UnfoldAdminSelectWidget, required=False
        )
        source = forms.CharField(
            label=_("Source"),
            max_length=600,
            required=False,
            help_text=_("The text it rests on, or who decided; staff see it with every verdict."),
            widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        )
        yield f"{prefix}_basis", basis, rules.basis
        yield f"{prefix}_source", source, rules.source

    def clean_code(self) -> str:
        code = str(self.cleaned_data["code"]).strip().lower()
        if code not in shipped() and not (len(code) == 2 and code.isalpha()):
            raise forms.ValidationError(_now("There is no such policy or country."))
        return code

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if self.errors:
            return data
        touched = {name.partition("_")[0] for name in self.changed_data}
        typed = {c.value: self._channel(c.value, data) for c in CHANNELS if c.value in touched}
        if self.errors:
            return data
        brand = data.get("brand")
        # The database has the last word; the model's own check leaves constraints alone whose fields no form shows.
        again = PolicyOverride.objects.filter(
            code=data["code"], brand=brand, valid_from=data["valid_from"], withdrawn_at=None
        ).exclude(pk=self.instance.pk or 0)
        if again.exists():
            raise forms.ValidationError(_now("There are rules of this policy from that day on; change those."))
        audience = data.get("audience") or EVERYBODY
        try:
            before = rules_without(
                self.instance.pk,
                code=data["code"],
                brand_id=brand.pk if brand else None,
                day=data["valid_from"],
                audience=audience,
            )
            # What nobody touched stays: a new row's as it is for those it will be for, which is not always what was
            # shown (the policy or the audience may have been changed on the page); an old row's as the row has it.
            kept = self._shown if self.instance.pk else before
            rules = rules_of(
                before=before,
                channels={c.value: typed.get(c.value) or kept.rules(c) for c in CHANNELS},
                general=self._general(data) if "all" in touched else kept.general,
                audience=audience,
            )
            policy_check(code=data["code"], rules=rules, valid_from=data["valid_from"])
        except SollecitoError as error:
            raise forms.ValidationError(error.message, code=error.code) from error
        self.instance.rules = rules
        return data

    @staticmethod
    def _general(data: dict[str, Any]) -> General:
        return General(
            per_day=data.get("all_per_day") or 0,
            per_week=data.get("all_per_week") or 0,
            after_talk_hours=data.get("all_after_talk_hours") or 0,
            source=" ".join((data.get("all_source") or "").split()),
            basis=data.get("all_basis") or "house",
        )

    def _channel(self, prefix: str, data: dict[str, Any]) -> ChannelRules | None:
        raw: dict[str, Any] = {
            "basis": data.get(f"{prefix}_basis") or "house",
            "source": data.get(f"{prefix}_source") or "",
            "consent": data.get(f"{prefix}_consent") or "opt_out",
            "texts": data.get(f"{prefix}_texts") or [],
        }
        raw |= {name: data.get(f"{prefix}_{name}") or 0 for name in NUMBERS}
        raw |= {name: bool(data.get(f"{prefix}_{name}")) for name in _FLAGS}
        opened: dict[str, list[str]] = {}
        for day in DAYS:
            try:
                spans = _spans(data.get(f"{prefix}_{day}") or "")
            except ValueError:
                words = _now("Hours are written like 08:30-21:00, several with commas between, or “%(closed)s”.")
                self.add_error(f"{prefix}_{day}", words % {"closed": _CLOSED})
                return None
            if spans is not None:
                opened[day] = spans
        if any(opened.values()) or "weekdays" in opened:
            raw["open"] = opened
        if not raw["source"]:
            self.add_error(f"{prefix}_source", _now("A rule needs its source, if only who decided it."))
            return None
        try:
            return channel_rules("own", raw)
        except (ValueError, KeyError, TypeError) as error:
            self.add_error(f"{prefix}_weekdays", str(error))
            return None
