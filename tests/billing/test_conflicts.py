"""Both sides retry: said once where people look, never raced, taken back when it ends."""

from datetime import timedelta

import pytest
from django.urls import reverse

from billing.checks import check_retry_schedules
from billing.conflicts import conflict_seen, conflict_settle, conflicts
from billing.models import Invoice, ProcessorAccount, RetryMode
from billing.retries.loop import plan_retries
from customers.clock import running_on
from tests import factories
from tests.billing.ingest.conftest import deliver, sandbox  # noqa: F401
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def both_retry(**fields):
    factories.account()
    values = {"processor_next_attempt_at": NOW + DAY, "processor_attempts": 1, "retry_state": "needs_plan"}
    return factories.invoice(factories.customer(), **(values | fields))


def test_a_conflict_is_said_where_people_look_and_once_in_the_log(admin_client, caplog):
    both_retry()
    invoice = both_retry()
    assert plan_retries(now=NOW, limit=10).planned == 0
    conflict_seen(["stripe"], now=NOW + DAY)
    invoice.refresh_from_db()
    assert (invoice.retry_state, invoice.attempts.count()) == ("none", 0)
    (found,) = conflicts()
    assert (found.name, found.since, found.invoices) == ("Stripe", NOW, 2)
    assert caplog.text.count("own retry schedule is on") == 1
    (told,) = check_retry_schedules(databases=["default"])
    assert (told.id, "2 open invoices" in told.msg) == ("billing.W002", True)
    assert check_retry_schedules(databases=None) == []
    with running_on(lambda: NOW):
        page = admin_client.get(reverse("admin:index")).content.decode()
    assert "Stripe retries by its own schedule" in page
    assert "2 open invoices are left to it" in page


@pytest.mark.parametrize(
    ("change", "settled"),
    [
        ({}, False),
        ({"processor_next_attempt_at": None}, True),
        ({"status": "paid", "amount_paid": 4900}, True),
        ({"collection_method": "manual"}, True),
    ],
)
def test_the_note_goes_when_no_open_invoice_is_retried_by_both(change, settled):
    invoice = both_retry()
    conflict_seen(["stripe"], now=NOW)
    Invoice.objects.filter(pk=invoice.pk).update(**change)
    assert conflict_settle(ProcessorAccount.objects.get()) is settled
    assert bool(conflicts()) is not settled


@pytest.mark.parametrize(
    ("mode", "made", "settled"), [("observe", 9, True), ("take_over", 3, True), ("take_over", 4, False)]
)
def test_what_the_processor_does_by_agreement_is_no_conflict(mode, made, settled):
    both_retry(processor_attempts=made)
    conflict_seen(["stripe"], now=NOW)
    ProcessorAccount.objects.update(retry_mode=mode, take_over_after=4)
    assert conflict_settle(ProcessorAccount.objects.get()) is settled


def test_when_the_processors_schedule_ends_the_retries_are_ours_again(sandbox, deliver):  # noqa: F811
    sandbox.control("settings", retries="smart", retry_days=[1], after_retries="past_due")
    sandbox.failing()
    deliver(sandbox.events())
    assert len(conflicts()) == 1
    assert Invoice.objects.get(status="open").retry_state == "none"
    sandbox.advance(days=9)
    deliver(sandbox.events())
    invoice = Invoice.objects.get(status="open")
    assert invoice.processor_next_attempt_at is None
    assert conflicts() == []
    assert invoice.retry_state == "needs_plan"


def test_taking_over_waits_for_the_agreed_tries_and_goes_on_by_itself(sandbox, deliver):  # noqa: F811
    ProcessorAccount.objects.update(retry_mode=RetryMode.TAKE_OVER, take_over_after=2)
    sandbox.control("settings", retries="smart", retry_days=[1], after_retries="past_due")
    sandbox.failing()
    deliver(sandbox.events())
    invoice = Invoice.objects.get(status="open")
    assert (invoice.processor_attempts, invoice.retry_state, conflicts()) == (1, "none", [])
    sandbox.advance(days=1, seconds=60)
    deliver(sandbox.events())
    invoice.refresh_from_db()
    assert (invoice.processor_attempts, invoice.retry_state) == (2, "needs_plan")
    assert plan_retries(now=invoice.first_failed_at + 2 * DAY, limit=10).planned == 1
