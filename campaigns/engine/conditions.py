"""The closed list of facts a step's condition may ask for, and how each is read from a snapshot.

A condition is a mapping of facts, all of which must hold. Each fact takes a value, a list (any of them) or a
mapping of operators: `in`, `not`, `at_least`. To offer a new fact add a line to FACTS.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from billing.models import SubscriptionStatus
from billing.money import to_minor
from billing.retries.taxonomy import AsksFor, Category
from campaigns.engine.types import CaseSnapshot
from customers.errors import SollecitoError
from customers.models import CustomerKind

Values = frozenset[str] | Mapping[str, int] | bool


def _texts(attribute: str) -> Callable[[CaseSnapshot], frozenset[str]]:
    def read(case: CaseSnapshot) -> frozenset[str]:
        return frozenset(value for invoice in case.invoices if (value := getattr(invoice, attribute)))

    return read


def _retries_left(case: CaseSnapshot) -> bool:
    return any(i.retry_at is not None or i.retry_unplanned or i.retry_in_flight for i in case.invoices)


#: Fact → (reader, operators, allowed texts or None for any). Facts of invoices hold if one open invoice fits.
FACTS: dict[str, tuple[Callable[[CaseSnapshot], Values], frozenset[str], frozenset[str] | None]] = {
    "decline_category": (_texts("decline_category"), frozenset({"in", "not"}), frozenset(Category)),
    "asks_for": (_texts("asks_for"), frozenset({"in", "not"}), frozenset(AsksFor)),
    "subscription_status": (
        _texts("subscription_status"),
        frozenset({"in", "not"}),
        frozenset(SubscriptionStatus.values),
    ),
    "currency": (_texts("currency"), frozenset({"in", "not"}), None),
    "country": (lambda case: frozenset({case.country}), frozenset({"in", "not"}), None),
    "customer_kind": (
        lambda case: frozenset({case.guard.kind}),
        frozenset({"in", "not"}),
        frozenset(CustomerKind.values),
    ),
    # Major units by currency, as people write them: {at_least: {EUR: 50, USD: 60}}.
    "balance": (lambda case: case.balances(), frozenset({"at_least"}), None),
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
            if operator == "at_least":
                if not isinstance(value, Mapping) or not value:
                    raise SollecitoError(f"{fact!r} at_least takes amounts by currency.", code="bad_condition")
                for currency, amount in value.items():
                    to_minor(str(amount), str(currency))
            elif operator in ("in", "not"):
                unknown = [item for item in _items(value) if allowed is not None and item not in allowed]
                if unknown or not _items(value):
                    raise SollecitoError(
                        f"Condition {fact!r} has unknown values: {', '.join(unknown) or 'none given'}.",
                        code="bad_condition",
                    )


def unmet(condition: Mapping[str, Any], case: CaseSnapshot) -> str:
    """The first part of a condition that does not hold, in words; empty if all do."""
    for fact, wanted in condition.items():
        value = FACTS[fact][0](case)
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
    if operator == "at_least":
        assert isinstance(value, Mapping)
        return any(
            value.get(currency.upper(), 0) >= to_minor(Decimal(str(amount)), currency)
            for currency, amount in operand.items()
        )
    assert isinstance(value, frozenset)
    found = not value.isdisjoint(_items(operand))
    return found if operator == "in" else not found
