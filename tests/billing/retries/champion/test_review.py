"""The weekly comparison: who wins is switched, who drifts is taken out, who is too young waits."""

import math
from datetime import timedelta

import pytest

from billing.models import AttemptStatus, PaymentAttempt, RetryModel, RetryModelEvent
from billing.retries.champion import offline, review
from billing.retries.champion.review import decisions_drawn, drift_of, models_review
from billing.retries.champion.scores import clustered_mean
from billing.retries.champion.switching import alerts_new, alerts_seen, model_promote, model_retire
from customers.errors import SollecitoError
from tests import factories
from tests.billing.retries.champion.world import stored
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
State = RetryModel.State


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(offline, "ENOUGH", 20)
    monkeypatch.setattr(review, "ENOUGH", 20)
    monkeypatch.setattr(offline, "TIGHTEST", 100)


def drawn(times, *, names, chosen, paid, planned=NOW - 40 * DAY, **fields):
    """Retries drawn half and half between two strategies; `paid` of ten of their invoices got paid."""
    for n in range(times):
        invoice = factories.invoice(
            factories.customer(), paid_at=planned + DAY if n % 10 < paid else None, amount_due=100
        )
        options = [
            {"name": name, "at": NOW.isoformat(), "chance": 0.3, "share": 0.5, "drawn": name == chosen}
            for name in names
        ]
        attempt = factories.attempt(
            invoice, scheduled_for=NOW, propensity=0.5, options=options, origin="retry", **fields
        )
        PaymentAttempt.objects.filter(pk=attempt.pk).update(created_at=planned)


def lines(kind):
    return RetryModelEvent.objects.filter(kind=kind)


def test_a_candidate_that_recovers_more_becomes_champion():
    champion, candidate = stored(), stored(State.CANDIDATE)
    names = (f"model:{champion.pk}", f"model:{candidate.pk}")
    drawn(60, names=names, chosen=names[0], paid=3)
    drawn(60, names=names, chosen=names[1], paid=8)
    found = models_review(now=NOW).candidate
    assert found.wins
    champion.refresh_from_db()
    candidate.refresh_from_db()
    assert (champion.state, candidate.state) == (State.RETIRED, State.CHAMPION)
    line = lines("promoted").get()
    assert line.alert
    assert line.data["decisions"] == 120


def test_a_candidate_that_recovers_less_is_retired_without_waking_anybody():
    candidate = stored(State.CANDIDATE)
    names = (f"model:{candidate.pk}", "rules")
    drawn(60, names=names, chosen=names[0], paid=2)
    drawn(60, names=names, chosen="rules", paid=8)
    models_review(now=NOW)
    candidate.refresh_from_db()
    assert candidate.state == State.RETIRED
    assert not RetryModelEvent.objects.filter(alert=True).exists()


def test_a_difference_without_enough_retries_switches_nothing():
    candidate = stored(State.CANDIDATE)
    names = (f"model:{candidate.pk}", "rules")
    drawn(10, names=names, chosen=names[0], paid=10)
    drawn(10, names=names, chosen="rules", paid=0)
    models_review(now=NOW)
    candidate.refresh_from_db()
    assert candidate.state == State.CANDIDATE
    assert "10 and 10 of 20" in lines("compared").get().reason


def test_what_may_yet_be_paid_is_waited_for():
    stored(State.CANDIDATE)
    drawn(3, names=("model:1", "rules"), chosen="rules", paid=10, planned=NOW - 20 * DAY)
    assert decisions_drawn(NOW) == []
    assert models_review(now=NOW).candidate is None
    assert "older than four weeks" in lines("compared").get().reason


def test_a_champion_that_the_rules_beat_is_taken_out_with_an_alert():
    champion = stored()
    names = (f"model:{champion.pk}", "rules")
    drawn(60, names=names, chosen=names[0], paid=3)
    drawn(60, names=names, chosen="rules", paid=8)
    models_review(now=NOW)
    champion.refresh_from_db()
    assert champion.state == State.RETIRED
    assert lines("demoted").get().alert
    ids = RetryModelEvent.objects.values_list("pk", flat=True)
    assert (alerts_new(), alerts_seen(event_ids=ids, now=NOW)) == (1, 1)
    assert (alerts_new(), alerts_seen(event_ids=ids, now=NOW)) == (0, 0)


@pytest.mark.parametrize(("chance", "state"), [(0.9, State.RETIRED), (0.05, State.CHAMPION)])
def test_a_champion_that_foretells_worse_than_the_rules_has_drifted(chance, state):
    champion = stored(fitted_at=NOW - 30 * DAY)
    for n in range(40):
        factories.attempt(
            factories.invoice(factories.customer()),
            at=NOW - DAY,
            retry_model=champion,
            probability=chance,
            status=AttemptStatus.DECLINED,
            options=[{"name": "rules", "at": NOW.isoformat(), "chance": 0.1 + n / 1000, "share": 0.1, "drawn": False}],
        )
    models_review(now=NOW)
    champion.refresh_from_db()
    assert champion.state == state


def charged(champion, times, *, declined, at=NOW - DAY):
    """Charges the champion gave 60 % and the rules 40 %."""
    option = {"name": "rules", "at": NOW.isoformat(), "chance": 0.4, "share": 0.1, "drawn": False}
    for n in range(times):
        factories.attempt(
            factories.invoice(factories.customer()),
            at=at,
            retry_model=champion,
            probability=0.6,
            status=AttemptStatus.DECLINED if n < declined else AttemptStatus.SUCCEEDED,
            options=[option],
        )


def test_looking_every_week_makes_no_drift_of_chance():
    """40 of 60 declined is beyond an interval for one look, and nothing for one that holds at every week's."""
    champion = stored(fitted_at=NOW - 30 * DAY)
    charged(champion, 60, declined=40)
    times = [math.log(1.5)] * 40 + [-math.log(1.5)] * 20
    assert clustered_mean([(str(n), value) for n, value in enumerate(times)]).low > 0
    drift = drift_of(champion, NOW)
    assert drift is not None
    assert drift.low < 0 < drift.value
    models_review(now=NOW)
    champion.refresh_from_db()
    assert champion.state == State.CHAMPION


def test_drift_is_looked_for_in_the_champions_present_quarter():
    champion = stored(fitted_at=NOW - review.DRIFT - 10 * DAY)
    charged(champion, 60, declined=58, at=NOW - 11 * DAY)
    assert drift_of(champion, NOW) is None
    charged(champion, 60, declined=58, at=NOW - 9 * DAY)
    drift = drift_of(champion, NOW)
    assert drift is not None
    assert drift.low > 0


def test_a_trial_without_a_difference_ends():
    candidate = stored(State.CANDIDATE, fitted_at=NOW - review.TRIAL)
    models_review(now=NOW)
    candidate.refresh_from_db()
    assert candidate.state == State.RETIRED


def test_without_models_there_is_nothing_to_compare(django_assert_num_queries):
    with django_assert_num_queries(3):
        assert models_review(now=NOW) == review.Review()
    assert not RetryModelEvent.objects.exists()


def test_the_way_back_is_a_promotion_too():
    old, new = stored(State.RETIRED), stored()
    model_promote(model_id=old.pk, reason="The new one is odd.", now=NOW)
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.state, new.state) == (State.CHAMPION, State.RETIRED)
    with pytest.raises(SollecitoError, match="already"):
        model_promote(model_id=old.pk, reason="again", now=NOW)
    assert model_retire(model_id=old.pk, reason="off", now=NOW)
    assert not model_retire(model_id=old.pk, reason="off", now=NOW)


def test_a_damaged_model_cannot_be_made_champion():
    model = stored(State.RETIRED, data=b"{", checksum="0" * 64)
    with pytest.raises(SollecitoError, match="checksum"):
        model_promote(model_id=model.pk, reason="try", now=NOW)
    model.refresh_from_db()
    assert model.state == State.RETIRED
