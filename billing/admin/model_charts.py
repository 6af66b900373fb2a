"""Owns the places of points and lines in the drawings of a retry model's page; numbers in, coordinates out. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Of the drawings' plane, in SVG units, with room for the labels of the axes.
WIDTH, HEIGHT = 560, 300
LEFT, TOP, RIGHT, BOTTOM = 48, 12, 24, 36
_STEPS = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Axis:
    """Shares of 1 from 0 to `top`, with a tick every `top / 5`."""

    top: float

    @classmethod
    def over(cls, values: Sequence[float]) -> "Axis":
        """The smallest axis of round numbers that holds all values."""
        highest = max(values, default=1.0)
        return cls(next((step for step in _STEPS if highest <= step), 1.0))

    def x(self, share: float) -> float:
        """Of a share, from left to right."""
        return round(LEFT + share / self.top * (WIDTH - LEFT - RIGHT), 1)

    def y(self, share: float) -> float:
        """Of a share, from the bottom up."""
        return round(HEIGHT - BOTTOM - share / self.top * (HEIGHT - TOP - BOTTOM), 1)

    def ticks(self) -> list[dict[str, Any]]:
        """Six of them, with their words."""
        shares = [self.top * n / 5 for n in range(6)]
        return [{"x": self.x(share), "y": self.y(share), "words": f"{100 * share:g} %"} for share in shares]


def calibration_chart(bins: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Points of predicted against approved with their intervals, and the line on which foretold is what came."""
    axis = Axis.over([value for each in bins for value in (each["predicted"], each["high"])])
    points = [
        {
            "x": axis.x(each["predicted"]),
            "y": axis.y(each["approved"]),
            "low": axis.y(max(each["low"], 0)),
            "high": axis.y(min(each["high"], axis.top)),
        }
        for each in bins
    ]
    ideal = {"x1": axis.x(0), "y1": axis.y(0), "x2": axis.x(axis.top), "y2": axis.y(axis.top)}
    return {"points": points, "ideal": ideal, "ticks": axis.ticks(), **_plane()}


def weeks_chart(weeks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Two lines over the weeks, oldest first: foretold and approved, the latter with its intervals."""
    axis = Axis.over([value for week in weeks for value in (week["predicted"], week["high"])])
    wide = WIDTH - LEFT - RIGHT
    places = [round(LEFT + wide * (n + 0.5) / len(weeks), 1) for n in range(len(weeks))]
    points = [
        {
            "x": x,
            "predicted": axis.y(week["predicted"]),
            "approved": axis.y(week["approved"]),
            "low": axis.y(week["low"]),
            "high": axis.y(min(week["high"], axis.top)),
            # Every other week is named where twelve would run into each other.
            "words": f"{week['week']:%d %b}" if len(weeks) < 8 or n % 2 == 0 else "",
        }
        for n, (x, week) in enumerate(zip(places, weeks, strict=True))
    ]
    lines = {name: " ".join(f"{p['x']},{p[name]}" for p in points) for name in ("predicted", "approved")}
    return {"points": points, "lines": lines, "ticks": axis.ticks(), **_plane()}


def _plane() -> dict[str, int]:
    return {
        "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT, "top": TOP, "bottom": HEIGHT - BOTTOM,
        "labels": HEIGHT - BOTTOM + 16, "middle": (LEFT + WIDTH - RIGHT) // 2, "caption": HEIGHT - 3,
        "beside": LEFT - 6,
    }  # fmt: skip
