"""When money comes: at a bank's hour, late, or on no day in particular; and what a refusal meanwhile tells."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from billing.retries.learned.arriving import ARRIVING_HOURS, STEPS, arrivals, arriving, delays
from billing.retries.learned.belief import begin, take_in
from billing.retries.learned.calendars import CALENDARS
from billing.retries.learned.habits import LASTING_HOURS, Habits, survival
from billing.retries.learned.hypotheses import Charges, Person, coarse
from billing.retries.learned.scenarios import money_there
from billing.retries.learned.strategy import LearnedStrategy

HOURS = np.arange(24)
#: Pay comes at 18:00 mostly, and never before noon.
EVENING = np.where(HOURS == 18, 0.8, np.where(HOURS >= 12, 0.2 / 11, 0))[None, :]
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_of_all_that_is_to_come_nothing_is_lost(share):
    coming, lasts = arrivals(EVENING, share), survival()
    tables = arriving(coming, lasts)
    assert coming.sum(1) == pytest.approx(1)
    assert (np.diff(tables.waiting, axis=1) <= 1e-6).all()
    assert tables.waiting[:, -1] == pytest.approx(0, abs=1e-6)
    # Whoever waits and whoever need not make up all: at every step, an hour and a day and four days after it.
    for place, step in enumerate(STEPS):
        for later in (step + 1, step + 24, step + 96):
            came = sum(coming[0, at] * lasts[:, later - at] for at in range(min(step, ARRIVING_HOURS - 1) + 1))
            waited = tables.waiting[0, step] * tables.to_come[0, :, place, later]
            assert tables.there[0, :, later] == pytest.approx(np.maximum(came + waited, 1e-4), rel=1e-3, abs=1e-5)


def test_late_pay_is_as_often_late_as_is_said():
    assert delays(0.3)[0] == pytest.approx(0.7)
    assert delays(0.3).sum() == pytest.approx(1)
    assert delays(0.0)[1:].sum() == 0


def _after_refusals(late: float, *hours: int) -> np.ndarray:
    """The chance of money at each hour of a week from a payday's midnight, for somebody paid every Monday whose money
    lasts for some twelve hours, after they were refused at these hours."""
    only = np.array([c.code == "cycle-7-4" for c in CALENDARS], float)  # 1 January 1970 was a Thursday
    lasting = (np.array(LASTING_HOURS) == 12).astype(float)
    habits = replace(
        Habits.flat(), calendars=only[None, :], hours=EVENING, lasting=lasting[None, :],
        random=np.zeros_like(Habits.flat().random), late=late, moving=0.0,
    )  # fmt: skip
    monday = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp()) // 3600
    person = Person(0, 0, 0)
    rows = [(monday + hour, monday + hour, 0, 0) for hour in hours]
    belief = take_in(begin(coarse(habits, [person])), [person], [Charges.of(rows)], habits)
    clock = np.arange(monday + max(hours) + 1, monday + 7 * 24)
    found = np.zeros(7 * 24)
    found[max(hours) + 1 :] = money_there(belief, habits, clock, clock).mean(0)
    return found


def test_a_refusal_before_pay_comes_does_not_end_the_payday():
    after = _after_refusals(0.0, 9)
    assert after[20] > 0.5
    assert after[40] > 2 * after[60]


def test_a_refusal_after_pay_has_come_ends_it():
    after = _after_refusals(0.0, 23)
    assert after.max() < 0.05


def test_late_pay_may_come_after_a_refusal_and_each_further_one_makes_it_less_likely():
    once, twice = _after_refusals(0.6, 23), _after_refusals(0.6, 23, 47)
    assert once[24:72].max() > 0.2
    assert 0.02 < twice[48:].max() < once[24:72].max()


def _rows(has_money, *, bank=lambda number: "b", customers=60, weeks=30, seed=5) -> list[dict]:
    rows, rng = [], random.Random(seed)
    for number in range(customers):
        for week in range(weeks):
            first = BEGIN + timedelta(days=week * 9, hours=rng.randrange(9 * 24))
            for attempt in range(2):
                at = first + timedelta(hours=attempt * 20)
                approved = has_money(number, at)
                rows.append(
                    {
                        "invoice_id": f"{number}-{week}", "customer_id": f"c{number}", "country": "GB",
                        "timezone": "UTC", "issuer": bank(number), "amount": 1900, "currency": "GBP",
                        "attempt_number": attempt, "at": at, "approved": approved,
                        "decline_code": None if approved else "insufficient_funds",
                    }
                )  # fmt: skip
                if approved:
                    break
    return rows


def _fitted(rows: list[dict]) -> LearnedStrategy:
    strategy = LearnedStrategy()
    strategy.fit(rows)
    return strategy


def _paid_on(weekday: int, hour: int, late, at: datetime) -> bool:
    """Whether weekly pay that lasts 20 hours is there; `late` gives the hours of delay by the payday."""
    since = (at.weekday() - weekday) % 7 * 24 + at.hour - hour
    payday = (at - timedelta(hours=since)).date().toordinal()
    return 0 <= since % (7 * 24) - late(payday) < 20


@pytest.mark.parametrize("late", [False, True])
def test_whether_pay_is_late_is_learned(late):
    def delay(number: int, payday: int) -> int:
        return random.Random(payday * 977 + number).choice((0, 0, 12, 24, 40)) if late else 0

    def there(number: int, at: datetime) -> bool:
        return _paid_on(number % 7, 6, lambda payday: delay(number, payday), at)

    assert (_fitted(_rows(there)).habits.late > 0) is late


def test_the_hours_of_each_bank_are_learned():
    posting = {"early": 4, "late": 19}

    def there(number: int, at: datetime) -> bool:
        return _paid_on(number % 7, posting["late" if number % 2 else "early"], lambda _payday: 0, at)

    habits = _fitted(_rows(there, bank=lambda number: "late" if number % 2 else "early")).habits
    shares = {bank: habits.coming(np.array([1]), np.array([place]))[0] for bank, place in habits.banks.items()}
    for bank, hour in posting.items():
        assert shares[bank][hour - 2 : hour + 3].sum() > 0.6, bank
    # Whose bank is not known is paid at either.
    of_country = habits.coming(np.array([1]), np.array([0]))[0]
    assert all(of_country[hour - 2 : hour + 3].sum() > 0.2 for hour in posting.values())


def test_who_tops_up_now_and_then_is_charged_at_the_usual_hour():
    def there(number: int, at: datetime) -> bool:
        """Topped up at 18:00 of every third day or so, for five hours."""
        return random.Random(number * 10**6 + at.toordinal()).random() < 0.35 and 18 <= at.hour < 23

    strategy = _fitted(_rows(there))
    by_name = {c.code: share for c, share in zip(CALENDARS, strategy.habits.calendars[0], strict=True)}
    assert by_name["every-2"] + by_name["every-4"] > 0.6
    failure = {
        "invoice_id": "new", "customer_id": "stranger", "country": "GB", "timezone": "UTC", "issuer": "b",
        "amount": 1900, "currency": "GBP", "failed_at": datetime(2026, 11, 2, 9, tzinfo=UTC), "window_days": 14,
        "max_attempts": 8, "decline_code": "insufficient_funds",
    }  # fmt: skip
    attempts = [{"at": failure["failed_at"], "approved": False, "decline_code": "insufficient_funds"}]
    for _try in range(4):
        at = strategy.next_attempt(failure, attempts, attempts[-1]["at"])
        assert at is not None
        assert 18 <= at.hour < 23
        attempts.append({"at": at, "approved": False, "decline_code": "insufficient_funds"})
