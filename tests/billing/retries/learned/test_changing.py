"""How often calendars change: seen in what is foreseen of the last weeks, and not seen where nothing changed."""

from dataclasses import replace

import numpy as np
import pytest

from billing.retries.learned.abreast import believed
from billing.retries.learned.calendars import CALENDARS
from billing.retries.learned.changing import LATELY_RATES, YEAR_HOURS, with_lately
from billing.retries.learned.habits import APPROVED, Habits
from billing.retries.learned.hypotheses import Charges, Customer, Person
from billing.retries.learned.strategy import LearnedStrategy

_DAY = 24
#: A Monday at noon, in hours since 1970.
_MONDAY = 4 * _DAY + 12 + 52 * 7 * _DAY
_WEEKS = 30
_MONEY = 1


def customer(changed_for: int = 0) -> Customer:
    """Charged each Monday and Thursday: money is there on Mondays, and in the last weeks on Thursdays instead."""
    at, said = [], []
    for week in range(_WEEKS):
        for day in (0, 3):
            at.append(_MONDAY + (7 * week + day) * _DAY)
            on_thursdays = week >= _WEEKS - changed_for
            said.append(APPROVED if (day == 3) == on_thursdays else _MONEY)
    hours, none = np.array(at), np.zeros(len(at), np.int64)
    return Customer(Person(0, 0, 0), Charges(utc=hours, local=hours, said=np.array(said), gap=none, week=none,
                                             advice=none))  # fmt: skip


def share_of_mondays(habits: Habits, one: Customer) -> float:
    """How much is believed of money that comes each week on a Monday or the day before."""
    (belief,) = believed([one.person], [one.charges], habits)
    weekly = [n for n, c in enumerate(CALENDARS) if c.kind == "cycle" and c.days == 7]
    of = np.bincount(
        belief.hyps.calendar[0, belief.hyps.beat], belief.weights[0, : len(belief.hyps.beat)], len(CALENDARS)
    )
    return float(of[weekly].max())


@pytest.mark.parametrize(("changed_for", "seen"), [(0, False), (3, True)])
def test_calendars_that_have_just_changed_are_seen_and_others_left_alone(changed_for: int, seen: bool) -> None:
    many = [customer(changed_for) for _n in range(12)] + [customer() for _n in range(4)]
    now = int(many[0].charges.utc[-1])
    found = with_lately(Habits.flat(), many, now)
    assert (found.moving_lately * YEAR_HOURS in LATELY_RATES) is seen
    assert (found.moving_lately > 0) is seen


def test_what_was_believed_fades_only_while_calendars_change() -> None:
    one = customer()
    last = int(one.charges.utc[-1])
    steady = share_of_mondays(Habits.flat(), one)
    changing = Habits(moving_lately=16 / YEAR_HOURS)
    under_way, begun, over = (
        share_of_mondays(replace(changing, lately=last - weeks * 7 * _DAY), one) for weeks in (4, 0, 22)
    )
    assert under_way < 0.9 * steady
    assert begun == pytest.approx(steady)
    # It ended fourteen weeks ago, and the charges since have made up for it.
    assert over == pytest.approx(steady, rel=0.02)


def test_a_model_file_keeps_it() -> None:
    first, second = LearnedStrategy(), LearnedStrategy()
    first.habits = replace(Habits.flat(), moving_lately=0.001, lately=400_000)
    second.load(first.save())
    assert (second.habits.moving_lately, second.habits.lately) == (0.001, 400_000)
