"""Owns the contest: every strategy charges the same failed invoices of the same worlds, and what comes of it.

    python -m benchmarks.retries.contest [--families payday,drift | strangers | examiners] [--customers 700] [--seed 1]
        [--windows 14,28]

The families are our own; strangers and examiners are two more sets of worlds, each written by somebody who had seen
neither the strategies nor each other's laws, and are named as a set or world by world (strangers/late_salaries).

Prints JSON: for each family, window and strategy what was recovered (of the count and of the amount), the attempts and
days it took, broken rules, the estimated network fees, and the share of the way from eight evenly spread retries to a
clairvoyant that was closed, with an interval.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from benchmarks.retries import examiners, strangers, worlds
from billing.retries import STRATEGIES
from billing.retries.declines import classify
from billing.retries.strategies import FixedStrategy

TRIES = 8
#: Cents of a dollar a network asks for a further attempt, for comparison only: Visa's published domestic fee.
FEE_CENTS = 10
_GAP_BEFORE_NOW = timedelta(minutes=1)


class World(Protocol):
    """What is played in: rows to learn from, failed first charges, and what further charges are answered."""

    history: list[dict[str, Any]]
    failures: list[dict[str, Any]]

    def charge(self, customer_no: int, at: datetime, before: Sequence[datetime]) -> dict[str, Any]:
        """The outcome fields of one charge; `before` are the invoice's declined ones."""


Build = Callable[[int, int], World]
Recoverable = Callable[[Any, dict[str, Any], int], bool]


class Contestant(Protocol):
    """Anything that names the next moment of a charge."""

    def fit(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Learn from history rows."""

    def next_attempt(
        self, context: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]], now: datetime
    ) -> datetime | None:
        """The next moment, None to stop."""


class Days:
    """A schedule of the market: on these days after the failure, at its hour; stops after a final code."""

    def __init__(self, days: Sequence[float]) -> None:
        self.days = days

    def fit(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Learns nothing."""

    def next_attempt(
        self, context: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]], now: datetime
    ) -> datetime | None:
        """The next day of the schedule within the window."""
        verdict = classify(decline_code=attempts[-1]["decline_code"])
        at = [context["failed_at"] + timedelta(days=day) for day in self.days]
        left = [moment for moment in at if now < moment <= context["deadline"]]
        return left[0] if left and verdict.may_retry else None


def contestants(window_days: int) -> dict[str, Callable[[], Contestant]]:
    """Who takes part, by name; the even schedule is the one to beat."""
    return {
        "even_8": lambda: Days([window_days * n / TRIES for n in range(1, TRIES + 1)]),
        "days_3_5_7": lambda: FixedStrategy((3, 5, 7)),
        "daily_8": lambda: Days(range(1, TRIES + 1)),
        "days_1_3_5_7_14_21": lambda: Days((1, 3, 5, 7, 14, 21)),
        "rules": STRATEGIES["rules"],
        "learned_cold": STRATEGIES["learned"],
        "learned": STRATEGIES["learned"],
    }


@dataclass(frozen=True, slots=True)
class Played:
    """What became of one failed invoice."""

    won: bool
    amount: int
    tries: int
    days: float
    violations: int


def play(world: World, strategy: Contestant, failure: Mapping[str, Any], window_days: int) -> Played:
    """Charges one invoice until it is paid, given up, or out of tries or time."""
    begun = failure["failed_at"]
    context = {k: v for k, v in failure.items() if k not in ("customer_no", "approved")}
    context |= {"window_days": window_days, "max_attempts": TRIES, "deadline": begun + timedelta(days=window_days)}
    attempts = [{"at": begun, "approved": False, "decline_code": failure["decline_code"]}]
    now, violations = begun + _GAP_BEFORE_NOW, 0
    while len(attempts) <= TRIES:
        at = strategy.next_attempt(context, attempts, now)
        if at is None:
            break
        final = not classify(decline_code=attempts[-1]["decline_code"]).may_retry
        if at <= now or at > context["deadline"] or final:
            violations += 1
            break
        outcome = world.charge(failure["customer_no"], at, [a["at"] for a in attempts])
        attempts.append({"at": at, **outcome})
        if outcome["approved"]:
            return Played(True, failure["amount"], len(attempts) - 1, (at - begun) / timedelta(days=1), violations)
        now = at + _GAP_BEFORE_NOW
    return Played(False, failure["amount"], len(attempts) - 1, 0.0, violations)


def figures(played: Sequence[Played], even: Sequence[Played], possible: Sequence[bool]) -> dict[str, Any]:
    """The figures of one strategy in one window of one world; shares are of all failed invoices."""
    won = [p for p in played if p.won]
    days = sorted(p.days for p in won)
    tries = sum(p.tries for p in played)
    room = sum(possible) - sum(p.won for p in even)
    # Paired: each invoice met the same luck under both, so their difference is less uncertain than each.
    differences = [int(p.won) - int(e.won) for p, e in zip(played, even, strict=True)]
    many = len(differences)
    mean = sum(differences) / many
    error = math.sqrt(sum((d - mean) ** 2 for d in differences) / max(1, many - 1) / many)
    return {
        "recovered": round(len(won) / many, 4),
        "recovered_amount": round(sum(p.amount for p in won) / sum(p.amount for p in played), 4),
        "attempts_per_recovery": round(tries / max(1, len(won)), 2),
        "median_days": round(days[len(days) // 2], 1) if days else None,
        "violations": sum(p.violations for p in played),
        "fees_cents": tries * FEE_CENTS,
        "regret": round((sum(possible) - len(won)) / many, 4),
        "above_even": round(mean, 4),
        "above_even_95": [round(mean - 1.96 * error, 4), round(mean + 1.96 * error, 4)],
        "gap_closed": round(mean * many / room, 3) if room else None,
    }


def sets() -> dict[str, dict[str, tuple[Build, Recoverable]]]:
    """Of each set of worlds, by name: how one is made (customers, seed), and whether its failures can be recovered."""

    def others(module: Any, name: str) -> tuple[Build, Recoverable]:
        return lambda customers, seed: module.build(name, customers=customers, seed=seed), module.recoverable

    def own(family: worlds.Family) -> tuple[Build, Recoverable]:
        return lambda customers, seed: worlds.build(family, customers=customers, seed=seed), worlds.recoverable

    return {
        "own": {family.name: own(family) for family in worlds.FAMILIES},
        "strangers": {f"strangers/{name}": others(strangers, name) for name in strangers.NAMES},
        "examiners": {f"examiners/{name}": others(examiners, name) for name in examiners.NAMES},
    }


def contest(name: str, world: World, recoverable: Recoverable, windows: Sequence[int], limit: int) -> dict[str, Any]:
    """All strategies in one world; fitted once, on the whole history."""
    failures = world.failures[:limit]
    result: dict[str, Any] = {"history": len(world.history), "failed": len(failures), "windows": {}}
    learned = STRATEGIES["learned"]()
    begun = time.process_time()
    learned.fit(world.history)
    result["fit_cpu_seconds"] = round(time.process_time() - begun, 1)
    for window in windows:
        possible = [recoverable(world, failure, window) for failure in failures]
        table: dict[str, Any] = {"clairvoyant": round(sum(possible) / len(possible), 4)}
        even: list[Played] = []
        for who, make in contestants(window).items():
            strategy = learned if who == "learned" else make()
            played = [play(world, strategy, failure, window) for failure in failures]
            even = even or played
            table[who] = figures(played, even, possible)
        result["windows"][str(window)] = table
        print(f"{name}: {window} days done", file=sys.stderr)
    return result


def main() -> None:
    """Plays the contest and prints its figures."""
    known = sets()
    every = {name: made for group in known.values() for name, made in group.items()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default="own", help="sets or names, comma-separated")
    parser.add_argument("--customers", type=int, default=700)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--windows", default="14,28", help="days, comma-separated")
    parser.add_argument("--limit", type=int, default=400, help="failed invoices of each world, at most")
    given = parser.parse_args()
    names = [name for asked in given.families.split(",") for name in known.get(asked, [asked])]
    if unknown := set(names) - set(every):
        parser.error(f"no such family: {', '.join(sorted(unknown))}; there are {', '.join([*known, *every])}")
    windows = [int(days) for days in given.windows.split(",")]
    found = {}
    for name in names:
        make, recoverable = every[name]
        found[name] = contest(name, make(given.customers, given.seed), recoverable, windows, given.limit)
    print(json.dumps({"seed": given.seed, "customers": given.customers, "families": found}, indent=2))


if __name__ == "__main__":
    main()
