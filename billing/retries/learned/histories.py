"""Owns the charges that are remembered of each customer, in hours, and how they are written down."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from billing.retries.learned.calendars import HOUR, local_hour
from billing.retries.learned.foretold import advice_of
from billing.retries.learned.habits import APPROVED, code_group
from billing.retries.learned.hypotheses import Charges
from billing.retries.types import PastAttempt

#: Charges of one customer that are looked back on.
LOOK_BACK = 64

#: UTC hour, local hour, answer and advice (see foretold) of a charge; with its invoice.
Hours = tuple[int, int, int, int]
Row = tuple[int, int, int, int, str]


class Histories:
    """By customer: each charge in hours and its invoice, oldest first."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    @property
    def charges(self) -> int:
        """How many charges are remembered of all customers."""
        return sum(map(len, self._rows.values()))

    def add(self, customer: str, zone: str, invoice: str, told: PastAttempt) -> None:
        """Remember one charge; the same one told twice counts once."""
        row = row_of(told, zone, invoice)
        rows = self._rows.setdefault(customer, [])
        if not rows or row[0] > rows[-1][0]:
            rows.append(row)
            return
        same = [n for n, other in enumerate(rows) if (*other[:3], other[4]) == (*row[:3], invoice)]
        if same:
            # Told again, it may be told with its advice.
            rows[same[0]] = max(rows[same[0]], row)
        else:
            insort(rows, row)

    def of(self, customer: str) -> Charges:
        """The newest LOOK_BACK charges of a customer."""
        return Charges.of([row[:4] for row in self._rows.get(customer, ())[-LOOK_BACK:]])

    def before(self, customer: str, begun: datetime, invoice: str) -> list[Hours]:
        """Those made until `begun` for other invoices than this one, the newest LOOK_BACK."""
        limit = int(begun.timestamp()) // HOUR
        rows = self._rows.get(customer, ()) if customer else ()
        return [row[:4] for row in rows if row[4] != invoice and row[0] <= limit][-LOOK_BACK:]

    def as_arrays(self) -> dict[str, Any]:
        """Everything remembered, as arrays of numbers and of text."""
        customers = list(self._rows)
        many = [len(self._rows[customer]) for customer in customers]
        flat = [row for customer in customers for row in self._rows[customer]]
        return {
            "customers": np.array(customers, np.str_),
            "many": np.array(many, np.int64),
            "charges": np.array([row[:4] for row in flat], np.int64).reshape(-1, 4),
            "invoices": np.array([row[4] for row in flat], np.str_),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Histories:
        """Read as_arrays() back. Raises KeyError or ValueError for arrays that it did not make."""
        made = cls()
        charges, invoices = arrays["charges"].tolist(), arrays["invoices"].tolist()
        if len(charges) != len(invoices) or int(arrays["many"].sum()) != len(charges):
            raise ValueError("The charges and their customers differ in number.")
        begun = 0
        for customer, many in zip(arrays["customers"].tolist(), arrays["many"].tolist(), strict=True):
            rows = zip(charges[begun : begun + many], invoices[begun : begun + many], strict=True)
            made._rows[customer] = [(*numbers, invoice) for numbers, invoice in rows]
            begun += many
        return made


def row_of(told: PastAttempt, zone: str, invoice: str = "") -> Row:
    """One charge in hours."""
    said = APPROVED if told.approved else code_group(told.verdict.category)
    return int(told.at.timestamp()) // HOUR, local_hour(told.at, zone), said, advice_of(told), invoice
