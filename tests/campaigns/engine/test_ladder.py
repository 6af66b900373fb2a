"""What a ladder is refused for before it is published, and how conditions are read."""

from datetime import time

import pytest

from campaigns.engine.conditions import check_condition, unmet
from campaigns.engine.ladder import check_steps
from customers.errors import SollecitoError
from tests.campaigns.engine.snapshots import START, case, guard, invoice, step


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ([step(1, 3), step(2, 1)], "step_order"),
        ([step(1, 3), step(2, 71, offset_unit="hours")], "step_order"),
        ([step(1, 0, window_from=time(17), window_to=time(9))], "step_window"),
        ([step(1, 0, window_days=(0,))], "step_window"),
    ],
)
def test_steps_that_could_not_be_climbed(steps, code):
    with pytest.raises(SollecitoError) as error:
        check_steps(steps)
    assert error.value.code == code


def test_steps_that_can():
    check_steps([step(1, 3), step(2, 72, offset_unit="hours"), step(3, 1, anchor="previous"), step(4, 3)])


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({}, True),
        ({"decline_category": "insufficient_funds"}, True),
        ({"decline_category": ["expired", "insufficient_funds"]}, True),
        ({"decline_category": {"not": ["expired"]}}, True),
        ({"decline_category": {"not": ["insufficient_funds"]}}, False),
        ({"asks_for": "new_card"}, False),
        ({"balance": {"at_least": {"EUR": 49}}}, True),
        ({"balance": {"at_least": {"EUR": "49.01"}}}, False),
        ({"balance": {"at_least": {"USD": 1}}}, False),
        ({"balance": {"at_least": {"USD": 1, "EUR": 1}}}, True),
        ({"retries_left": False}, True),
        ({"retries_left": True}, False),
        ({"subscription_status": "past_due"}, True),
        ({"customer_kind": "consumer"}, False),
        ({"country": ["IT", "FR"]}, True),
        ({"country": "IT", "asks_for": "new_card"}, False),
    ],
)
def test_conditions(condition, holds):
    snapshot = case(invoices=(invoice(subscription_status="past_due"),), guard=guard())
    check_condition(condition)
    assert (unmet(condition, snapshot, START) == "") is holds


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ({"moon": "full"}, "unknown_condition"),
        ({"asks_for": "a_favour"}, "bad_condition"),
        ({"asks_for": []}, "bad_condition"),
        ({"asks_for": {"at_least": 3}}, "bad_condition"),
        ({"balance": 50}, "bad_condition"),
        ({"balance": {"at_least": 50}}, "bad_condition"),
        ({"balance": {"at_least": {"EUR": "a lot"}}}, "bad_amount"),
        ({"retries_left": "yes"}, "bad_condition"),
    ],
)
def test_conditions_that_are_refused(condition, code):
    with pytest.raises(SollecitoError) as error:
        check_condition(condition)
    assert error.value.code == code
