"""Owns what one row of a file comes to: an invoice, a charge, or what is wrong with it. Plain data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row cannot be taken: its number in the file (1 = first below the headings), column, text, reason, and
    what to do about it."""

    row: int
    field: str
    value: str
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        told = f"Row {self.row}, {self.field} {self.value!r}: {self.reason}."
        return f"{told} {self.remedy}".rstrip()

    def as_json(self) -> list[str]:
        """For ImportRow.errors."""
        return [self.field, self.value, self.reason, self.remedy]


@dataclass(frozen=True, slots=True)
class Receivable:
    """One invoice of a file. `amount` and `paid` in minor units of `currency`; dates are calendar dates at the brand's
    place. `status`, where the file tells one, is one of InvoiceStatus."""

    row: int
    number: str
    customer: str
    amount: int
    currency: str
    issued: date
    due: date
    settled: date | None = None
    disputed: bool = False
    customer_name: str = ""
    email: str = ""
    country: str = ""
    paid: int = 0
    status: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For ImportRow.item; what is empty is left out."""
        told = {name: value for name, value in asdict(self).items() if value or name in ("row", "amount")}
        for name in ("issued", "due", "settled"):
            if name in told:
                told[name] = told[name].isoformat()
        return told

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Receivable":
        """What `as_json` told."""
        days = {name: date.fromisoformat(told[name]) for name in ("issued", "due", "settled") if name in told}
        return cls(**{**told, **days})


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge of a file, made at `at` (aware UTC). `amount` and `refunded` in minor units of `currency`; `invoice`
    is the processor's id of what it was for, empty for none."""

    row: int
    number: str
    customer: str
    amount: int
    currency: str
    at: datetime
    succeeded: bool
    refunded: int = 0
    reason: str = ""
    message: str = ""
    method: str = ""
    invoice: str = ""
    customer_name: str = ""
    email: str = ""
    country: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For ImportRow.item."""
        return asdict(self) | {"at": self.at.isoformat()}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Charge":
        """What `as_json` told."""
        return cls(**{**told, "at": datetime.fromisoformat(told["at"])})


Item = Receivable | Charge
