"""Owns why a chance is what it is: the features' effects put together by what a person would name. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from insights.risk.history import FEATURES, Payer

#: Feature → what a person calls it.
_CALLED = {
    "late_share": "late",
    "late_lately": "late",
    "late_last": "late",
    "days_late": "days",
    "invoices": "tenure",
    "tenure": "tenure",
    "overdue_now": "overdue",
    "open_now": "open",
    "amount": "amount",
    "amount_unusual": "unusual",
    "terms": "terms",
    "disputes": "disputes",
    "declines": "declines",
    "broken": "broken",
}
#: In log odds; below it a reason changes a chance by two points at most.
_LEAST = 0.1
MOST = 4

Reason = list[Any]  # code, its figures, effect in log odds


def reasons_of(effects: Sequence[float], payer: Payer, *, terms: float) -> list[Reason]:
    """The reasons that weigh most, the weightiest first, with what they were read from."""
    sums: dict[str, float] = {}
    for name, effect in zip(FEATURES, effects, strict=True):
        sums[_CALLED[name]] = sums.get(_CALLED[name], 0.0) + effect
    ordered = sorted(sums.items(), key=lambda item: -abs(item[1]))
    return [[code, _figures(code, payer, terms), round(e, 2)] for code, e in ordered[:MOST] if abs(e) >= _LEAST]


def _figures(code: str, payer: Payer, terms: float) -> list[float]:
    figures: Mapping[str, list[float]] = {
        "late": [payer.late, payer.known],
        "days": [round(payer.days / payer.paid) if payer.paid else 0],
        "tenure": [payer.known],
        "overdue": [max(payer.overdue, 0)],
        "open": [max(payer.open, 0)],
        "terms": [round(terms)],
        "disputes": [payer.disputes],
        "declines": [payer.declined, payer.charges],
        "broken": [payer.broken],
    }
    return figures.get(code, [])


def counted_reasons(counts: Mapping[str, int]) -> list[Reason]:
    """The reasons of a rating: what it was counted from, as far as it gave a point."""
    found: list[Reason] = [["late", [counts["late"], counts["invoices"]], 1.0 if counts["late"] else -1.0]]
    if counts["declined"]:
        found.append(["declines", [counts["declined"], counts["charges"]], 1.0])
    if counts["broken"]:
        found.append(["broken", [counts["broken"]], 1.0])
    return found
