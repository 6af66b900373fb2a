"""What an advised wait tells of when money comes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from billing.retries.learned.calendars import CALENDARS, HOUR, local_hour, table_for
from billing.retries.learned.foretold import advice_of, foretold, trust
from billing.retries.learned.habits import ADVISED_HOURS, LASTING_HOURS, RANDOM_KINDS, Habits
from billing.retries.learned.histories import Histories
from billing.retries.learned.hypotheses import Person, coarse, fine
from billing.retries.types import PastAttempt

#: A Wednesday.
AT = datetime(2026, 6, 3, 10, tzinfo=UTC)
CODES = [calendar.code for calendar in CALENDARS]
NOBODY = Person(0, 0, 0)
ALWAYS = len(RANDOM_KINDS) - 1


def _declined(code: str | None, **changes) -> PastAttempt:
    return PastAttempt(AT, decline_code="insufficient_funds", network_advice_code=code, **changes)


@pytest.mark.parametrize(
    ("code", "place"),
    [("24", 1), ("25", 2), ("26", 3), ("27", 4), ("28", 5), ("29", 6), ("30", 7), ("02", 0), ("99", 0), (None, 0)],
)
def test_only_waits_for_lack_of_money_count(code, place):
    assert advice_of(_declined(code)) == place
    assert advice_of(replace(_declined(code), approved=True)) == 0


def _likely(advised: int, *, hour: int | None = None) -> dict[str, float]:
    """By calendar: how likely the advice was, averaged over hours of arrival or for one of them."""
    habits = Habits.flat()
    local = local_hour(AT, "UTC")
    table = table_for(local // 24 - 2, local // 24 + 1)
    if hour is None:
        found = foretold(coarse(habits, [NOBODY]), 0, table, habits.hours[0], local, advised)
        return dict(zip(CODES, found[:: len(LASTING_HOURS)].tolist(), strict=False))
    chosen = np.arange(len(CALENDARS))[None, :]
    found = foretold(fine(habits, [NOBODY], chosen), 0, table, habits.hours[0], local, advised)
    return dict(zip(CODES, found[hour : 24 * len(CALENDARS) : 24].tolist(), strict=True))


@pytest.mark.parametrize("hour", [None, 11])
def test_a_wait_speaks_for_the_calendars_that_bring_money_then(hour):
    friday, next_tuesday, today = "cycle-7-1", "cycle-7-5", "cycle-7-6"
    two_days, eight_days = _likely(3, hour=hour), _likely(6, hour=hour)
    assert two_days[friday] > 3 * two_days[next_tuesday]
    assert eight_days[friday] < 0.1
    assert two_days["month-11-none"] < 0.1 < eight_days["month-11-none"]
    # On the payday itself money may come later in the day, or have come already.
    assert _likely(2, hour=hour)[today] > 0.3


def test_the_waits_of_each_hypothesis_add_up():
    assert sum(np.array(list(_likely(place).values())) for place in range(1, len(ADVISED_HOURS) + 1)) == pytest.approx(
        1
    )


def test_issuers_are_trusted_by_how_well_they_foretold():
    habits = Habits.flat()
    knew, advised = trust(habits, [(3, 0.6)] * 60)
    guessed, _advised = trust(habits, [(3, 0.05)] * 60)
    assert guessed < 0.3 < 0.7 < knew
    assert advised.sum() == pytest.approx(1)
    assert advised.argmax() == 2
    assert trust(habits, [])[0] == pytest.approx(0.5)


def test_an_advice_told_later_joins_its_charge():
    for told in ((None, "26"), ("26", None)):
        histories = Histories()
        histories.add("c", "UTC", "i", PastAttempt(AT + timedelta(hours=30), approved=True))
        for code in told:
            histories.add("c", "UTC", "i", _declined(code))
        kept = histories.of("c")
        assert kept.advice.tolist() == [3, 0]
        assert kept.utc.tolist() == [int(AT.timestamp()) // HOUR, int(AT.timestamp()) // HOUR + 30]
