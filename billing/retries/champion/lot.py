"""Owns the lot between strategies: a bounded share of retries follows another than the champion, with known chances.

Pure. What is drawn is the same whenever it is drawn for the same retry of the same invoice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from billing.retries.planner import NEW_METHOD_RULE
from billing.retries.types import PlannedRetry, Stop

#: Moments in one hour are one choice.
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Arm:
    """One strategy in the lot. `name` is what it is compared under later: "rules", or "model:7" for a fitted one."""

    name: str
    share: float
    plan: Callable[[], PlannedRetry | Stop]
    model_id: int | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn: the plan, whose it was, with what chance this hour came out, and what else was in the lot."""

    answer: PlannedRetry | Stop
    model_id: int | None = None
    propensity: float | None = None
    options: tuple[dict[str, Any], ...] = ()


def shares(champion: float, others: int) -> list[float]:
    """Shares of 1 for the champion and `others`, who divide the rest evenly; the champion's alone without others."""
    return [champion, *[(1 - champion) / others] * others] if others else [1.0]


def ticket(invoice_id: str, number: int) -> float:
    """The retry's place in the lot, 0 up to but not including 1."""
    # Salted: the planner's jitter hashes the same words, and the lot must not follow from the minute.
    digest = hashlib.blake2b(f"lot:{invoice_id}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def draw(arms: Sequence[Arm], invoice_id: str, number: int) -> Drawn:
    """The plan of the arm that the ticket falls on; the first arm is the one that decides whether to go on at all.

    Where the first arm stops, or plans for a payment method never tried, nothing is drawn. Another arm that stops is
    left out and its share falls to the first: a stop leaves no charge by which it could be judged.
    """
    first = arms[0].plan()
    if isinstance(first, Stop):
        return Drawn(first, arms[0].model_id)
    if len(arms) == 1 or first.rule == NEW_METHOD_RULE:
        return Drawn(first, arms[0].model_id)
    plans = [(arms[0], first)]
    for arm in arms[1:]:
        plan = arm.plan()
        if isinstance(plan, PlannedRetry):
            plans.append((arm, plan))
    given = [arm.share for arm, _plan in plans]
    given[0] += 1 - sum(given)
    place, upper, chosen = ticket(invoice_id, number), 0.0, 0
    for index, share in enumerate(given):
        upper += share
        if place < upper:
            chosen = index
            break
    arm, answer = plans[chosen]
    propensity = sum(share for share, (_arm, plan) in zip(given, plans, strict=True) if _hour(plan) == _hour(answer))
    options = tuple(
        {
            "name": each.name,
            "at": plan.at.isoformat(),
            "chance": plan.probability,
            "share": share,
            "drawn": _hour(plan) == _hour(answer),
        }
        for share, (each, plan) in zip(given, plans, strict=True)
    )
    return Drawn(answer, arm.model_id, min(1.0, propensity), options)


def _hour(plan: PlannedRetry) -> int:
    return int(plan.at.timestamp()) // HOUR
