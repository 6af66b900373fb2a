"""The learned strategy: what it learns from rows, what it proposes, and what it keeps."""

import io
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from billing.retries import STRATEGIES
from billing.retries.champion.learnable import PREPARED, Describes, Learnable, Prepares
from billing.retries.learned import strategy as strategy_module
from billing.retries.learned.calibration import calibrated
from billing.retries.learned.fitting import words_of_causes
from billing.retries.learned.habits import CAUSES, CODE_GROUPS, FUNDS, NOISE, Habits
from billing.retries.learned.strategy import LearnedStrategy
from billing.retries.planner import plan_with, question_at
from billing.retries.types import PastAttempt, PlannedRetry, RetryContext, Stop

ROME = "Europe/Rome"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def _rows(customers: int = 40, weeks: int = 20) -> list[dict]:
    """People paid every Friday at 06:00 whose money lasts 30 hours, charged every 8 days, retried after 2."""
    rows = []
    for number in range(customers):
        for week in range(weeks):
            first = BEGIN + timedelta(days=week * 8 + number % 7, hours=(number * 5 + week * 7) % 24)
            for attempt, at in enumerate((first, first + timedelta(days=2))):
                approved = has_money(at)
                rows.append(
                    {
                        "invoice_id": f"i{number}-{week}", "customer_id": f"c{number}", "country": "IT",
                        "timezone": ROME, "brand": "visa", "funding": "debit", "issuer": f"bank{number % 3}",
                        "amount": 1900, "currency": "EUR", "attempt_number": attempt, "at": at, "approved": approved,
                        "decline_code": None if approved else "insufficient_funds",
                    }
                )  # fmt: skip
                if approved:
                    break
    return rows


def has_money(at: datetime) -> bool:
    local = at.astimezone(ZoneInfo(ROME))
    hours = (local.weekday() - 4) % 7 * 24 + local.hour
    return 6 <= hours < 36


def _failure(customer: str = "c3", failed_at: datetime | None = None, **changes) -> dict:
    return {
        "invoice_id": "new", "customer_id": customer, "country": "IT", "timezone": ROME, "brand": "visa",
        "funding": "debit", "issuer": "bank0", "amount": 1900, "currency": "EUR",
        "failed_at": failed_at or datetime(2026, 6, 1, 9, tzinfo=UTC), "window_days": 14, "max_attempts": 4,
        "decline_code": "insufficient_funds", **changes,
    }  # fmt: skip


def _declined(at: datetime, code: str = "insufficient_funds") -> dict:
    return {"at": at, "approved": False, "decline_code": code}


@pytest.fixture(scope="module")
def fitted() -> LearnedStrategy:
    strategy = LearnedStrategy()
    strategy.fit(_rows())
    return strategy


def test_it_is_reached_by_name_and_can_be_kept_and_shown():
    strategy = STRATEGIES["learned"]()
    assert isinstance(strategy, Learnable)
    assert isinstance(strategy, Describes)
    assert isinstance(strategy, Prepares)


def test_it_needs_no_django():
    code = (
        "import sys; from billing.retries import STRATEGIES; STRATEGIES['learned']();sys.exit('django' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_first_retry_meets_the_next_payday(fitted):
    failure = _failure()
    at = fitted.next_attempt(failure, [_declined(failure["failed_at"])], failure["failed_at"] + timedelta(minutes=1))
    assert has_money(at)
    assert at < failure["failed_at"] + timedelta(days=5)


def test_somebody_never_seen_is_planned_by_what_is_common(fitted):
    failure = _failure("stranger")
    at = fitted.next_attempt(failure, [_declined(failure["failed_at"])], failure["failed_at"] + timedelta(minutes=1))
    assert has_money(at)


def test_it_says_why(fitted):
    failure = RetryContext.from_mapping(_failure())
    plan = plan_with(fitted, failure, [failure.first_decline], [], failure.failed_at)
    assert isinstance(plan, PlannedRetry)
    assert "every Friday" in plan.explanation
    assert 0.4 < plan.probability < 1
    assert len(plan.reasons) == 3


def test_the_chance_is_low_when_money_is_gone(fitted):
    failure = RetryContext.from_mapping(_failure())
    attempts = [failure.first_decline]
    plan = plan_with(fitted, failure, attempts, [], failure.failed_at)
    tuesday = failure.failed_at + timedelta(days=1)
    assert fitted.probability(question_at(failure, attempts, tuesday), tuesday) < 0.2 < plan.probability


def test_without_rows_it_spreads_evenly():
    failure = _failure(max_attempts=8)
    strategy = LearnedStrategy()
    attempts = [_declined(failure["failed_at"])]
    for number in range(1, 9):
        at = strategy.next_attempt(failure, attempts, attempts[-1]["at"] + timedelta(minutes=1))
        even = failure["failed_at"] + timedelta(days=14) * number / 8
        assert timedelta(0) <= at - even <= timedelta(minutes=5) or at == even or number == 8
        attempts.append(_declined(at))
    assert strategy.next_attempt(failure, attempts, attempts[-1]["at"] + timedelta(minutes=1)) is None


def test_the_same_facts_lead_to_the_same_plan_whatever_was_asked_before(fitted):
    failure = _failure()
    attempts, now = [_declined(failure["failed_at"])], failure["failed_at"] + timedelta(hours=1)
    again = LearnedStrategy()
    again.fit(_rows())
    for other in range(5):
        again.next_attempt(_failure(f"c{other}"), attempts, now)
    assert fitted.next_attempt(failure, attempts, now) == again.next_attempt(failure, attempts, now)


def test_a_batch_is_planned_as_one_by_one(fitted):
    """More than are worked out together; among them strangers, invoices without a name, and ones that are stopped."""
    one_by_one, together = LearnedStrategy(), LearnedStrategy()
    one_by_one.load(fitted.save())
    together.load(fitted.save())
    asked = []
    for n in range(2 * PREPARED + 3):
        failure = _failure(f"c{n}", failed_at=_failure()["failed_at"] + timedelta(hours=n))
        failure |= {"invoice_id": f"i{n}"} if n % 5 else {"customer_id": "", "invoice_id": ""}
        code = "lost_card" if n % 7 == 1 else "insufficient_funds"
        attempts = [_declined(failure["failed_at"] + timedelta(days=2 * k), code) for k in range(n % 4)]
        asked.append((failure | {"decline_code": code}, attempts, failure["failed_at"] + timedelta(days=7)))
    found = together.next_attempts(iter(asked))
    assert found == [one_by_one.next_attempt(*one) for one in asked]
    assert 0 < found.count(None) < len(found) / 2
    assert together.next_attempts([]) == []


def test_neither_order_nor_repetition_of_rows_changes_what_is_learned(fitted):
    rows = _rows()
    random.Random(7).shuffle(rows)
    other = LearnedStrategy()
    other.fit([*rows, *rows[::3]])
    assert other.habits.as_data() == fitted.habits.as_data()


@pytest.mark.parametrize("code", ["lost_card", "stolen_card", "expired_card", "pickup_card"])
def test_nothing_follows_a_final_code(fitted, code):
    failure = _failure(decline_code=code)
    now = failure["failed_at"] + timedelta(hours=1)
    assert fitted.next_attempt(failure, [_declined(failure["failed_at"], code)], now) is None


def test_outcomes_told_as_they_arrive_change_the_plan_once(fitted):
    told = LearnedStrategy()
    told.load(fitted.save())
    failure = _failure("newcomer")
    attempts, now = [_declined(failure["failed_at"])], failure["failed_at"] + timedelta(minutes=1)
    # A newcomer whose money comes on Mondays, at noon.
    for week in range(12):
        monday = datetime(2026, 3, 2, 11, tzinfo=UTC) + timedelta(weeks=week)
        for day in range(0, 7, 2):
            at = monday + timedelta(days=day)
            outcome = {"at": at, "approved": day == 0, "decline_code": None if day == 0 else "insufficient_funds"}
            for _twice in range(2):
                told.observe({**_failure("newcomer"), "invoice_id": f"w{week}-{day}", "failed_at": at}, outcome)
    assert len(told._histories.of("newcomer")) == 48
    at = told.next_attempt(failure, attempts, now)
    assert at.astimezone(ZoneInfo(ROME)).weekday() == 0
    assert not has_money(at)


def _advised(at: datetime, hours: float) -> str:
    """Mastercard's code of the shortest wait that is long enough."""
    return str(24 + sum(hours > wait for wait in (1, 24, 48, 96, 144, 192)))


@pytest.mark.parametrize("told", [True, False], ids=["advised", "silent"])
def test_what_issuers_advised_before_tells_a_payday_that_no_charge_met(told):
    rows = []
    for number in range(120):
        # Everybody is paid on a weekday of their own at 06:00 and has money for 30 hours.
        for week in range(16):
            at = BEGIN + timedelta(days=week * 8 + number % 6, hours=(number * 5 + week * 7) % 24)
            since = ((at - BEGIN) / timedelta(hours=1) - 24 * (number % 7) - 6) % 168
            approved = since < 30
            rows.append(
                _failure(f"c{number}")
                | {"invoice_id": f"i{number}-{week}", "at": at, "approved": approved, "timezone": "UTC"}
                | {
                    "decline_code": None if approved else "insufficient_funds",
                    "network_advice_code": _advised(at, 168 - since) if told and not approved else None,
                }
            )
    mine = [row for row in rows if row["customer_id"] == "c3" and not row["approved"]]
    strategy = LearnedStrategy()
    strategy.fit([row for row in rows if row["customer_id"] != "c3"] + mine)
    failure = _failure("c3", datetime(2026, 6, 1, 9, tzinfo=UTC), timezone="UTC")
    at = strategy.next_attempt(failure, [_declined(failure["failed_at"])], failure["failed_at"] + timedelta(minutes=1))
    since = ((at - BEGIN) / timedelta(hours=1) - 24 * 3 - 6) % 168
    assert (since < 30) is told


def test_a_saved_model_plans_the_same(fitted):
    kept = LearnedStrategy()
    kept.load(fitted.save())
    failure = _failure()
    attempts, now = [_declined(failure["failed_at"])], failure["failed_at"] + timedelta(hours=1)
    assert kept.next_attempt(failure, attempts, now) == fitted.next_attempt(failure, attempts, now)
    assert kept.describe() == fitted.describe()


def _pickled() -> bytes:
    file = io.BytesIO()
    np.savez(file, told=np.array([{"schema": 1}], object))
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"not a file", b"PK\x03\x04rubbish", _pickled()],
    ids=["empty", "text", "broken zip", "pickle"],
)
def test_a_file_that_it_did_not_make_is_refused_and_nothing_changes(fitted, data):
    before = fitted.save()
    with pytest.raises(ValueError, match=r"."):
        fitted.load(data)
    assert fitted.save() == before


def test_a_file_of_another_schema_is_refused(fitted, monkeypatch):
    newer = LearnedStrategy()
    newer.load(fitted.save())
    data = newer.save()
    monkeypatch.setattr(strategy_module, "SCHEMA", strategy_module.SCHEMA + 1)
    with pytest.raises(ValueError, match="schema"):
        newer.load(data)


def test_it_tells_what_it_believes(fitted):
    told = {(effect.topic, effect.name): effect.value for effect in fitted.describe()}
    assert max((v, k) for k, v in told.items() if k[0] == "Paydays, IT")[1][1] == "every Friday"
    assert max((v, k) for k, v in told.items() if k[0].endswith("money comes in, bank0"))[1][1] in (
        "05:00",
        "06:00",
        "07:00",
    )
    assert told["Pay", "comes late, by hours or days"] == 0
    assert all(0 <= value <= 1 for value in told.values())


@pytest.mark.parametrize(
    "missing", ["timezone", "country", "issuer", "currency", "amount", "funding", "brand", "customer_id"]
)
def test_a_missing_field_is_tolerated(missing):
    strategy = LearnedStrategy()
    strategy.fit([{**row, missing: None} for row in _rows(customers=6, weeks=6)])
    failure = _failure(**{missing: None}) if missing != "customer_id" else {**_failure(), "customer_id": None}
    now = failure["failed_at"] + timedelta(hours=1)
    at = strategy.next_attempt(failure, [_declined(failure["failed_at"])], now)
    assert now < at <= failure["failed_at"] + timedelta(days=14)


def test_fitting_nothing_changes_nothing():
    strategy = LearnedStrategy()
    strategy.fit([])
    strategy.fit([{"customer_id": "c", "approved": True}])
    assert strategy.habits.rows == 0


def test_a_stop_has_a_reason(fitted):
    failure = RetryContext.from_mapping(_failure(max_attempts=1))
    attempts = [failure.first_decline, PastAttempt(failure.failed_at + timedelta(days=1), False, "insufficient_funds")]
    plan = plan_with(fitted, failure, attempts, [], failure.failed_at + timedelta(days=2))
    assert isinstance(plan, Stop)
    assert plan.reason


def test_chances_are_pulled_to_what_came_true():
    # Foreseen at 1 in 10, came true in half of the cases.
    slope, step = calibrated([(0.1, n % 2 == 0) for n in range(2000)])
    odds = slope * np.log(0.1 / 0.9) + step
    assert 1 / (1 + np.exp(-odds)) == pytest.approx(0.5, abs=0.02)
    assert list(calibrated([])) == [1.0, 0.0]


def test_words_for_lack_of_money_are_kept_for_it():
    """Whatever was counted: or who has no money would be taken for somebody with money whose bank is moody."""
    counts = np.zeros((len(CAUSES), CODE_GROUPS))
    counts[NOISE], counts[FUNDS] = (600, 300, 100, 0, 0, 0), (900, 100, 0, 0, 0, 0)
    spoken = words_of_causes(counts)
    assert spoken.sum(1) == pytest.approx(1)
    assert spoken[NOISE, 0] == Habits.flat().spoken[NOISE, 0]
    assert spoken[NOISE, 1] / spoken[NOISE, 2] == pytest.approx(3, rel=0.1)
    assert spoken[FUNDS, 0] > 0.85
