"""Pages of simulations: asked for by managers only, refused with the field at fault, read by everybody."""

import pytest
from django.urls import reverse

from campaigns.models import Case, SimulationRun
from campaigns.services.simulations import simulations_run
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def ask(client, version, /, **data):
    url = reverse("admin:campaigns_ladder_do", args=[version.ladder_id, "simulate"])
    return client.post(url, {"version": version.pk, "source": "open_cases", "cases": 10, "days": 60} | data)


def page(client, run, query=""):
    return client.get(reverse("admin:campaigns_simulationrun_change", args=[run.pk]) + query).content.decode()


def test_a_manager_asks_and_an_auditor_reads_and_neither_a_collector_nor_an_auditor_asks():
    version = factories.ladder()
    factories.case(factories.customer(name="Hanna"), ladder_version=version)
    assert ask(factories.desk(factories.staff("collector")), version).status_code == 403
    auditor = factories.desk(factories.staff("auditor"))
    assert ask(auditor, version).status_code == 403
    assert ask(factories.desk(factories.staff("manager")), version).status_code == 302
    run = SimulationRun.objects.get()
    assert run.asked_by.username == "manager"
    assert "Waiting for a worker" in page(auditor, run)
    simulations_run(now=NOW)
    assert "Totals" in page(auditor, run)
    assert "sol-calendar" in page(auditor, run, "?section=calendar")
    events = page(auditor, run, "?section=events")
    assert "Hanna" in events
    case = Case.objects.get()
    assert f"section=preview&amp;text=email-en&amp;case={case.pk}" in events
    text = version.steps.first().template.versions.get()
    shown = reverse("admin:campaigns_templateversion_change", args=[text.pk])
    # Chosen though it is not among the newest that are offered.
    for _n in range(40):
        factories.case(factories.customer(), ladder_version=version)
    preview = auditor.get(f"{shown}?section=preview&text=email-en&case={case.pk}").content.decode()
    assert f'<option value="{case.pk}" selected>Hanna' in preview


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"source": "customer"}, "customer"),
        ({"source": "past", "since": "2026-01-01"}, "upto"),
        ({"cases": 0}, "cases"),
        ({"days": 1000}, "days"),
        ({"version": 10**9}, "version"),
    ],
)
def test_what_is_missing_is_told_beside_its_field(data, field):
    answer = ask(factories.desk(factories.staff("manager")), factories.ladder(), **data)
    assert answer.status_code == 200
    assert field in answer.context["form"].errors
    assert not SimulationRun.objects.exists()


def test_what_the_service_refuses_is_shown():
    version = factories.ladder()
    client = factories.desk(factories.staff("manager"))
    answer = ask(client, version, other=version.pk)
    assert answer.status_code == 302
    assert "two different versions" in client.get(answer.url).content.decode()


def test_a_failure_is_told():
    version = factories.ladder()
    run = SimulationRun.objects.create(
        ladder=version.ladder, version=version, source="open_cases", created_at=NOW, status="failed", error="<boom>"
    )
    shown = page(factories.desk(factories.staff("auditor")), run)
    assert "&lt;boom&gt;" in shown


def test_strange_addresses_are_read_as_the_first_page():
    version = factories.ladder()
    factories.case(factories.customer(), ladder_version=version)
    client = factories.desk(factories.staff("manager"))
    ask(client, version)
    simulations_run(now=NOW)
    run = SimulationRun.objects.get()
    for query in ("&page=999", "&page=x", "&page=²", "&life=x", "&life=²", "&life=99999", "&kind=zzz", "&of=7"):
        assert "sol-chips" in page(client, run, f"?section=events{query}")
