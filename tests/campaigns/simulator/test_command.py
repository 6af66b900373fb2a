"""`manage.py simulate_ladder` on the open cases of the database, for machines and for people."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from campaigns.models import Case
from campaigns.services.shipped import shipped_load
from campaigns.services.versions import ladder_draft
from customers import clock
from tests import factories
from tests.campaigns.services.test_simulations import fingerprint
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def run(*args, **options):
    out = StringIO()
    with clock.running_on(lambda: NOW):
        call_command("simulate_ladder", *args, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def cases():
    """Three open cases of failed cards, one of an overdue invoice."""
    version = factories.ladder(code="mine")
    for _n in range(3):
        factories.case(factories.customer(), ladder_version=version)
    factories.case(factories.customer(), ladder_version=version, trigger="invoice_overdue")
    return version


def test_a_stored_ladder_plays_on_the_cases_of_its_trigger_and_changes_nothing(cases):
    before = fingerprint()
    told = json.loads(run("mine", open_cases=10, days=60, json=True))
    assert fingerprint() == before
    assert told["cases"] == 3
    (ladder,) = told["ladders"]
    assert (ladder["ladder"], ladder["version"], ladder["reminders"], ladder["ended"]) == ("mine", "v1", 9, 3)
    assert told == json.loads(run("mine", open_cases=10, days=60, json=True))


def test_no_more_cases_than_asked_for_and_no_further_than_asked(cases):
    told = json.loads(run("mine", open_cases=2, days=2, json=True))
    assert (told["cases"], told["ladders"][0]["reminders"]) == (2, 2)


def test_a_draft_and_a_shipped_ladder_that_was_never_loaded(cases):
    draft = ladder_draft(ladder_id=cases.ladder_id)
    draft.steps.filter(key="step-3").delete()
    told = json.loads(run("mine", open_cases=10, ladder_version="draft", json=True))
    assert (told["ladders"][0]["version"], told["ladders"][0]["reminders"]) == ("v2", 6)
    told = json.loads(run("card_failed", open_cases=10, json=True))
    assert told["ladders"][0]["version"] == "shipped"
    assert told["ladders"][0]["reminders"] >= 9


def test_a_loaded_ladder_is_the_one_that_is_published(cases):
    shipped_load(now=NOW)
    assert json.loads(run("card_failed", open_cases=10, json=True))["ladders"][0]["version"] == "v1"


def test_people_read_totals_steps_and_days(cases):
    words = run("mine", open_cases=10)
    assert "3 open cases" in words
    assert "9 reminders about 3 invoices" in words
    assert "Step 1: 3 taken" in words
    assert "2026-03-10  3 email" in words


def test_without_open_cases_it_says_zero(cases):
    Case.objects.all().delete()
    assert "0 open cases" in run("mine", open_cases=10)


def test_neither_file_nor_cases_is_refused():
    with pytest.raises(CommandError, match="--receivables FILE"):
        run("mine")
