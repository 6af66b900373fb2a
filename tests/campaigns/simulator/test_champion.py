"""Simulated charges are planned by what the account plans by: its champion model, its setting, or the rules."""

from datetime import timedelta

import pytest

from billing.models import RetryModel, RetryPolicy, RetryState
from billing.retries.types import PlannedRetry
from campaigns.models import Case
from campaigns.simulator import open_cases, past
from campaigns.simulator.retries import declined, next_charge
from tests import factories
from tests.billing.retries.champion.conftest import learned  # noqa: F401
from tests.billing.retries.champion.world import stored
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("learned")]


@pytest.fixture
def failed() -> Case:
    factories.account(retry_mode="own")
    customer = factories.customer()
    method = factories.payment_method(customer)
    invoice = factories.invoice(customer, retry_state=RetryState.NEEDS_PLAN)
    factories.attempt(invoice, payment_method=method)
    return factories.case(customer, invoices=[invoice])


def first_charge(case: Case) -> PlannedRetry:
    (life,) = open_cases.lives([case.pk], NOW)
    plan = life.bills[0].retry
    assert plan is not None
    answer = next_charge(plan, NOW)
    assert isinstance(answer, PlannedRetry)
    return answer


def test_the_champion_plans_where_there_is_one(failed: Case) -> None:
    by_rules = first_charge(failed)
    stored()
    by_model = first_charge(failed)
    assert (by_rules.strategy, by_model.strategy) == ("rules", "learned")
    assert by_model.at == by_rules.at + timedelta(hours=6)


def test_a_candidate_on_trial_plans_nothing(failed: Case) -> None:
    stored(RetryModel.State.CANDIDATE)
    assert first_charge(failed).strategy == "rules"


def test_a_setting_that_names_a_strategy_holds(failed: Case) -> None:
    stored()
    RetryPolicy.objects.create(name="Fixed for all", strategy=RetryPolicy.Strategy.FIXED)
    assert first_charge(failed).strategy == "fixed"


def test_a_model_that_fails_is_replaced_by_the_rules_and_nothing_is_written(failed: Case, learned) -> None:  # noqa: F811
    by_rules = first_charge(failed)
    learned("Failing")
    champion = stored()
    assert first_charge(failed) == by_rules
    champion.refresh_from_db()
    assert champion.state == RetryModel.State.CHAMPION


def test_a_file_that_cannot_be_read_is_left_where_it_is(failed: Case) -> None:
    champion = stored(checksum="0" * 64)
    assert first_charge(failed).strategy == "rules"
    champion.refresh_from_db()
    assert champion.state == RetryModel.State.CHAMPION


def test_a_past_period_is_played_with_the_champion_of_today(failed: Case) -> None:
    stored()
    day = NOW.date()
    (life,) = past.lives(day, day, trigger="payment_failed", most=10)
    plan = life.bills[0].retry
    assert plan is not None
    first = next_charge(plan, life.bills[0].since)
    assert isinstance(first, PlannedRetry)
    again = next_charge(declined(plan, first.at), first.at)
    assert isinstance(again, PlannedRetry)
    assert (first.strategy, again.strategy) == ("learned", "learned")
