"""What a field of a segment is: where it is read, how its values compare."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

Words = Any  # str or lazy translation


class Kind(Enum):
    """How a field's values compare."""

    TEXT = "text"
    #: Several texts; a comparison holds if one of them fits, a negated one if none does.
    TEXTS = "texts"
    NUMBER = "number"
    #: Minor units of the currency named after the dot; written in major units.
    MONEY = "money"
    FLAG = "flag"
    #: Text or number, whichever it is compared with.
    FREE = "free"


@dataclass(frozen=True, slots=True)
class Source:
    """One row per customer. `sql` selects `{owner} AS customer_id` and groups by it; see the module's docstring."""

    key: str
    #: FROM and WHERE; the alias of the table that has the customer's id is part of `owner`.
    body: str
    owner: str


@dataclass(frozen=True, slots=True)
class Field:
    """What may be asked: `expression` is SQL over its source, an aggregate unless the source is the customer."""

    name: str
    kind: Kind
    label: Words
    expression: str
    #: None: columns of the customer (c) and brand (b) themselves.
    source: str | None = None
    group: Words = ""
    #: The only values there are, in the order shown; empty where there is no such list.
    choices: tuple[str, ...] = ()
    #: SQL that lists values for the editor's completion, most of them, quickly.
    suggest: str = ""
    #: What must follow after a dot: nothing, a currency, or any key.
    takes: str = ""
    #: It can be missing, and then is None.
    may_lack: bool = False
    example: str = ""
