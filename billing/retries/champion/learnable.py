"""Owns what a learning strategy must answer so that it can be kept, loaded, judged and shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from billing.retries.planner import Strategy
from billing.retries.types import PastAttempt, RetryContext

#: Invoices that a strategy is told of at a time before it is asked about them; see Prepares.
PREPARED = 64
#: The strategy of STRATEGIES that is fitted on the installation's own charges.
LEARNED = "learned"


@dataclass(frozen=True, slots=True)
class Effect:
    """One belief of a model: under a `topic` ("Paydays, IT"), the `name` of a value ("27th") and how it weighs.

    `value` is a share or chance, 0 to 1; `rows` counts the charges behind it, None where the model does not keep that.
    """

    topic: str
    name: str
    value: float
    rows: int | None = None


@runtime_checkable
class Learnable(Strategy, Protocol):
    """A strategy that learns from rows and can be written down as data."""

    def fit(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Learn from history rows, oldest first."""

    def observe(self, context: RetryContext, attempt: PastAttempt) -> None:
        """Take one outcome in; the same one told twice counts once."""

    def save(self) -> bytes:
        """Everything learned, as data (JSON, npz); never a pickle."""

    def load(self, data: bytes) -> None:
        """Take the place of what was learned. Raises ValueError for data that save() did not make."""


@runtime_checkable
class Prepares(Protocol):
    """A strategy that does for many invoices together what it would else do for each."""

    def prepare(self, asked: Sequence[tuple[RetryContext, Sequence[PastAttempt]]]) -> None:
        """Get ready to be asked about these invoices, PREPARED at most; their attempts are oldest first."""


@runtime_checkable
class Describes(Protocol):
    """A strategy that can say what it believes."""

    def describe(self) -> Sequence[Effect]:
        """Its beliefs, those that belong together one after another."""
