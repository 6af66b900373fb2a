"""Owns how well strategies foretell charges they have not learned from, replayed in the order they happened.

Needs no database: rows go in, judged predictions come out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from billing.retries.champion.learnable import Learnable
from billing.retries.champion.lot import ticket
from billing.retries.champion.scores import Judged, brier, calibration, log_loss
from billing.retries.planner import Strategy, question_at
from billing.retries.types import PastAttempt, RetryContext

#: Origins whose moment a schedule chose; what people start says nothing about a planner.
SCHEDULED = frozenset({"retry", "processor"})
#: About this many retries are judged; more would make the figures little surer and the wait longer.
MOST = 4_000


def replay(
    rows: Iterable[Mapping[str, Any]], strategies: Mapping[str, Strategy], since: datetime, share: float = 1.0
) -> dict[str, list[Judged]]:
    """For each strategy its predictions of the retries made from `since` (aware UTC) on.

    With a `share` below 1 only customers drawn by lot are judged, each with all their retries.

    `rows` are history rows, oldest first, beginning early enough to hold the first failures of those invoices. Each
    strategy is asked before it is told; the lists speak of the same charges in the same order.
    """
    judged: dict[str, list[Judged]] = {name: [] for name in strategies}
    so_far: dict[str, list[PastAttempt]] = defaultdict(list)
    learners = [strategy for strategy in strategies.values() if isinstance(strategy, Learnable)]
    for row in rows:
        if ticket(str(row["customer_id"]), 0) >= share:
            continue
        attempt = PastAttempt.from_mapping(row)
        earlier = so_far[str(row["invoice_id"])]
        failed = next((each.at for each in earlier if not each.approved), attempt.at)
        context = RetryContext.from_mapping({**row, "failed_at": failed})
        if earlier and attempt.at >= since and row.get("origin") in SCHEDULED:
            question = question_at(context, earlier, attempt.at)
            for name, strategy in strategies.items():
                chance = strategy.probability(question, attempt.at)
                judged[name].append(Judged(chance, attempt.approved, str(row["customer_id"])))
        earlier.append(attempt)
        if attempt.at >= since:
            for learner in learners:
                learner.observe(context, attempt)
    return judged


def figures_of(judged: list[Judged]) -> dict[str, Any]:
    """What is kept of a strategy's predictions: count, log loss (nats), Brier score and calibration, as plain data."""
    if not judged:
        return {"charges": 0}
    return {
        "charges": len(judged),
        "approved": sum(each.approved for each in judged),
        "log_loss": log_loss(judged),
        "brier": brier(judged),
        "calibration": [asdict(each) for each in calibration(judged)],
    }
