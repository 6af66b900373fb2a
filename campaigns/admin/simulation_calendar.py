"""What happens on which day of a simulation, loaded for its page: months with a week per row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils.formats import date_format

from campaigns.admin.simulation_words import channel_name, waits
from campaigns.models import SimulationRun
from campaigns.simulator.types import Kind


@dataclass(frozen=True, slots=True)
class Day:
    """One cell of the calendar: what happens that day, by version, and how much of it beside the busiest day."""

    day: date
    counts: list[list[tuple[str, int]]]
    share: int
    inside: bool

    @property
    def busy(self) -> bool:
        """Something happens, in one version at least."""
        return any(self.counts)


def load_calendar(request: HttpRequest, run: SimulationRun, now: datetime) -> dict[str, Any]:
    """Context of the calendar; without months as long as nothing is played."""
    told = run.result.get("versions", [])
    per_day = [one["figures"]["per_day"] for one in told]
    days = sorted({date.fromisoformat(day) for one in per_day for day in one})
    context: dict[str, Any] = {"run": run, "waits": waits(run), "names": [one["name"] for one in told]}
    if not days:
        return context
    busiest = max(_contacts(one[day]) for one in per_day for day in one) or 1
    return context | {"months": list(_months(days, per_day, busiest)), "compared": len(told) > 1}


def _contacts(counts: Mapping[str, int]) -> int:
    return sum(number for name, number in counts.items() if name != Kind.RETRY)


def _months(
    days: Sequence[date], per_day: Sequence[Mapping[str, Mapping[str, int]]], busiest: int
) -> Iterator[tuple[str, list[list[Day]]]]:
    """Months with a week per row, from the first day on which something happens to the last."""
    month = days[0].replace(day=1)
    while month <= days[-1]:
        following = (month + timedelta(days=32)).replace(day=1)
        first = month - timedelta(days=month.weekday())
        weeks: list[list[Day]] = []
        while first < following:
            week = []
            for day in (first + timedelta(days=n) for n in range(7)):
                counts = [one.get(day.isoformat(), {}) for one in per_day]
                share = round(100 * max(map(_contacts, counts)) / busiest)
                lines = [[(channel_name(name, number), number) for name, number in one.items()] for one in counts]
                week.append(Day(day, lines, share, day.month == month.month))
            weeks.append(week)
            first += timedelta(days=7)
        yield date_format(month, "F Y"), weeks
        month = following
