"""The language segments are written in: DjangoQL's grammar over a closed list of fields, checked before it runs.

`country = "IT" and (balance.EUR > 500 or overdue_days > 30)`

The grammar, its tree and the editor's completion are DjangoQL's. Three things are ours: `and` binds closer than
`or` (DjangoQL gives both the same weight, so that a query without brackets can mean what nobody read in it), each
name and value remembers its place, and names lead to fields of campaigns.segments.fields instead of models.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from django.utils.translation import gettext as _
from djangoql.ast import Comparison, Logical, Name
from djangoql.exceptions import DjangoQLError

from billing.money import to_minor
from campaigns.segments.fields import FIELDS, find, names
from campaigns.segments.grammar import READER, Place
from campaigns.segments.kinds import Field, Kind
from customers.errors import SollecitoError

#: Numbers beyond this are typing errors, and numbers PostgreSQL may not hold.
LARGEST = Decimal(10) ** 15
MOST_DECIMALS = 12
#: Brackets within brackets: a person writes far fewer, and a reader goes into each.
MOST_DEPTH = 50
#: Values in one list; longer ones belong into a tag.
MOST_VALUES = 500

#: NUL, and halves of characters: PostgreSQL holds neither.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

_EQUALITY = frozenset({"=", "!="})
_LISTS = frozenset({"in", "not in"})
_ORDER = frozenset({"<", "<=", ">", ">="})
_WORDS = frozenset({"~", "!~", "startswith", "not startswith", "endswith", "not endswith"})
#: Kind of field → operators it knows.
OPERATORS: dict[Kind, frozenset[str]] = {
    Kind.TEXT: _EQUALITY | _LISTS | _WORDS,
    Kind.TEXTS: _EQUALITY | _LISTS | _WORDS,
    Kind.NUMBER: _EQUALITY | _LISTS | _ORDER,
    Kind.MONEY: _EQUALITY | _ORDER,
    Kind.FLAG: _EQUALITY,
    Kind.FREE: _EQUALITY | _LISTS | _WORDS | _ORDER,
}


class SegmentError(SollecitoError):
    """A query that cannot be used; `line` and `column` count from 1, None where the end is missing."""

    def __init__(self, message: str, *, line: int | None = None, column: int | None = None) -> None:
        place = _("Line %(line)d, column %(column)d: ") % {"line": line, "column": column or 1} if line else ""
        super().__init__(f"{place}{message}", code="bad_query")
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison. `value` is a str, Decimal, bool, None, or a tuple of str and Decimal for `in`."""

    field: Field
    #: What follows the field's name after a dot: a currency, a metadata key; empty where there is none.
    part: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Joined:
    """Two or more conditions joined by `and` or `or`."""

    operator: str
    parts: "tuple[Condition, ...]"


Condition = Compared | Joined


def parse(query: str) -> Condition:
    """The conditions of a query, fields found and values checked. Raises SegmentError naming the place."""
    if not query.strip():
        raise SegmentError(_("The query is empty."))
    try:
        tree = READER.read(query)
    except DjangoQLError as error:
        raise SegmentError(error.args[0], line=error.line, column=error.column) from error
    return _condition(tree)


def _condition(node: Any, depth: int = 0) -> Condition:
    # A loop, not a recursion to the left: a thousand `or` in a row lean left a thousand deep.
    if not isinstance(node.operator, Logical):
        return _compared(node)
    if depth > MOST_DEPTH:
        raise SegmentError(_("Brackets stand at most %(most)d deep within each other.") % {"most": MOST_DEPTH})
    parts: list[Condition] = []
    operator = node.operator.operator
    while isinstance(node.operator, Logical) and node.operator.operator == operator:
        parts.append(_condition(node.right, depth + 1))
        node = node.left
    parts.append(_condition(node, depth + 1))
    return Joined(operator, tuple(reversed(parts)))


def _compared(node: Any) -> Compared:
    name: Name = node.left
    comparison: Comparison = node.operator
    place: Place = name.place
    field, part = _field(name, place)
    operator: str = comparison.operator
    if operator not in OPERATORS[field.kind]:
        raise SegmentError(
            _("%(field)s cannot be compared by %(operator)s; it knows %(known)s.")
            % {"field": name.value, "operator": operator, "known": ", ".join(sorted(OPERATORS[field.kind]))},
            line=place.line,
            column=place.column,
        )
    if operator in _LISTS:
        if len(node.right.items) > MOST_VALUES:
            raise SegmentError(
                _("A list has at most %(most)d values.") % {"most": MOST_VALUES}, line=place.line, column=place.column
            )
        value: Any = tuple(_value(field, part, name.value, operator, item, place) for item in node.right.items)
    else:
        value = _value(field, part, name.value, operator, node.right, place)
    return Compared(field, part, operator, value)


def _field(name: Name, place: Place) -> tuple[Field, str]:
    found = find(name.parts)
    if found is not None:
        return found
    stem = FIELDS.get(name.value) or FIELDS.get(".".join(name.parts[:-1]))
    if stem is not None and stem.takes == "currency":
        raise SegmentError(
            _("%(field)s is asked for in one currency at a time: %(field)s.EUR.") % {"field": stem.name},
            line=place.line,
            column=place.column,
        )
    close = get_close_matches(name.value, names(), n=1)
    hint = _(" Did you mean %(name)s?") % {"name": close[0]} if close else ""
    raise SegmentError(
        _("There is no field %(name)s.") % {"name": name.value} + hint, line=place.line, column=place.column
    )


def _value(field: Field, part: str, name: str, operator: str, const: Any, fallback: Place) -> Any:
    """The constant as the field compares it, amounts in minor units. Raises SegmentError where it does not fit."""
    value: Any = const.value
    place = getattr(const, "place", fallback)

    def refuse(message: str) -> SegmentError:
        return SegmentError(message, line=place.line, column=place.column)

    if value is None:
        if operator not in _EQUALITY or not field.may_lack:
            raise refuse(_("%(field)s always has a value; None fits nowhere.") % {"field": name})
        return None
    kinds: dict[Kind, tuple[type, ...]] = {
        Kind.TEXT: (str,),
        Kind.TEXTS: (str,),
        Kind.NUMBER: (Decimal,),
        Kind.MONEY: (Decimal,),
        Kind.FLAG: (bool,),
        Kind.FREE: (str, Decimal),
    }
    if not isinstance(value, kinds[field.kind]):
        words = {
            Kind.TEXT: _("a text in quotes"),
            Kind.TEXTS: _("a text in quotes"),
            Kind.NUMBER: _("a number"),
            Kind.MONEY: _("an amount"),
            Kind.FLAG: _("True or False"),
            Kind.FREE: _("a text in quotes or a number"),
        }
        raise refuse(_("%(field)s is compared with %(kind)s.") % {"field": name, "kind": words[field.kind]})
    if isinstance(value, Decimal):
        # Compared, not computed with: arithmetic on what people can type may overflow.
        if not -LARGEST < value < LARGEST:
            raise refuse(_("This number is too large."))
        if int(value.as_tuple().exponent) < -MOST_DECIMALS:
            raise refuse(_("This number has too many decimals."))
    if field.kind is Kind.MONEY:
        try:
            return Decimal(to_minor(str(value), part))
        except SollecitoError as error:
            raise refuse(error.message) from error
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise refuse(_("This character cannot be stored."))
        choices = field.choices
        if choices and operator in (_EQUALITY | _LISTS) and value not in choices:
            close = get_close_matches(value, choices, n=1)
            hint = close[0] if close else ", ".join(choices)
            raise refuse(
                _("%(field)s is never “%(value)s”. Did you mean: %(hint)s?")
                % {"field": name, "value": value, "hint": hint}
            )
    if field.kind is Kind.FREE and operator in _WORDS and not isinstance(value, str):
        raise refuse(_("%(operator)s is for texts.") % {"operator": operator})
    if field.kind is Kind.FREE and operator in _ORDER and not isinstance(value, Decimal):
        raise refuse(_("%(operator)s is for numbers.") % {"operator": operator})
    return value
