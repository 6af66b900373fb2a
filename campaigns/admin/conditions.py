"""A step's condition in words: its facts, operators and values as people say them.

The facts are campaigns.engine.conditions.FACTS; one without a line in FACT is shown by its name, so that a new one is
usable at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.functional import Promise
from django.utils.text import get_text_list
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from billing.category_words import CATEGORY_WORDS
from billing.models import SubscriptionStatus
from billing.retries.taxonomy import AsksFor
from campaigns.engine.conditions import FACTS
from campaigns.models.ladder import Trigger
from customers.models import Channel, CustomerKind

Words = str | Promise

#: Fact → its name within a sentence.
FACT: dict[str, Words] = {
    "decline_category": _("the bank's reason"),
    "asks_for": _("what the customer must do"),
    "subscription_status": _("the subscription"),
    "currency": _("the currency"),
    "country": _("the country"),
    "customer_kind": _("the customer"),
    "tag": _("the customer's tag"),
    "trigger": _("the occasion"),
    "has_address": _("there is an address for"),
    "engagement": _("what the customer did with our messages"),
    "balance": _("the balance"),
    "open_invoices": _("the number of unpaid invoices"),
    "days_overdue": _("the number of days since day 0"),
    "promises_broken": _("the number of broken promises"),
    "hours_to_retry": _("the hours until the next retry"),
    "round": _("the round"),
    "retries_left": _("a retry is still to come"),
}
#: A fact that is true or false → what it says when false.
UNTRUE: dict[str, Words] = {"retries_left": _("no retry is left")}

_ASKS: dict[str, Words] = {
    AsksFor.NEW_CARD: _("enter a new card"),
    AsksFor.AUTHENTICATE: _("confirm the payment"),
    AsksFor.FUNDS: _("provide funds"),
    AsksFor.NOTHING: _("nothing"),
    AsksFor.CONTACT_BANK: _("talk to the bank"),
}
#: Fact → the words of its values.
VALUES: dict[str, Mapping[str, Words]] = {
    "decline_category": CATEGORY_WORDS,
    "asks_for": _ASKS,
    "subscription_status": dict(SubscriptionStatus.choices),
    "customer_kind": dict(CustomerKind.choices),
    "trigger": dict(Trigger.choices),
    "has_address": dict(Channel.choices),
    "engagement": {
        "none": _("nothing"),
        "opened": _("opened"),
        "clicked": _("clicked"),
        "complained": _("complained"),
    },
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
        shown = get_text_list([value_words(fact, item) for item in items_of(operand)], _now("or"))
    return f"{fact_words(fact)} {OPERATOR.get(operator, operator)} {shown}"


def items_of(operand: Any) -> Sequence[Any]:
    """The values of an operand, one or several."""
    return operand if isinstance(operand, list | tuple) else [operand]
