"""A step's condition as rows of a form: facts by name, each with fields that fit it; nobody writes JSON."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from campaigns.admin.conditions import FACT, OPERATOR, UNTRUE, VALUES, fact_words, items_of, operations, value_words
from campaigns.engine.conditions import FACTS, NUMBER, check_condition
from customers.errors import SollecitoError


class Kind(StrEnum):
    """What the value of a fact is, and so which field asks for it."""

    CHOICES = "choices"
    TEXTS = "texts"
    AMOUNTS = "amounts"
    NUMBER = "number"
    TRUTH = "truth"


def kind_of(fact: str) -> Kind:
    """The kind of a fact in FACTS."""
    operators, allowed = FACTS[fact][1], FACTS[fact][2]
    if operators == {"is"}:
        return Kind.TRUTH
    if operators <= {"at_least", "at_most"}:
        return Kind.NUMBER if allowed == NUMBER else Kind.AMOUNTS
    return Kind.CHOICES if isinstance(allowed, frozenset) else Kind.TEXTS


class ConditionRow(forms.Form):
    """One part of a condition: a fact, an operator and a value whose field fits the fact."""

    fact = forms.ChoiceField(label=_("Fact"), widget=UnfoldAdminSelectWidget(attrs={"data-shape": "1"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        names = sorted(FACTS, key=lambda name: fact_words(name).casefold())
        self.fields["fact"].choices = [(name, fact_words(name)) for name in names]  # type: ignore[attr-defined]
        chosen = self["fact"].value()
        self.name = chosen if chosen in FACTS else names[0]
        self.kind = kind_of(self.name)
        if self.kind is not Kind.TRUTH:
            ordered = [(name, words) for name, words in OPERATOR.items() if name in FACTS[self.name][1]]
            self.fields["operator"] = forms.ChoiceField(
                label=_("How"), choices=ordered, widget=UnfoldAdminSelectWidget
            )
        self.fields["value"] = self._value()

    def _value(self) -> forms.Field:
        if self.kind is Kind.TRUTH:
            choices = [("true", FACT.get(self.name, _("yes"))), ("false", UNTRUE.get(self.name, _("no")))]
            return forms.ChoiceField(label=_("Value"), choices=choices, widget=UnfoldAdminSelectWidget)
        if self.kind is Kind.CHOICES:
            allowed = FACTS[self.name][2] or ()
            known = [value for value in VALUES.get(self.name, {}) if value in allowed]
            values = [*known, *sorted(set(allowed) - set(known))]
            return forms.MultipleChoiceField(
                label=_("Values"),
                choices=[(value, value_words(self.name, value)) for value in values],
                widget=UnfoldAdminCheckboxSelectMultipleWidget,
            )
        if self.kind is Kind.NUMBER:
            return forms.IntegerField(
                label=_("Value"), min_value=0, max_value=100_000, widget=UnfoldAdminIntegerFieldWidget
            )
        hint = _("With the currency: 50 EUR, 60 USD") if self.kind is Kind.AMOUNTS else _("Separated by commas")
        return forms.CharField(label=_("Value"), max_length=200, help_text=hint, widget=UnfoldAdminTextInputWidget)

    def part(self) -> tuple[str, str, Any]:
        """The fact, operator and operand of a valid row. Raises SollecitoError naming what cannot be read."""
        value = self.cleaned_data["value"]
        operator = self.cleaned_data.get("operator", "is")
        if self.kind is Kind.TRUTH:
            return self.name, operator, value == "true"
        if self.kind is Kind.AMOUNTS:
            return self.name, operator, _amounts(value)
        if self.kind is Kind.TEXTS:
            value = [item.strip() for item in value.split(",") if item.strip()]
            if self.name in ("currency", "country"):
                value = [item.upper() for item in value]
        return self.name, operator, value


def _amounts(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.replace(";", ",").split(","):
        words = part.split()
        if len(words) != 2:
            raise SollecitoError(
                _now("Write each amount with its currency, separated by commas: 50 EUR, 60.50 USD."),
                code="bad_condition",
            )
        amount, currency = words if words[0][:1].isdecimal() else words[::-1]
        found[currency.upper()] = amount
    return found


def _initial(fact: str, operator: str, operand: Any) -> dict[str, Any]:
    match kind_of(fact):
        case Kind.TRUTH:
            value: Any = "true" if operand else "false"
        case Kind.AMOUNTS:
            value = ", ".join(f"{amount} {currency}" for currency, amount in operand.items())
        case Kind.TEXTS:
            value = ", ".join(str(item) for item in items_of(operand))
        case Kind.CHOICES:
            value = [str(item) for item in items_of(operand)]
        case Kind.NUMBER:
            value = operand
    return {"fact": fact, "operator": operator, "value": value}


#: Rows read from a form; nobody keeps more conditions in mind.
MOST_PARTS = 20


class ConditionForm:
    """All rows of a condition; not a formset, because each row's fields depend on its fact."""

    def __init__(self, *, data: Mapping[str, Any] | None = None, condition: Mapping[str, Any] | None = None) -> None:
        if data is None:
            parts = [
                (fact, operator, operand)
                for fact, wanted in (condition or {}).items()
                if fact in FACTS
                for operator, operand in operations(wanted).items()
            ]
            self.rows = [ConditionRow(prefix=f"c{n}", initial=_initial(*part)) for n, part in enumerate(parts)]
        else:
            self.rows = [ConditionRow(data, prefix=f"c{n}") for n in range(MOST_PARTS) if f"c{n}-fact" in data]

    def reshaped(self, *, drop: str = "", add: bool = False) -> "ConditionForm":
        """The same rows unchecked, without the one of prefix `drop`, with an empty one more if `add`."""
        kept = [
            {name: row[name].value() for name in row.fields}  # what was typed, valid or not
            for row in self.rows
            if row.prefix != drop
        ]
        if add:
            kept.append({})
        twin = ConditionForm()
        twin.rows = [ConditionRow(prefix=f"c{n}", initial=initial) for n, initial in enumerate(kept)]
        return twin

    def read(self) -> tuple[dict[str, Any], list[str]]:
        """The condition and what is wrong with it, each error naming its fact."""
        found: dict[str, dict[str, Any]] = {}
        errors: list[str] = []
        for row in self.rows:
            label = fact_words(row.name)
            if not row.is_valid():
                errors += [f"{label}: {message}" for messages in row.errors.values() for message in messages]
                continue
            try:
                fact, operator, operand = row.part()
                if operator in found.get(fact, {}):
                    raise SollecitoError(_now("asked twice."), code="bad_condition")
                check_condition({fact: {operator: operand}})
                found.setdefault(fact, {})[operator] = operand
            except SollecitoError as error:
                errors.append(f"{label}: {error.message}")
        return {fact: _short(wanted) for fact, wanted in found.items()}, errors


def _short(wanted: dict[str, Any]) -> Any:
    # The spelling people use in files: `decline_category: [expired]`, `retries_left: true`.
    if set(wanted) == {"is"}:
        return wanted["is"]
    return wanted["in"] if set(wanted) == {"in"} else wanted
