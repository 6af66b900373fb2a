"""The planning loop with models: who plans, what is written of it, what happens to a broken one, how many queries."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import AttemptStatus, PaymentAttempt, RetryModel, RetryModelEvent, RetryPolicy, RetryState
from billing.retries.champion import serving
from billing.retries.champion.learnable import PREPARED
from billing.retries.loop import plan_retries
from tests import factories
from tests.billing.retries.champion import world
from tests.billing.retries.champion.world import stored
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
State = RetryModel.State


def failed(times=1):
    invoices = []
    factories.account()
    for _ in range(times):
        owner = factories.customer()
        method = factories.payment_method(owner)
        invoice = factories.invoice(owner, retry_state=RetryState.NEEDS_PLAN)
        factories.attempt(invoice, payment_method=method)
        invoices.append(invoice)
    return invoices


def planned(times=40):
    failed(times)
    plan_retries(now=NOW, limit=500)
    return list(PaymentAttempt.objects.filter(status=AttemptStatus.PLANNED))


def test_without_a_model_the_rules_plan_and_nothing_is_drawn():
    attempt = planned(1)[0]
    assert (attempt.strategy, attempt.retry_model, attempt.propensity, attempt.options) == ("rules", None, None, [])
    assert len(attempt.reasons) == 3


def test_the_champion_plans_most_and_the_rules_their_share():
    RetryPolicy.objects.create(name="Half", explore_percent=50)
    model = stored()
    attempts = planned()
    by_model = [a for a in attempts if a.strategy == "learned"]
    by_rules = [a for a in attempts if a.strategy == "rules"]
    assert len(by_model) > 8
    assert len(by_rules) > 8
    assert {a.retry_model_id for a in by_model} == {model.pk}
    assert {a.retry_model_id for a in by_rules} == {None}
    assert {a.propensity for a in attempts} == {0.5}
    assert [o["name"] for o in attempts[0].options] == [f"model:{model.pk}", "rules"]
    assert by_model[0].probability == pytest.approx(41 / 102)


def test_a_candidate_gets_the_lots_share_beside_the_rules():
    RetryPolicy.objects.create(name="Some", explore_percent=20)
    model = stored(State.CANDIDATE)
    attempts = planned()
    drawn = [a for a in attempts if a.retry_model_id == model.pk]
    assert 0 < len(drawn) < 20
    assert all(a.propensity == pytest.approx(0.2) for a in drawn)


def test_a_setting_without_exploration_leaves_all_to_the_champion():
    RetryPolicy.objects.create(name="None", explore_percent=0)
    model = stored()
    stored(State.CANDIDATE)
    assert {a.retry_model_id for a in planned(20)} == {model.pk}


@pytest.mark.parametrize("strategy", ["rules", "fixed"])
def test_a_setting_can_name_a_strategy(strategy):
    RetryPolicy.objects.create(name="Own", strategy=strategy)
    stored()
    assert {a.strategy for a in planned(5)} == {strategy}


def test_a_changed_file_is_retired_with_an_alert_and_the_rules_plan(caplog):
    model = stored(checksum="0" * 64)
    assert {a.strategy for a in planned(3)} == {"rules"}
    model.refresh_from_db()
    line = RetryModelEvent.objects.get()
    assert (model.state, line.kind, line.alert) == (State.RETIRED, "broken", True)
    assert "checksum" in line.reason
    assert "was retired" in caplog.text


def test_a_model_that_fails_while_planning_costs_no_invoice_its_plan(learned, caplog):
    learned("Failing")
    model = stored()
    assert {a.strategy for a in planned(3)} == {"rules"}
    model.refresh_from_db()
    assert model.state == State.RETIRED
    assert "ZeroDivisionError" in RetryModelEvent.objects.get().reason


def test_a_model_is_told_what_happened_since_it_was_fitted():
    stored()
    planned(2)
    (held,) = serving._held.values()
    assert len(held.strategy.told) == 2
    plan_retries(now=NOW, limit=500)
    assert len(held.strategy.told) == 2


def test_a_model_is_told_of_the_batch_before_it_is_asked(learned, monkeypatch):
    """Of all that a strategy is asked about and no other; not of invoices that stop by their code."""
    monkeypatch.setattr(world.Together, "prepared", [])
    monkeypatch.setattr(world.Together, "unforeseen", [])
    learned("Together")
    stored()
    invoices = failed(PREPARED + 6)
    lost = PaymentAttempt.objects.filter(invoice__in=invoices[::10])
    assert lost.update(decline_code="lost_card", decline_category="lost_card") == 7
    run = plan_retries(now=NOW, limit=500)
    assert (run.planned, run.stopped) == (PREPARED - 1, 7)
    told = [pk for part in world.Together.prepared for pk in part]
    assert sorted(told) == sorted(str(i.pk) for n, i in enumerate(invoices) if n % 10)
    assert (len(world.Together.prepared), world.Together.unforeseen) == (2, [])


def test_a_model_that_fails_over_a_batch_costs_no_invoice_its_plan(learned, caplog):
    learned("Overwhelmed")
    model = stored()
    assert {a.strategy for a in planned(3)} == {"rules"}
    model.refresh_from_db()
    assert model.state == State.RETIRED
    assert "MemoryError" in RetryModelEvent.objects.get().reason


def queries(times):
    failed(times)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        plan_retries(now=NOW, limit=500)
    return len(captured)


def test_the_number_of_queries_does_not_grow_with_the_invoices():
    stored()
    stored(State.CANDIDATE)
    RetryPolicy.objects.create(name="All")
    queries(1)
    assert queries(1) == queries(25)
