"""The closed list of facts a step's condition may ask for, and how each is read from a snapshot.

A condition is a mapping of facts, all of which must hold. Each fact takes a value, a list (any of them) or a
mapping of operators: `in`, `not`, `at_least`, `at_most`, `is`. Amounts are major units by currency, other quantities
whole numbers. To offer a new fact add a line to FACTS.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from billing.models import SubscriptionStatus
from billing.money import to_minor
from billing.retries.taxonomy import AsksFor, Category
from campaigns.engine.types import CaseSnapshot
from campaigns.models.ladder import Trigger
from campaigns.models.message import MessageStatus
from customers.errors import SollecitoError
from customers.models import Channel, CustomerKind

Values = frozenset[str] | Mapping[str, int] | bool | int | None
Reader = Callable[[CaseSnapshot, datetime], Values]


def _texts(attribute: str) -> Reader:
    def read(case: CaseSnapshot, now: datetime) -> frozenset[str]:
        return frozenset(value for invoice in case.invoices if (value := getattr(invoice, attribute)))

    return read


def _retries_left(case: CaseSnapshot, now: datetime) -> bool:
    return any(i.retry_at is not None or i.retry_unplanned or i.retry_in_flight for i in case.invoices)


def _hours_to_retry(case: CaseSnapshot, now: datetime) -> int | None:
    """Whole hours until the next charge, rounded up; None without one: no condition on it holds then."""
    moments = [i.retry_at for i in case.invoices if i.retry_at is not None]
    return -((now - max(min(moments), now)) // timedelta(hours=1)) if moments else None


def _engagement(case: CaseSnapshot, now: datetime) -> frozenset[str]:
    """What the customer has done with the messages of this round."""
    statuses = {run.message_status for run in case.runs.values()}
    found = {word for word, told in _ENGAGED.items() if statuses & told}
    return frozenset(found or {"none"})


_ENGAGED = {
    "opened": {MessageStatus.OPENED.value, MessageStatus.CLICKED.value},
    "clicked": {MessageStatus.CLICKED.value},
    "complained": {MessageStatus.COMPLAINED.value},
}
_IN = frozenset({"in", "not"})
_RANGE = frozenset({"at_least", "at_most"})
#: Kinds of quantity.
SUM = "sum"
NUMBER = "number"

#: Fact → (reader, operators, allowed texts, None for any, or the kind of quantity). Facts of invoices hold if one open
#: invoice fits.
FACTS: dict[str, tuple[Reader, frozenset[str], frozenset[str] | str | None]] = {
    "decline_category": (_texts("decline_category"), _IN, frozenset(Category)),
    "asks_for": (_texts("asks_for"), _IN, frozenset(AsksFor)),
    "subscription_status": (_texts("subscription_status"), _IN, frozenset(SubscriptionStatus.values)),
    "currency": (_texts("currency"), _IN, None),
    "country": (lambda case, now: frozenset({case.country}), _IN, None),
    "customer_kind": (lambda case, now: frozenset({case.guard.kind}), _IN, frozenset(CustomerKind.values)),
    "tag": (lambda case, now: frozenset(case.tags), _IN, None),
    "trigger": (lambda case, now: frozenset({case.trigger}), _IN, frozenset(Trigger.values)),
    "has_address": (
        lambda case, now: frozenset(channel for channel, address in case.guard.addresses.items() if address),
        _IN,
        frozenset(Channel.values),
    ),
    "engagement": (_engagement, _IN, frozenset({"none", "opened", "clicked", "complained"})),
    # Major units by currency, as people write them: {at_least: {EUR: 50, USD: 60}}.
    "balance": (lambda case, now: case.balances(), _RANGE, SUM),
    "open_invoices": (lambda case, now: len(case.invoices), _RANGE, NUMBER),
    "days_overdue": (lambda case, now: max((now - case.anchor_at).days, 0), _RANGE, NUMBER),
    "promises_broken": (lambda case, now: case.promises_broken, _RANGE, NUMBER),
    "hours_to_retry": (_hours_to_retry, _RANGE, NUMBER),
    "round": (lambda case, now: case.round, _RANGE, NUMBER),
    "retries_left": (_retries_left, frozenset({"is"}), None),
}


def _operators(fact: str, wanted: Any) -> dict[str, Any]:
    if isinstance(wanted, Mapping):
        return dict(wanted)
    if isinstance(wanted, bool):
        return {"is": wanted}
    return {"in": wanted}


def _items(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


def check_condition(condition: Mapping[str, Any]) -> None:
    """Refuses what could not be read later. Raises SollecitoError naming the fact, operator or value."""
    for fact, wanted in condition.items():
        if fact not in FACTS:
            raise SollecitoError(
                f"Unknown condition {fact!r}; there are {', '.join(sorted(FACTS))}.", code="unknown_condition"
            )
        _reader, operators, allowed = FACTS[fact]
        for operator, value in _operators(fact, wanted).items():
            if operator not in operators:
                raise SollecitoError(
                    f"Condition {fact!r} knows {', '.join(sorted(operators))}, not {operator!r}.",
                    code="bad_condition",
                )
            if allowed == SUM:
                if not isinstance(value, Mapping) or not value:
                    raise SollecitoError(f"{fact!r} {operator} takes amounts by currency.", code="bad_condition")
                for currency, amount in value.items():
                    to_minor(str(amount), str(currency))
            elif allowed == NUMBER:
                if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                    raise SollecitoError(f"{fact!r} {operator} takes a whole number.", code="bad_condition")
            elif operator in ("in", "not"):
                unknown = [item for item in _items(value) if isinstance(allowed, frozenset) and item not in allowed]
                if unknown or not _items(value):
                    raise SollecitoError(
                        f"Condition {fact!r} has unknown values: {', '.join(unknown) or 'none given'}.",
                        code="bad_condition",
                    )


def unmet(condition: Mapping[str, Any], case: CaseSnapshot, now: datetime) -> str:
    """The first part of a condition that does not hold at `now` (aware UTC), in words; empty if all do."""
    for fact, wanted in condition.items():
        value = FACTS[fact][0](case, now)
        for operator, operand in _operators(fact, wanted).items():
            if not _holds(operator, operand, value):
                shown = ", ".join(sorted(value)) if isinstance(value, frozenset) else str(value)
                return f"{fact} {operator} {_shown(operand)} does not hold (it is {shown or 'empty'})"
    return ""


def _shown(operand: Any) -> str:
    if isinstance(operand, Mapping):
        return ", ".join(f"{amount} {currency}" for currency, amount in operand.items())
    return ", ".join(_items(operand))


def _holds(operator: str, operand: Any, value: Values) -> bool:
    if operator == "is":
        return value is bool(operand)
    if operator in _RANGE:
        if isinstance(value, Mapping):
            pairs = [(value.get(c.upper(), 0), to_minor(Decimal(str(amount)), c)) for c, amount in operand.items()]
        elif value is None:
            return False
        else:
            assert not isinstance(value, frozenset)
            pairs = [(int(value), int(operand))]
        if operator == "at_least":
            return any(held >= wanted for held, wanted in pairs)
        return all(held <= wanted for held, wanted in pairs)
    assert isinstance(value, frozenset)
    found = not value.isdisjoint(_items(operand))
    return found if operator == "in" else not found
