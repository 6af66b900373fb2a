"""What the query editor completes: names, operators and values, in the shape DjangoQL's script reads."""

from typing import Any

from django.db import connection

from billing.money import exponent
from campaigns.segments.fields import FIELDS
from campaigns.segments.kinds import Field, Kind
from customers.errors import SollecitoError

#: DjangoQL's word for each kind; a plain `unknown` offers no operator it would have to guess.
_TYPES = {
    Kind.TEXT: "str",
    Kind.TEXTS: "str",
    Kind.NUMBER: "float",
    Kind.MONEY: "float",
    Kind.FLAG: "bool",
    Kind.FREE: "str",
}
_CURRENCIES = """
    SELECT DISTINCT currency FROM (SELECT currency FROM billing_invoice ORDER BY id DESC LIMIT 5000) i ORDER BY 1
"""
_KEYS = """
    SELECT DISTINCT jsonb_object_keys(metadata)
      FROM (SELECT metadata FROM customers_customer ORDER BY id DESC LIMIT 1000) c ORDER BY 1 LIMIT 100
"""


def introspection() -> dict[str, Any]:
    """Fields by model, a model for each name that takes a part (`balance.`), values from recent rows.

    A constant number of queries, each over the newest rows only.
    """
    currencies = [code for code in _values(_CURRENCIES) if _known(code)] or ["EUR"]
    keys = [key for key in _values(_KEYS) if key.isidentifier()]
    customer: dict[str, Any] = {}
    models: dict[str, dict[str, Any]] = {"customer": customer}
    for field in FIELDS.values():
        stem, _dot, rest = field.name.partition(".")
        if field.takes:
            parts = currencies if field.takes == "currency" else keys
            models[field.name] = {part: _described(field) for part in parts}
            customer[field.name] = _relation(field.name)
        elif rest:
            models.setdefault(stem, {})[rest] = _described(field)
            customer[stem] = _relation(stem)
        else:
            customer[field.name] = _described(field)
    return {"current_model": "customer", "models": models}


def _relation(model: str) -> dict[str, Any]:
    return {"type": "relation", "relation": model, "nullable": False, "options": None}


def _described(field: Field) -> dict[str, Any]:
    values = list(field.choices) or (_values(field.suggest) if field.suggest else [])
    return {"type": _TYPES[field.kind], "nullable": field.may_lack, "options": values or None}


def _values(sql: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [value for (value,) in cursor.fetchall() if value]


def _known(currency: str) -> bool:
    try:
        exponent(currency)
    except SollecitoError:
        return False
    return True
