"""Turns a query's conditions into one SELECT of customer ids: the customer joined to the sources it asks about."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from campaigns.segments.fields import SOURCES
from campaigns.segments.kinds import Kind
from campaigns.segments.language import Compared, Condition

_HOLE = re.compile(r"\{(now|part)\}")
_NUMERIC = "CASE WHEN {0} ~ '^-?[0-9]{{1,15}}([.][0-9]{{1,15}})?$' THEN ({0})::numeric END"


@dataclass(frozen=True, slots=True)
class Sql:
    """SQL with placeholders, and their values in order."""

    text: str
    params: tuple[Any, ...] = ()


def _join(glue: str, parts: Iterable[Sql]) -> Sql:
    parts = list(parts)
    return Sql(glue.join(part.text for part in parts), tuple(value for part in parts for value in part.params))


def _filled(template: str, now: datetime, part: str) -> Sql:
    params: list[Any] = []

    def put(match: re.Match[str]) -> str:
        params.append(now if match[1] == "now" else part)
        return "%s"

    return Sql(_HOLE.sub(put, template), tuple(params))


def customer_ids_sql(condition: Condition, now: datetime, customer_ids: Collection[int] | None = None) -> Sql:
    """SELECT of the ids of the customers who answer to it at `now` (aware UTC), among `customer_ids` if given.

    Customers deleted at their source answer to nothing.
    """
    asked = list(_comparisons(condition))
    # One column per expression and part, so that a field asked for twice is computed once.
    columns: dict[str, dict[Sql, str]] = {}
    for compared in asked:
        if compared.field.source is not None:
            of_source = columns.setdefault(compared.field.source, {})
            of_source.setdefault(_filled(compared.field.expression, now, compared.part), f"f{len(of_source)}")
    scope = None if customer_ids is None else list(customer_ids)
    joins = [_joined(key, fields, scope) for key, fields in columns.items()]

    def column(compared: Compared) -> Sql:
        field = compared.field
        expression = _filled(field.expression, now, compared.part)
        if field.source is None:
            return expression
        return Sql(f"{field.source}.{columns[field.source][expression]}")

    where = _where(condition, column)
    parts = [
        Sql("SELECT c.id FROM customers_customer c JOIN customers_brand b ON b.id = c.brand_id"),
        *joins,
        Sql(" WHERE c.deleted_at IS NULL AND "),
        where,
    ]
    if scope is not None:
        parts.append(Sql(" AND c.id = ANY(%s)", (scope,)))
    return _join("", parts)


def _comparisons(condition: Condition) -> Iterable[Compared]:
    if isinstance(condition, Compared):
        yield condition
    else:
        for part in condition.parts:
            yield from _comparisons(part)


def _joined(key: str, fields: dict[Sql, str], scope: list[int] | None) -> Sql:
    """LEFT JOIN of a source with the columns asked for, one row per customer."""
    source = SOURCES[key]
    selected = _join(
        "", [Sql(f", {expression.text} AS {name}", expression.params) for expression, name in fields.items()]
    )
    narrowed = Sql("") if scope is None else Sql(f" AND {source.owner} = ANY(%s)", (scope,))
    return _join(
        "",
        [
            Sql(f" LEFT JOIN (SELECT {source.owner} AS customer_id"),
            selected,
            Sql(f" FROM {source.body}"),
            narrowed,
            Sql(f" GROUP BY {source.owner}) {key} ON {key}.customer_id = c.id"),
        ],
    )


def _where(condition: Condition, column: Callable[[Compared], Sql]) -> Sql:
    if isinstance(condition, Compared):
        return _BY_KIND[condition.field.kind](column(condition), condition)
    inner = _join(f" {condition.operator.upper()} ", (_where(part, column) for part in condition.parts))
    return Sql(f"({inner.text})", inner.params)


def _not(sql: Sql) -> Sql:
    # What is unknown is not so: a negated comparison holds for a customer without the value.
    return Sql(f"NOT COALESCE({sql.text}, false)", sql.params)


def _negated(operator: str) -> tuple[str, bool]:
    """The operator without its negation, and whether it had one."""
    if operator.startswith("not "):
        return operator[4:], True
    return (operator[1:], True) if operator.startswith("!") else (operator, False)


def _pattern(operator: str, value: str) -> str:
    plain = re.sub(r"([\\%_])", r"\\\1", value)
    return {"~": f"%{plain}%", "startswith": f"{plain}%", "endswith": f"%{plain}"}[operator]


def _text(x: Sql, compared: Compared) -> Sql:
    operator, negated = _negated(compared.operator)
    if compared.value is None:
        found = Sql(f"({x.text}) IS NULL", x.params)
    elif operator == "in":
        found = Sql(f"{x.text} = ANY(%s)", (*x.params, list(compared.value)))
    elif operator == "=":
        found = Sql(f"{x.text} = %s", (*x.params, compared.value))
    else:
        found = Sql(f"{x.text} ILIKE %s", (*x.params, _pattern(operator, compared.value)))
    return _not(found) if negated else found


def _texts(x: Sql, compared: Compared) -> Sql:
    operator, negated = _negated(compared.operator)
    if compared.value is None:
        found = Sql(f"cardinality(COALESCE({x.text}, '{{}}')) = 0", x.params)
    elif operator in ("=", "in"):
        values = [compared.value] if operator == "=" else list(compared.value)
        found = Sql(f"{x.text} && %s::varchar[]", (*x.params, values))
    else:
        pattern = _pattern(operator, compared.value)
        found = Sql(f"EXISTS (SELECT 1 FROM unnest({x.text}) u(v) WHERE u.v ILIKE %s)", (*x.params, pattern))
    return _not(found) if negated else found


def _number(x: Sql, compared: Compared) -> Sql:
    if not compared.field.may_lack:
        x = Sql(f"COALESCE({x.text}, 0)", x.params)
    operator, negated = _negated(compared.operator)
    if compared.value is None:
        found = Sql(f"{x.text} IS NULL", x.params)
    elif operator == "in":
        found = Sql(f"{x.text} = ANY(%s::numeric[])", (*x.params, list(compared.value)))
    else:
        found = Sql(f"{x.text} {operator} %s", (*x.params, compared.value))
    return _not(found) if negated else found


def _flag(x: Sql, compared: Compared) -> Sql:
    found = Sql(f"COALESCE({x.text}, false)", x.params)
    wanted = compared.value is (compared.operator == "=")
    return found if wanted else _not(found)


def _free(x: Sql, compared: Compared) -> Sql:
    """Metadata: compared as text with a text, as a number with a number; what is no number fits no number."""
    operator, negated = _negated(compared.operator)
    if operator == "in":
        found = _join(" OR ", (_free(x, _plain(compared, value)) for value in compared.value))
        found = Sql(f"({found.text})", found.params)
    elif isinstance(compared.value, Decimal):
        number = Sql(_NUMERIC.format(x.text), x.params * 2)
        found = Sql(f"{number.text} {operator} %s", (*number.params, compared.value))
    else:
        return _text(x, compared)
    return _not(found) if negated else found


def _plain(compared: Compared, value: Any) -> Compared:
    return Compared(compared.field, compared.part, "=", value)


_BY_KIND: dict[Kind, Callable[[Sql, Compared], Sql]] = {
    Kind.TEXT: _text,
    Kind.TEXTS: _texts,
    Kind.NUMBER: _number,
    Kind.MONEY: _number,
    Kind.FLAG: _flag,
    Kind.FREE: _free,
}
