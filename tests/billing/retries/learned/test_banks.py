"""What banks refuse by hour and weekday: found although the customers charged then could as well be without money."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from billing.retries.learned import fitting
from billing.retries.learned.banks import LEAST_REFUSED, MOST_REFUSED, with_banks
from billing.retries.learned.fitting import learn
from billing.retries.learned.habits import APPROVED, Habits, code_group
from billing.retries.learned.hypotheses import Charges, Customer, Person
from billing.retries.learned.strategy import LearnedStrategy
from billing.retries.taxonomy import Category

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
OPEN_FROM, OPEN_UNTIL = 16, 22


def _charged(customer: int, bank: str, hour: int, *, approves) -> list[dict]:
    """Every 30 days at an hour of their own, and where refused three times more at that hour."""
    rows = []
    for month in range(8):
        for attempt, days in enumerate((0, 3, 8, 15)):
            at = BEGIN + timedelta(days=30 * month + customer % 28 + days, hours=hour)
            approved = approves(at)
            rows.append(
                {
                    "invoice_id": f"{bank}-{customer}-{month}", "customer_id": f"{bank}-{customer}", "issuer": bank,
                    "timezone": "UTC", "country": "DE", "funding": "credit", "amount": 1900, "currency": "EUR",
                    "attempt_number": attempt, "at": at, "approved": approved,
                    "decline_code": None if approved else "do_not_honor",
                }
            )  # fmt: skip
            if approved:
                break
    return rows


def _failure(bank: str, at: datetime) -> dict:
    return {
        "invoice_id": "new", "customer_id": "newcomer", "issuer": bank, "timezone": "UTC", "country": "DE",
        "funding": "credit", "amount": 1900, "currency": "EUR", "failed_at": at, "window_days": 14, "max_attempts": 8,
        "decline_code": "do_not_honor",
    }  # fmt: skip


def _by_hour(at: datetime) -> bool:
    return OPEN_FROM <= at.hour < OPEN_UNTIL


def _by_day(at: datetime) -> bool:
    return at.weekday() in (0, 3)


def _history() -> list[dict]:
    rows = []
    for customer in range(24):
        rows += _charged(customer, "evenings", customer, approves=_by_hour)
        rows += _charged(customer, "some-days", customer, approves=_by_day)
        for bank in ("always", "north", "south", "east"):
            # Nobody's hours matter here, but every fourth customer never has money.
            rows += _charged(customer, bank, customer, approves=lambda _at, poor=customer % 4 == 0: not poor)
    return rows


def _some_exempt() -> list[dict]:
    rows = []
    for customer in range(120):
        exempt = customer % 5 < 2
        rows += _charged(customer, "evenings", customer % 24, approves=lambda at, free=exempt: free or _by_hour(at))
        rows += _charged(customer, "always", customer % 24, approves=lambda _at: True)
    return rows


def _learned() -> LearnedStrategy:
    strategy = LearnedStrategy()
    strategy.fit(_history())
    return strategy


@pytest.fixture(scope="module")
def learned() -> LearnedStrategy:
    return _learned()


def _told(strategy: LearnedStrategy, bank: str) -> tuple[np.ndarray, np.ndarray]:
    habits = strategy.habits
    return habits.refused[habits.banks[bank]], habits.weekdays[habits.banks[bank]]


def test_a_bank_that_is_open_in_the_evening_only_is_found(learned):
    by_hour, _by_day = _told(learned, "evenings")
    assert by_hour[OPEN_FROM:OPEN_UNTIL].max() < 0.4
    assert np.delete(by_hour, np.s_[OPEN_FROM - 2 : OPEN_UNTIL + 2]).min() > 0.6


def test_hours_are_found_though_a_part_of_the_cards_is_exempt():
    """Two of five are approved at any hour."""
    strategy = LearnedStrategy()
    strategy.fit(_some_exempt())
    by_hour, by_day = _told(strategy, "evenings")
    assert by_hour[OPEN_FROM:OPEN_UNTIL].max() < 0.3
    assert np.delete(by_hour, np.s_[OPEN_FROM:OPEN_UNTIL]).min() > 0.8
    # What is refused at closed hours is not held against the days.
    assert by_day.max() < 0.1


def test_what_banks_say_for_reasons_of_their_own_is_learned_of_each():
    """Both say so at night, one in the words that the other has for lack of money."""
    rows = []
    for customer in range(48):
        for bank, words in (("frank", ("try_again_later", "do_not_honor")), ("curt", ("do_not_honor", "generic"))):
            for row in _charged(customer, bank, customer % 24, approves=_by_hour):
                poor = customer % 4 == 0
                rows.append({**row, "decline_code": words[poor] if poor or not row["approved"] else None})
                rows[-1]["approved"] &= not poor
    strategy = LearnedStrategy()
    strategy.fit(rows)
    spoken = strategy.habits.noise_spoken
    frank, curt = (spoken[strategy.habits.banks[bank]] for bank in ("frank", "curt"))
    assert frank.argmax() == code_group(Category.ISSUER_SOFT)
    assert curt.argmax() == code_group(Category.DO_NOT_HONOR)


def test_a_bank_that_is_open_on_some_days_is_found(learned):
    _by_hour, by_day = _told(learned, "some-days")
    assert by_day[[0, 3]].max() < 0.2
    assert np.delete(by_day, [0, 3]).min() > 0.5


def test_customers_without_money_close_no_bank(learned):
    by_hour, by_day = _told(learned, "always")
    assert by_hour.mean() < 0.2
    assert by_day.max() < 0.1


def test_where_all_banks_refuse_as_often_none_is_taken_for_closed():
    """Lack of money that banks have no word for: two of three customers have it, wherever they are."""
    strategy = LearnedStrategy()
    strategy.fit(
        row
        for customer in range(24)
        for bank in ("one", "two", "three")
        for row in _charged(customer, bank, customer * 5 % 24, approves=lambda _at, poor=customer % 3: not poor)
    )
    for bank in ("one", "two", "three"):
        assert _told(strategy, bank)[0].mean() < 0.15


def test_without_a_first_sight_of_them_hours_are_found_by_half(monkeypatch):
    """The control: expectation maximisation from even beginnings takes who is charged at closed hours for poor."""
    monkeypatch.setattr(fitting, "at_first_sight", lambda habits, *_told: habits)
    by_hour, _by_day = _told(_learned(), "evenings")
    assert np.delete(by_hour, np.s_[OPEN_FROM:OPEN_UNTIL]).mean() < 0.5


@pytest.mark.parametrize("hour", [1, 9, 14])
def test_a_refused_newcomer_is_charged_when_the_bank_is_open(learned, hour):
    failed = datetime(2026, 10, 6, hour, tzinfo=UTC)
    refused = [{"at": failed, "approved": False, "decline_code": "do_not_honor"}]
    while at := learned.next_attempt(_failure("evenings", failed), refused, refused[-1]["at"] + timedelta(minutes=1)):
        refused.append({"at": at, "approved": False, "decline_code": "do_not_honor"})
    # The card may be exempt, too: other hours are tried in turn.
    first = [OPEN_FROM - 2 <= told["at"].hour < OPEN_UNTIL + 2 for told in refused[1:5]]
    assert first[0]
    assert sum(first) >= 2


@pytest.mark.parametrize(("better", "chosen"), [(11.0, 1.0), (13.0, 0.0)])
def test_without_care_hours_are_closed_only_if_that_explains_clearly_more(monkeypatch, better, chosen):
    """Four nats for each of three banks; one of which a single charge tells does not count."""
    customers = [
        Customer(Person(0, 0, bank), Charges.of([(100 * n, 100 * n, APPROVED, 0) for n in range(charges)]))
        for bank, charges in ((1, 8), (2, 8), (3, 8), (4, 1))
    ]
    monkeypatch.setattr(fitting, "at_first_sight", lambda habits, _customers, doubt: replace(habits, late=doubt))
    monkeypatch.setattr(fitting, "_explained", lambda habits, _customers: better * (1 - habits.late))
    for name in ("_begun", "_improved", "with_chances", "with_moves", "with_lately"):
        monkeypatch.setattr(fitting, name, lambda habits, *_told: habits)
    monkeypatch.setattr(fitting, "_counted", lambda habits, *_told, **_how: fitting._Counts(habits))
    assert learn(customers, Habits(banks={"one": 1, "two": 2, "three": 3, "four": 4})).late == chosen


def test_an_hour_nobody_was_charged_at_is_learned_from_its_neighbours():
    passed, refused = np.zeros((2, 2, 7, 24))
    refused[:, :, [1, 2, 4, 5]], passed[:, :, 12:16] = 3, 3
    found = with_banks(_two_banks(), passed, refused).refused[1]
    assert found[3] > 0.7
    assert found[13] < 0.2
    # Of an hour far from all, only the bank as a whole tells.
    assert found[13] < found[20] < found[3]


def _two_banks() -> Habits:
    return Habits(banks={"one": 1}, refused=np.full((2, 24), 0.05), weekdays=np.full((2, 7), 0.01))


_COUNTS = arrays(np.float64, (2, 7, 24), elements=st.floats(0, 1e5))


@given(_COUNTS, _COUNTS)
def test_whatever_was_counted_chances_stay_chances(passed, refused):
    found = with_banks(_two_banks(), passed, refused)
    assert found.refused.shape == (2, 24)
    assert found.weekdays.shape == (2, 7)
    assert ((found.refused >= LEAST_REFUSED) & (found.refused <= MOST_REFUSED)).all()
    assert ((found.weekdays >= 0) & (found.weekdays <= MOST_REFUSED)).all()
