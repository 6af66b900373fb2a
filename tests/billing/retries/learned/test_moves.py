"""Banks that move their hours: seen soon after they did, and not seen where nothing changed."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from billing.retries.learned import moves
from billing.retries.learned.habits import Habits
from billing.retries.learned.moves import with_moves
from billing.retries.learned.strategy import LearnedStrategy

BEGIN, DAYS = datetime(2026, 1, 5, tzinfo=UTC), 240
OPEN, OPEN_NOW = range(6, 14), range(16, 24)
MOVED = BEGIN + timedelta(days=DAYS - 14)
NOON = datetime(2026, 9, 10, 12, tzinfo=UTC)


def _rows(bank: str, passes, customers: int = 60, says: str = "do_not_honor") -> list[dict]:
    """Charged every 30 days at an hour of their own, and where refused three times more; four in five cards are bound
    by their bank's hours, and one in ten customers never has money."""
    rows = []
    for customer in range(customers):
        luck = random.Random(f"{bank} {customer}")
        bound, poor = luck.random() < 0.8, luck.random() < 0.1
        first = BEGIN + timedelta(days=luck.randrange(30), hours=luck.randrange(24))
        for month in range(DAYS // 30):
            for attempt, days in enumerate((0, 3, 5, 9)):
                at = first + timedelta(days=30 * month + days)
                if at >= BEGIN + timedelta(days=DAYS):
                    break
                refused = says if bound and not passes(at) else "insufficient_funds" if poor else None
                rows.append(
                    {
                        "invoice_id": f"{bank}-{customer}-{month}", "customer_id": f"{bank}-{customer}",
                        "issuer": bank, "timezone": "UTC", "country": "DE", "funding": "credit", "amount": 1900,
                        "currency": "EUR", "attempt_number": attempt, "at": at, "approved": refused is None,
                        "decline_code": refused,
                    }
                )  # fmt: skip
                if refused is None:
                    break
    return rows


def _hours(at: datetime) -> bool:
    return at.hour in OPEN


def _moving(at: datetime) -> bool:
    return at.hour in (OPEN if at < MOVED else OPEN_NOW)


def _fitted(*rows: list[dict]) -> LearnedStrategy:
    strategy = LearnedStrategy()
    strategy.fit([row for some in rows for row in some])
    return strategy


@pytest.fixture(scope="module")
def learned() -> LearnedStrategy:
    return _fitted(_rows("moving", _moving), _rows("steady", _hours), _rows("open", lambda _at: True))


def _passes(strategy: LearnedStrategy, bank: str, at: datetime) -> np.ndarray:
    """By the hour of that day."""
    midnight = int(at.timestamp()) // 3600 // 24 * 24
    return strategy.habits.bank_passes(strategy.habits.banks[bank], midnight + np.arange(24))


def test_a_bank_that_moved_two_weeks_ago_is_seen_with_its_hours_of_before_and_of_now(learned):
    habits = learned.habits
    since = datetime.fromtimestamp(habits.moved[habits.banks["moving"]] * 3600, UTC)
    assert abs(since - MOVED) < timedelta(days=4)
    before, now = (_passes(learned, "moving", at) for at in (since - timedelta(days=9), NOON))
    assert before[OPEN].min() > 0.5 > 0.35 > before[OPEN_NOW].max()
    assert now[OPEN_NOW].mean() > 0.5 > 0.35 > now[OPEN].mean()


def test_banks_that_did_not_move_are_left_alone(learned):
    habits = learned.habits
    for bank in ("steady", "open"):
        row = habits.banks[bank]
        assert habits.moved[row] == 0
        long_ago = NOON - timedelta(weeks=30)
        assert _passes(learned, bank, NOON) == pytest.approx(_passes(learned, bank, long_ago))


def test_the_page_of_a_model_tells_since_when_a_bank_keeps_other_hours(learned):
    topics = {effect.topic for effect in learned.describe()}
    moved = [topic for topic in topics if "since its hours changed on 2026-08-" in topic]
    assert {topic.split()[3] for topic in moved} == {"hour", "weekday"}
    assert all("moving" in topic for topic in moved)


def test_who_fails_after_a_move_is_charged_when_the_bank_is_open_now(learned):
    told = {"invoice_id": "i", "customer_id": "moving-new", "issuer": "moving", "timezone": "UTC", "country": "DE"}
    context = {
        **told,
        "funding": "credit",
        "failed_at": NOON - timedelta(hours=2),
        "window_days": 14,
        "max_attempts": 8,
    }
    refused = [{"at": NOON - timedelta(hours=2), "approved": False, "decline_code": "do_not_honor"}]
    at = learned.next_attempt(context, refused, NOON - timedelta(hours=1))
    assert at is not None
    assert at.hour in OPEN_NOW


def test_without_looking_for_moves_the_hours_of_before_are_believed(learned, monkeypatch):
    """The control."""
    monkeypatch.setattr(moves, "_SELDOM", np.inf)
    blind = _fitted(_rows("moving", _moving), _rows("steady", _hours), _rows("open", lambda _at: True))
    now = _passes(blind, "moving", NOON)
    assert now[OPEN].mean() > now[OPEN_NOW].mean()


def test_an_outage_of_a_day_closes_no_bank():
    def down(at: datetime) -> bool:
        return not timedelta(days=DAYS - 4) <= at - BEGIN < timedelta(days=DAYS - 3)

    strategy = _fitted(
        _rows("down", down, customers=240, says="issuer_not_available"), _rows("open", lambda _at: True)
    )
    for day in range(7):
        assert _passes(strategy, "down", NOON + timedelta(days=day)).mean() > 0.6


def test_weekdays_that_a_bank_rests_on_since_it_moved_are_seen():
    def rests_elsewhere(at: datetime) -> bool:
        return _moving(at) and (at < MOVED or at.weekday() not in (1, 2))

    strategy = _fitted(_rows("moving", rests_elsewhere, customers=240), _rows("open", lambda _at: True))
    by_day = strategy.habits.weekdays[strategy.habits.banks["moving"]]
    assert by_day[[1, 2]].min() > 0.5 > 0.2 > np.delete(by_day, [1, 2]).max()


def test_what_was_seen_before_is_not_kept_but_looked_for_anew(learned):
    again = LearnedStrategy()
    again.load(learned.save())
    row = again.habits.banks["moving"]
    assert again.habits.moved[row] == learned.habits.moved[row] > 0
    assert with_moves(again.habits, []).moved[row] == 0
    again.fit(_rows("moving", _moving))
    assert abs(datetime.fromtimestamp(again.habits.moved[row] * 3600, UTC) - MOVED) < timedelta(days=4)


def test_from_no_charges_nothing_is_seen():
    habits = Habits.flat()
    assert with_moves(habits, []).moved.tolist() == [0]
