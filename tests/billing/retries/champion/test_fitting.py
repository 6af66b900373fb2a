"""Fitting on the installation's own charges: what is read, what is enough, what becomes a candidate."""

from datetime import timedelta

import pytest
from django.db import connections

from billing.models import AttemptStatus, RetryModel, RetryModelEvent
from billing.retries.champion import fitting
from billing.retries.champion.fitting import HELD_OUT, data_state, model_fit
from billing.retries.champion.judging import replay
from billing.retries.champion.rows import LATELY, history_rows, rows_lately
from billing.retries.strategies import RuleStrategy
from tests import factories
from tests.billing.retries.champion.world import stored
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def history(invoices, *, at, approved, customers=8):
    """Invoices whose first charge failed at `at`; every retry a day later, `approved` of ten of them paid."""
    owners = [factories.customer() for _ in range(customers)]
    methods = [factories.payment_method(owner) for owner in owners]
    for n in range(invoices):
        invoice = factories.invoice(owners[n % customers])
        method = methods[n % customers]
        factories.attempt(invoice, payment_method=method, number=1, at=at + n * HOUR / 100)
        status = AttemptStatus.SUCCEEDED if n % 10 < approved else AttemptStatus.DECLINED
        factories.attempt(
            invoice, payment_method=method, number=2, at=at + DAY + n * HOUR / 100, status=status, origin="retry"
        )


@pytest.fixture
def little(monkeypatch):
    monkeypatch.setattr(fitting, "ENOUGH_CHARGES", 40)
    monkeypatch.setattr(fitting, "ENOUGH_RETRIES", 20)


def test_rows_tell_what_the_planner_is_told():
    owner = factories.customer(country="IT", timezone="")
    card = factories.payment_method(owner, brand="visa", funding="debit", country="FR", issuer="fr:bank 1")
    invoice = factories.invoice(owner, subscription=factories.subscription(owner))
    factories.attempt(invoice, payment_method=card, network_decline_code="51")
    factories.attempt(invoice, status=AttemptStatus.PLANNED, at=None)
    (row,) = history_rows(since=NOW - DAY, until=NOW)
    assert row["timezone"] == "Europe/Rome"
    assert (row["brand"], row["funding"], row["cross_border"], row["attempt_number"]) == ("visa", "debit", True, 0)
    assert row["issuer"] == "fr:bank 1"
    assert (row["approved"], row["decline_code"], row["advice_code"]) == (False, "insufficient_funds", None)
    assert row["tenure_months"] == pytest.approx(90 / 30.44, abs=0.01)
    assert list(history_rows(since=NOW, until=NOW + DAY)) == []


def test_of_each_customer_the_newest_charges_are_told(django_assert_num_queries):
    owner, other = factories.customer(), factories.customer()
    invoice = factories.invoice(owner)
    for n in range(LATELY + 6):
        factories.attempt(invoice, number=n + 1, at=NOW - n * HOUR)
    factories.attempt(factories.invoice(other))
    with django_assert_num_queries(1):
        rows = rows_lately({owner.pk}, NOW - 30 * DAY)
    assert len(rows) == LATELY
    assert rows[-1]["at"] == NOW
    assert {row["customer_id"] for row in rows} == {str(owner.pk)}


def test_thin_data_says_how_thin_and_changes_nothing():
    history(5, at=NOW - 60 * DAY, approved=5)
    assert data_state(NOW) == (10, 2000)
    assert model_fit(now=NOW).outcome == "thin"
    assert "10 of 2000 charges" in RetryModelEvent.objects.get().reason
    assert not RetryModel.objects.exists()


def test_charges_of_the_last_weeks_are_not_learned_from(little):
    history(30, at=NOW - HELD_OUT + DAY, approved=5)
    assert model_fit(now=NOW).outcome == "thin"


def test_too_few_retries_to_judge_by_are_thin_too(little):
    history(30, at=NOW - 60 * DAY, approved=9)
    assert model_fit(now=NOW).outcome == "thin"
    assert "0 of 20 retries" in RetryModelEvent.objects.get().reason


def test_a_model_that_foretells_better_than_the_rules_goes_on_trial(little):
    history(60, at=NOW - 60 * DAY, approved=9)
    history(60, at=NOW - 20 * DAY, approved=9, customers=20)
    run = model_fit(now=NOW)
    model = RetryModel.objects.get()
    assert (run.outcome, run.model_id, model.state) == ("candidate", model.pk, "candidate")
    assert (model.rows, model.customers) == (120, 8)
    assert model.trained_until == NOW - HELD_OUT
    figures = model.figures
    assert figures["candidate"]["charges"] == figures["baseline"]["charges"] == 60
    assert figures["candidate"]["log_loss"] < figures["baseline"]["log_loss"]
    assert figures["difference"]["high"] < 0
    assert sum(b["count"] for b in figures["candidate"]["calibration"]) == 60
    assert model_fit(now=NOW).outcome == "trial"


def test_a_model_no_better_than_the_champion_is_not_kept(little):
    stored(rows=100, approved=90)
    history(60, at=NOW - 60 * DAY, approved=5)
    history(60, at=NOW - 20 * DAY, approved=9, customers=20)
    assert model_fit(now=NOW).outcome == "worse"
    assert RetryModel.objects.count() == 1
    assert "learned" in RetryModelEvent.objects.get().reason


@pytest.mark.django_db(transaction=True)
def test_one_fit_at_a_time():
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(fitting._LOCK)
            assert model_fit(now=NOW).outcome == "busy"
            cursor.execute("ROLLBACK")
    finally:
        other.close()
    assert model_fit(now=NOW).outcome == "thin"


def test_of_many_retries_whole_customers_are_drawn():
    history(60, at=NOW - 20 * DAY, approved=5, customers=20)
    rows = list(history_rows(since=NOW - 30 * DAY, until=NOW))
    everybody = replay(rows, {"rules": RuleStrategy()}, NOW - 30 * DAY)["rules"]
    some = replay(rows, {"rules": RuleStrategy()}, NOW - 30 * DAY, 0.5)["rules"]
    assert len(everybody) == fitting.retries_since(NOW - 30 * DAY) == 60
    assert 15 <= len(some) <= 45
    assert all(sum(each.cluster == one.cluster for each in some) == 3 for one in some)
