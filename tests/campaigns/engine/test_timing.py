"""When steps fall due, as a table (timing.csv): clock changes in six zones, leap days, month ends, public holidays in
six countries, windows, quiet hours across midnight. Both columns are local times with their offset, written down from
other arithmetic than ours; read the table to check it."""

import csv
import re
from collections import Counter
from datetime import UTC, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from campaigns.engine import ladder as rungs
from campaigns.guard.hours import Hours, Span, is_open, next_open
from tests.campaigns.engine.snapshots import step

TABLE = Path(__file__).with_name("timing.csv")
with TABLE.open(newline="") as source:
    ROWS = [tuple(row.values()) for row in csv.DictReader(source)]
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_SHIFT = Span.parse("08:00-21:00")
OPEN = Hours(weekdays=(_DAY_SHIFT,), saturday=(_DAY_SHIFT,), sunday=(_DAY_SHIFT,), holiday=None)


def read(rule: str):
    """A step from words such as `eom-2d`, `3d`, `6h`, `business mon-fri 09:00-17:00 1d`."""
    fields = {}
    offset = 0
    for word in rule.split():
        if word == "business":
            fields["business_days"] = True
        elif match := re.fullmatch(r"(eom)?([+-]?\d+)([dh])", word):
            offset = int(match[2])
            fields["offset_unit"] = "days" if match[3] == "d" else "hours"
            fields["anchor"] = "month_end" if match[1] else "case"
        elif ":" in word:
            start, end = word.split("-")
            fields["window_from"] = time.fromisoformat(start) if start else None
            fields["window_to"] = time.fromisoformat(end) if end else None
        else:
            first, last = word.split("-") if "-" in word else (word, word)
            fields["window_days"] = tuple(range(_WEEK.index(first) + 1, _WEEK.index(last) + 2))
    return step(1, offset, **fields)


def test_the_table_is_as_wide_as_it_says():
    groups = Counter(row[0] for row in ROWS)
    assert len(ROWS) >= 200
    assert {zone for group, zone, *_rest in ROWS if group == "clock gap"} == {
        zone for group, zone, *_rest in ROWS if group == "clock overlap"
    }
    assert len({zone for group, zone, *_rest in ROWS if group.startswith("clock")}) >= 5
    assert len({country for group, _zone, country, *_rest in ROWS if group == "holiday"}) >= 6
    assert {"leap", "month end", "window", "quiet 08:00-21:00"} <= set(groups)


@pytest.mark.parametrize(
    ("group", "zone", "country", "rule", "since", "due"), ROWS, ids=[f"{n}-{r[0]}" for n, r in enumerate(ROWS, 2)]
)
def test_when_a_step_is_due(group, zone, country, rule, since, due):
    tz = ZoneInfo(zone)
    start, expected = datetime.fromisoformat(since), datetime.fromisoformat(due)
    start = start.astimezone(UTC)
    if rule == "quiet":
        found = start if is_open(start, OPEN, country, [tz]) else next_open(start, OPEN, country, [tz])
    else:
        rung = read(rule)
        found = rungs.opening(rung, rungs.after(rung, start, tz), tz, country)
    assert found.astimezone(tz).isoformat(timespec="minutes") == due
    assert found == expected
    assert rule.startswith("eom-") or found >= start
