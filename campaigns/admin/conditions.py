"""A step's condition in words and as rows of a form: facts by name, checked, nobody writes JSON.

The facts, their operators and values are campaigns.engine.conditions.FACTS; here are their words. A fact without a
line in FACT is shown by its name, so that a new one is usable at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.text import get_text_list
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from billing.models import SubscriptionStatus
from billing.retries.taxonomy import AsksFor, Category
from campaigns.engine.conditions import FACTS, NUMBER, SUM, check_condition
from customers.errors import SollecitoError
from customers.models import CustomerKind

Words = str | Promise

#: Fact → its name within a sentence.
FACT: dict[str, Words] = {
    "decline_category": _("the bank's reason"),
    "asks_for": _("what the customer must do"),
    "subscription_status": _("the subscription"),
    "currency": _("the currency"),
    "country": _("the country"),
    "customer_kind": _("the customer"),
    "balance": _("the balance"),
    "retries_left": _("a retry is still to come"),
    "tag": _("a tag of the customer"),
    "trigger": _("what opened the case"),
    "has_address": _("there is an address for"),
    "engagement": _("what was done with our messages"),
    "open_invoices": _("the number of open invoices"),
    "days_overdue": _("the number of days overdue"),
    "promises_broken": _("the number of broken promises"),
    "hours_to_retry": _("the number of hours to the next retry"),
    "round": _("the round"),
}
#: A fact that is true or false → what it says when false.
UNTRUE: dict[str, Words] = {"retries_left": _("no retry is left")}

_CATEGORY: dict[str, Words] = {
    Category.INSUFFICIENT_FUNDS: _("insufficient funds"),
    Category.ISSUER_SOFT: _("refused for now"),
    Category.DO_NOT_HONOR: _("refused without a reason"),
    Category.CARD_DATA: _("wrong card data"),
    Category.EXPIRED: _("card expired"),
    Category.LOST_STOLEN: _("card lost or stolen"),
    Category.FRAUD: _("suspicion of fraud"),
    Category.AUTHENTICATION: _("confirmation required"),
    Category.LIMIT_VELOCITY: _("limit reached"),
    Category.TECHNICAL: _("technical fault"),
    Category.ACCOUNT_CLOSED: _("account closed"),
    Category.REVOCATION: _("permission withdrawn"),
    Category.UNSUPPORTED: _("card not accepted"),
    Category.UNKNOWN: _("unknown"),
}
_ASKS: dict[str, Words] = {
    AsksFor.NEW_CARD: _("enter a new card"),
    AsksFor.AUTHENTICATE: _("confirm the payment"),
    AsksFor.FUNDS: _("provide funds"),
    AsksFor.NOTHING: _("nothing"),
    AsksFor.CONTACT_BANK: _("talk to the bank"),
}
#: Fact → the words of its values.
VALUES: dict[str, Mapping[str, Words]] = {
    "decline_category": _CATEGORY,
    "asks_for": _ASKS,
    "subscription_status": dict(SubscriptionStatus.choices),
    "customer_kind": dict(CustomerKind.choices),
}

OPERATOR: dict[str, Words] = {
    "in": _("is"),
    "not": _("is not"),
    "is": _("is"),
    "at_least": _("is at least"),
    "at_most": _("is at most"),
}


def fact_words(fact: str) -> str:
    """The fact's name as people say it."""
    return str(FACT.get(fact, fact.replace("_", " ")))


def value_words(fact: str, value: Any) -> str:
    """One value of a fact as people say it."""
    return str(VALUES.get(fact, {}).get(str(value), value))


def operations(wanted: Any) -> dict[str, Any]:
    """What is wanted of a fact, always by operator: a lone value or list means `in`, true and false `is`."""
    if isinstance(wanted, Mapping):
        return dict(wanted)
    return {"is": wanted} if isinstance(wanted, bool) else {"in": wanted}


def condition_words(condition: Mapping[str, Any]) -> list[str]:
    """Each part of a condition as a clause, in order: "the bank's reason is card expired or fraud"."""
    return [
        _clause(fact, operator, operand)
        for fact in sorted(condition, key=_rank)
        for operator, operand in operations(condition[fact]).items()
    ]


def _rank(fact: str) -> tuple[int, str]:
    names = list(FACTS)
    return (names.index(fact) if fact in FACTS else len(names), fact)


def _clause(fact: str, operator: str, operand: Any) -> str:
    if operator == "is":
        said = FACT.get(fact) if operand else UNTRUE.get(fact)
        return str(said) if said else _now("not: %(fact)s") % {"fact": fact_words(fact)}
    if isinstance(operand, Mapping):
        shown = get_text_list([f"{amount} {currency}" for currency, amount in operand.items()], _now("or"))
    else:
        shown = get_text_list([value_words(fact, item) for item in _items(operand)], _now("or"))
    return f"{fact_words(fact)} {OPERATOR.get(operator, operator)} {shown}"


def _items(operand: Any) -> Sequence[Any]:
    return operand if isinstance(operand, list | tuple) else [operand]


# --- as rows of a form


class ConditionRow(forms.Form):
    """One part of a condition: a fact, an operator and a value whose field fits the fact."""

    fact = forms.ChoiceField(label=_("Fact"), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = sorted(FACTS, key=lambda name: fact_words(name).casefold())
        self.fields["fact"].choices = [(name, fact_words(name)) for name in names]  # type: ignore[attr-defined]
        self.fields["fact"].widget.attrs["data-shape"] = "1"
        chosen = self["fact"].value()
        self.name = chosen if chosen in FACTS else names[0]
        kind = FACTS[self.name][2]
        self._shape(FACTS[self.name][1], kind if isinstance(kind, frozenset) else None)

    def _shape(self, operators: frozenset[str], allowed: frozenset[str] | None) -> None:
        """Adds the fields a fact with these operators and allowed values needs."""
        if operators == {"is"}:
            choices = [("true", FACT.get(self.name, _("yes"))), ("false", UNTRUE.get(self.name, _("no")))]
            self.fields["value"] = forms.ChoiceField(label=_("Value"), choices=choices, widget=UnfoldAdminSelectWidget)
            return
        ordered = [name for name in OPERATOR if name in operators]
        self.fields["operator"] = forms.ChoiceField(
            label=_("How"), choices=[(name, OPERATOR[name]) for name in ordered], widget=UnfoldAdminSelectWidget
        )
        if allowed is not None:
            values = sorted(((v, value_words(self.name, v)) for v in allowed), key=lambda pair: pair[1].casefold())
            self.fields["value"] = forms.MultipleChoiceField(
                label=_("Values"),
                choices=values,
                widget=UnfoldAdminSelectMultipleWidget(attrs={"size": min(len(values), 6)}),
                help_text=_("Hold Ctrl or ⌘ to choose several."),
            )
        else:
            hint = _("Amounts with their currency: 50 EUR, 60 USD") if self.is_money else _("Separated by commas")
            hint = _("A whole number") if self.is_number else hint
            self.fields["value"] = forms.CharField(
                label=_("Value"), max_length=200, help_text=hint, widget=UnfoldAdminTextInputWidget
            )

    @property
    def is_money(self) -> bool:
        """True if the fact is compared with amounts by currency."""
        return FACTS[self.name][2] == SUM

    @property
    def is_number(self) -> bool:
        """True if the fact is compared with a whole number."""
        return FACTS[self.name][2] == NUMBER

    def part(self) -> tuple[str, str, Any]:
        """The fact, operator and operand of a valid row. Raises SollecitoError naming what cannot be read."""
        value = self.cleaned_data["value"]
        operator = self.cleaned_data.get("operator", "is")
        if operator == "is":
            return self.name, operator, value == "true"
        if self.is_money:
            return self.name, operator, _amounts(value)
        if self.is_number:
            if not value.strip().isdigit():
                raise SollecitoError(_now("Write a whole number."), code="bad_condition")
            return self.name, operator, int(value)
        if isinstance(value, str):
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
        amount, currency = words if words[0][:1].isdigit() else words[::-1]
        found[currency.upper()] = amount
    return found


def _initial(fact: str, operator: str, operand: Any) -> dict[str, Any]:
    if operator == "is":
        value: Any = "true" if operand else "false"
    elif isinstance(operand, Mapping):
        value = ", ".join(f"{amount} {currency}" for currency, amount in operand.items())
    else:
        value = [str(item) for item in _items(operand)]
        if fact in FACTS and not isinstance(FACTS[fact][2], frozenset):
            value = ", ".join(value)
    return {"fact": fact, "operator": operator, "value": value}


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
            numbers = range(20)
            self.rows = [ConditionRow(data, prefix=f"c{n}") for n in numbers if f"c{n}-fact" in data]

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
