"""Simulations as staff ask for them: played, recorded, compared; and nothing else in the world is touched."""

from datetime import date, timedelta

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection

from campaigns.models import Case, SimulationRun
from campaigns.services import simulations
from campaigns.services.simulations import simulation_start, simulations_run
from campaigns.services.versions import ladder_draft
from campaigns.simulator.pack import Packed
from customers.errors import SollecitoError
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def fingerprint():
    """Every table's rows as text, except the simulations' own."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            table = model._meta.db_table
            if model is SimulationRun or not model._meta.managed:
                continue
            cursor.execute(f'SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{table}" t')  # noqa: S608
            found[table] = cursor.fetchone()[0]
    return found


@pytest.fixture
def version():
    version = factories.ladder()
    for number in range(5):
        customer = factories.customer(name=f"C{number}", email="" if number == 4 else f"c{number}@example.com")
        factories.case(customer, ladder_version=version)
    return version


def ask(version, **values):
    values = {"source": "open_cases", "now": NOW, "actor_id": None} | values
    return simulation_start(version_id=version.pk, **values)


def test_a_simulation_writes_nothing_but_its_own_row_and_sends_nothing(version):
    other = ladder_draft(ladder_id=version.ladder_id)
    other.steps.filter(key="step-2").delete()
    run = ask(version, other_version_id=other.pk)
    before = fingerprint()
    assert simulations_run(now=NOW).done == 1
    assert fingerprint() == before
    assert mail.outbox == []
    run.refresh_from_db()
    assert (run.status, run.percent, run.done, run.total) == ("done", 100, 10, 10)
    assert (run.starts_at, run.ends_at) == (NOW, NOW + 60 * DAY)


def test_figures_events_and_comparison_agree(version):
    other = ladder_draft(ladder_id=version.ladder_id)
    other.steps.filter(key="step-2").delete()
    run = ask(version, other_version_id=other.pk)
    simulations_run(now=NOW)
    run.refresh_from_db()
    first, second = (told["figures"] for told in run.result["versions"])
    assert [told["name"] for told in run.result["versions"]] == [str(version), str(other)]
    # Four can be reached, by three mails and by two; the fifth has no address.
    assert (first["reminders"], second["reminders"]) == (12, 8)
    assert (first["blocked"], first["ended"]) == (1, 4)
    packed = Packed(run.events)
    assert len(packed.places(0, kinds=frozenset({"sent"}))) == 12
    assert len(packed.places(1, kinds=frozenset({"sent"}))) == 8
    event = packed.event(packed.places(0, kinds=frozenset({"sent"}))[0])
    assert (event.kind, event.step, event.channel, event.at) == ("sent", "step-1", "email", NOW)
    assert packed.labels[event.life] == "C0"
    # The unreachable one's ladders differ as well: without the second step the third is the next to be refused.
    comparison = run.result["comparison"]
    assert comparison["same"] + comparison["different"] == 5
    assert comparison["different"] >= 4
    assert {line["label"] for line in comparison["shown"]} >= {"C0", "C1", "C2", "C3"}


def test_the_same_version_on_the_same_cases_is_the_same_twice(version):
    for _again in range(2):
        ask(version)
        simulations_run(now=NOW)
    one, two = SimulationRun.objects.order_by("id")
    assert one.result == two.result
    assert bytes(one.events) == bytes(two.events)


def test_one_customer_only(version):
    case = Case.objects.order_by("id")[1]
    run = ask(version, source="customer", customer_id=case.customer_id)
    simulations_run(now=NOW)
    run.refresh_from_db()
    assert set(Packed(run.events).labels) == {case.pk}


def test_a_past_period_is_played_with_the_days_they_paid(version):
    Case.objects.all().delete()
    customer = factories.customer(name="Late", email="late@example.com")
    began = NOW - 40 * DAY
    paid = {"status": "paid", "paid_at": began + 4 * DAY, "closed_at": began + 4 * DAY, "amount_paid": 4900}
    factories.invoice(customer, first_failed_at=began, **paid)
    factories.invoice(customer, first_failed_at=NOW - 400 * DAY)
    run = ask(version, source="past", since=(began - DAY).date(), upto=(began + DAY).date())
    before = fingerprint()
    simulations_run(now=NOW)
    assert fingerprint() == before
    run.refresh_from_db()
    figures = run.result["versions"][0]["figures"]
    packed = Packed(run.events)
    kinds = [
        packed.event(place).kind for place in packed.places() if packed.labels[packed.event(place).life] == "Late"
    ]
    assert kinds == ["opened", "sent", "sent", "paid", "recovered", "receipt"]
    # The second mail went a day before.
    assert (figures["reminders_paid_soon"], figures["invoices_paid_soon"]) == (1, 1)
    assert figures["lives"] == 1


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"cases": 0}, "too_much"),
        ({"cases": 10**9}, "too_much"),
        ({"days": 0}, "too_much"),
        ({"source": "customer"}, "customer_missing"),
        ({"source": "past"}, "period_wrong"),
        ({"source": "past", "since": date(2026, 2, 2), "upto": date(2026, 2, 1)}, "period_wrong"),
        ({"other_version_id": 10**9}, "version_missing"),
    ],
)
def test_what_makes_no_sense_is_refused(version, values, code):
    with pytest.raises(SollecitoError) as refused:
        ask(version, **values)
    assert refused.value.code == code
    assert not SimulationRun.objects.exists()


def test_two_ladders_are_not_compared(version):
    with pytest.raises(SollecitoError) as refused:
        ask(version, other_version_id=factories.ladder().pk)
    assert refused.value.code == "version_other"


def test_what_a_dead_worker_left_is_played_by_another_and_what_lives_is_not(version):
    run = ask(version)
    running = SimulationRun.Status.RUNNING
    SimulationRun.objects.update(status=running, claimed_at=NOW)
    assert simulations_run(now=NOW + timedelta(minutes=4)).total == 0
    assert simulations_run(now=NOW + timedelta(minutes=6)).done == 1
    run.refresh_from_db()
    assert run.status == "done"


def test_what_kills_its_workers_is_given_up(version):
    run = ask(version)
    SimulationRun.objects.update(status="running", claimed_at=NOW + timedelta(minutes=55))
    assert simulations_run(now=NOW + timedelta(minutes=61)).done == 0
    run.refresh_from_db()
    assert (run.status, "died" in run.error) == ("failed", True)


def test_a_failure_is_told_and_does_not_stop_the_next(version, monkeypatch, caplog):
    ask(version)
    real = simulations._lives
    monkeypatch.setattr(simulations, "_lives", lambda *args: 1 / 0)
    assert simulations_run(now=NOW).failed == 1
    assert SimulationRun.objects.get().error == "division by zero"
    monkeypatch.setattr(simulations, "_lives", real)
    ask(version)
    assert simulations_run(now=NOW).done == 1


def test_old_simulations_make_room(version, monkeypatch):
    monkeypatch.setattr(simulations, "KEPT", 3)
    ids = [ask(version).pk for _ in range(5)]
    assert list(SimulationRun.objects.order_by("id").values_list("id", flat=True)) == ids[2:]


def test_no_open_case_is_an_empty_result(version):
    Case.objects.all().delete()
    run = ask(version)
    simulations_run(now=NOW)
    run.refresh_from_db()
    assert (run.status, run.result["versions"][0]["figures"]["lives"]) == ("done", 0)


def test_reading_cases_takes_the_same_queries_for_few_and_many(version, django_assert_num_queries):
    from django.test.utils import CaptureQueriesContext

    from campaigns.simulator import open_cases

    with CaptureQueriesContext(connection) as few:
        open_cases.lives(open_cases.sample(2), NOW)
    with django_assert_num_queries(len(few)):
        assert len(open_cases.lives(open_cases.sample(5), NOW)) == 5
