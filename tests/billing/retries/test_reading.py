"""Rows and questions as they come from files and tables of others: read as they are meant, or as missing."""

import copy
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest

from billing.retries import STRATEGIES, reading
from billing.retries.strategies import RuleStrategy
from billing.retries.types import _OF_ATTEMPTS, _OF_CONTEXTS, PastAttempt, RetryContext

NAN = float("nan")
FAILED = datetime(2026, 3, 2, 9, 13, tzinfo=UTC)
NOW = FAILED + timedelta(minutes=5)
CONTEXT = {
    "invoice_id": "in_1",
    "customer_id": "cus_1",
    "country": "IT",
    "timezone": "Europe/Rome",
    "brand": "visa",
    "failed_at": FAILED,
    "window_days": 14,
    "max_attempts": 8,
    "decline_code": "insufficient_funds",
}
FIRST = {"at": FAILED, "approved": False, "attempt_number": 0, "decline_code": "insufficient_funds"}


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (FAILED, FAILED),
        (FAILED.replace(tzinfo=None), FAILED),
        (FAILED.astimezone(timezone(timedelta(hours=9))), FAILED),
        ("2026-03-02T09:13:00Z", FAILED),
        (" 2026-03-02 10:13:00+01:00 ", FAILED),
        ("2026-03-02T09:13:00", FAILED),
        (np.datetime64("2026-03-02T09:13:00", "ns"), FAILED),
        (date(2026, 3, 2), datetime(2026, 3, 2, tzinfo=UTC)),
        (datetime.max.replace(tzinfo=UTC), reading.LATEST),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=5))), reading.EARLIEST),
        (np.datetime64("NaT"), None),
        ("yesterday", None),
        (20260302, None),
        (np.int64(20260302), None),
        (NAN, None),
        (None, None),
    ],
)
def test_moments(told, read):
    assert reading.moment(told) == read


@pytest.mark.parametrize(
    ("reader", "told", "read"),
    [
        (reading.text, "x", "x"),
        (reading.text, 7, "7"),
        (reading.text, np.int64(7), "7"),
        (reading.text, 7.0, "7"),
        (reading.text, NAN, None),
        (reading.text, ("a", 1), "('a', 1)"),
        (reading.code, "5", "5"),
        (reading.code, 5, "05"),
        (reading.code, np.int64(51), "51"),
        (reading.code, 51.0, "51"),
        (reading.code, NAN, None),
        (reading.whole, np.int64(4900), 4900),
        (reading.whole, 8.0, 8),
        (reading.whole, "8", 8),
        (reading.whole, Decimal("49"), 49),
        (reading.whole, 10**40, 10**40),
        (reading.whole, float("inf"), None),
        (reading.whole, "many", None),
        (reading.days, np.int64(14), 14),
        (reading.days, 10**9, 36_500),
        (reading.days, NAN, None),
        (reading.flag, "False", False),
        (reading.flag, " true ", True),
        (reading.flag, np.bool_(True), True),
        (reading.flag, 0, False),
        (reading.flag, NAN, None),
        (reading.flag, "perhaps", None),
        (reading.span, timedelta(days=2), timedelta(days=2)),
        (reading.span, 2, None),
        (reading.profile, "latest", "latest"),
        (reading.profile, "reckless", None),
        (reading.profile, ["latest"], None),
    ],
)
def test_values(reader, told, read):
    found = reader(told)
    assert found == read
    assert type(found) is not np.bool_


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@pytest.mark.parametrize(
    ("context", "first"),
    [
        ({"failed_at": FAILED.isoformat(), "window_days": "14"}, {"at": FAILED.isoformat()}),
        ({"failed_at": FAILED.replace(tzinfo=None), "max_attempts": 8.0}, {"at": FAILED.replace(tzinfo=None)}),
        ({"window_days": np.int64(14), "max_attempts": np.int64(8)}, {"approved": np.bool_(False)}),
        ({"deadline": "2026-03-16T09:13:00Z", "window_days": NAN}, {"approved": "false"}),
        ({"amount": NAN, "tenure_months": "new", "cross_border": NAN}, {"network_advice_code": NAN}),
    ],
)
def test_the_same_question_told_otherwise_has_the_same_answer(name, context, first):
    strategy = STRATEGIES[name]()
    answer = strategy.next_attempt(CONTEXT, [FIRST], NOW)
    assert answer is not None
    asked = copy.deepcopy((context, first))
    assert strategy.next_attempt(CONTEXT | context, [FIRST | first], NOW) == answer
    assert asked == (context, first)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("decline_code", "LOST_CARD"),
        ("decline_code", 41),
        ("network_decline_code", "41"),
        ("network_decline_code", np.int64(41)),
        ("network_decline_code", 4.0),
        ("network_decline_code", "lost_card"),
        ("advice_code", "DO_NOT_TRY_AGAIN"),
        ("advice_code", "03"),
        ("network_advice_code", 3),
        ("network_advice_code", "do_not_try_again"),
    ],
)
def test_nothing_follows_a_final_code_however_it_is_written(name, field, code):
    strategy = STRATEGIES[name]()
    soft = FIRST | {"decline_code": None}
    assert strategy.next_attempt(CONTEXT, [soft], NOW) is not None
    assert strategy.next_attempt(CONTEXT, [soft | {field: code}], NOW) is None


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@pytest.mark.parametrize("told", [{"timezone": 5}, {"timezone": NAN}, {"brand": 5}, {"window_days": 10**9}])
def test_what_means_nothing_breaks_nothing(name, told):
    strategy = STRATEGIES[name]()
    strategy.fit([CONTEXT | FIRST | told, CONTEXT | FIRST])
    answer = strategy.next_attempt(CONTEXT | told, [FIRST], NOW)
    assert answer is not None
    assert NOW < answer <= NOW + timedelta(days=366)


def test_without_the_moment_of_failure_the_earliest_attempt_was_it():
    strategy = RuleStrategy()
    context = {key: value for key, value in CONTEXT.items() if key != "failed_at"}
    later = FIRST | {"at": FAILED + timedelta(days=1)}
    known = strategy.next_attempt(CONTEXT, [FIRST, later], NOW)
    assert strategy.next_attempt(context, [later, FIRST], NOW) == known
    assert strategy.next_attempt(CONTEXT, None, NOW) == strategy.next_attempt(CONTEXT, [], NOW)
    with pytest.raises(KeyError, match="failed_at"):
        strategy.next_attempt(context, [], NOW)


def test_an_attempt_without_its_moment_binds_by_its_codes():
    strategy = RuleStrategy()
    final = {"approved": False, "decline_code": "stolen_card"}
    assert strategy.next_attempt(CONTEXT, [FIRST, final], NOW) is None
    vague = {"approved": False, "at": "some day", "decline_code": "insufficient_funds"}
    assert strategy.next_attempt(CONTEXT, [vague], NOW) == strategy.next_attempt(CONTEXT, [FIRST], NOW)


@pytest.mark.parametrize(("kind", "readers"), [(PastAttempt, _OF_ATTEMPTS), (RetryContext, _OF_CONTEXTS)])
def test_every_field_is_read(kind, readers):
    assert {field.name for field in fields(kind)} == set(readers)


def test_values_of_our_own_stay_strict():
    with pytest.raises(ValueError, match="aware"):
        RetryContext(invoice_id="in_1", failed_at=FAILED.replace(tzinfo=None))
    with pytest.raises(KeyError, match="at"):
        PastAttempt.from_mapping({"at": "garbage"})
