"""Deciding when, and whether, a failed charge is tried again; pure, importable without Django.

The front door: `STRATEGIES["rules"]()` gives a strategy, `planner.plan_next(...)` one planned retry or a
stop, `declines.classify(...)` the meaning of a decline, `limits.check(...)` the networks' limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

__all__ = ["STRATEGIES"]


class _Strategies(Mapping[str, Callable[[], Any]]):
    """Strategy classes by name, imported when first asked for: a learned one may need more than others."""

    def __init__(self, homes: dict[str, str]) -> None:
        self._homes = homes

    def __getitem__(self, name: str) -> Callable[[], Any]:
        module, _sep, attribute = self._homes[name].partition(":")
        made: Callable[[], Any] = getattr(import_module(module), attribute)
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)


STRATEGIES: Mapping[str, Callable[[], Any]] = _Strategies(
    {
        "rules": "billing.retries.strategies:RuleStrategy",
        "fixed": "billing.retries.strategies:FixedStrategy",
        "learned": "billing.retries.learned.strategy:LearnedStrategy",
    }
)
