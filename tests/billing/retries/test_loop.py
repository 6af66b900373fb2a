"""The planning loop: claims, plans or stops, writes once, in a constant number of queries."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.charging import charge_due
from billing.models import AttemptStatus, PaymentAttempt, ProcessorAccount, Promise, RetryState
from billing.retries.loop import plan_retries
from billing.retries.services import retries_hold, retries_resume
from customers.models import Interaction
from customers.notes import customer_edited
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def failed(*, card=None, code="insufficient_funds", category=None, **fields):
    """An invoice whose first charge was declined an hour ago and that needs a plan."""
    owner = fields.pop("customer", None) or factories.customer()
    factories.account()
    method = owner.payment_methods.filter(is_default=True).first() or factories.payment_method(owner, **(card or {}))
    invoice = factories.invoice(owner, **({"retry_state": RetryState.NEEDS_PLAN} | fields))
    factories.attempt(invoice, payment_method=method, decline_code=code, decline_category=category or code)
    return invoice


def plan(now=NOW):
    return plan_retries(now=now, limit=100)


def test_a_failed_charge_gets_its_next_try_with_the_reason_why():
    invoice = failed()
    assert plan().planned == 1
    attempt = invoice.attempts.get(status=AttemptStatus.PLANNED)
    invoice.refresh_from_db()
    assert invoice.retry_state == RetryState.PLANNED
    assert attempt.scheduled_for >= NOW + 23 * HOUR
    assert (attempt.number, attempt.strategy, attempt.amount) == (2, "rules", 4900)
    assert "insufficient funds" in attempt.explanation
    assert attempt.idempotency_key.startswith("sollecito-")
    assert attempt.payment_method == invoice.customer.payment_methods.get()
    line = Interaction.objects.get(kind="attempt.planned")
    assert attempt.explanation in line.summary


def test_planned_twice_is_planned_once():
    invoice = failed()
    assert (plan().total, plan().total) == (1, 0)
    assert invoice.attempts.filter(status=AttemptStatus.PLANNED).count() == 1


@pytest.mark.parametrize("code", ["lost_card", "stolen_card", "expired_card", "revocation_of_authorization"])
def test_a_final_code_stops_the_retries_and_has_the_case_looked_at(code):
    invoice = failed(code=code)
    assert plan().stopped == 1
    invoice.refresh_from_db()
    invoice.customer.refresh_from_db()
    assert (invoice.retry_state, invoice.customer.reassess_at) == (RetryState.STOPPED, NOW)
    assert code in invoice.retry_reason
    assert Interaction.objects.get(kind="retries.stopped").data["asks_for"] == "new_card"


def test_a_final_code_on_another_invoice_binds_the_card():
    owner = factories.customer()
    failed(customer=owner, code="lost_card", retry_state=RetryState.STOPPED)
    invoice = failed(customer=owner)
    assert plan().stopped == 1
    invoice.refresh_from_db()
    assert "lost_card" in invoice.retry_reason


def test_a_new_card_is_tried_at_once():
    invoice = failed(code="lost_card", card={"is_default": False, "attached_at": NOW - 90 * DAY})
    card = factories.payment_method(invoice.customer, attached_at=NOW)
    assert plan().planned == 1
    attempt = invoice.attempts.get(status=AttemptStatus.PLANNED)
    assert attempt.payment_method == card
    assert (attempt.scheduled_for, attempt.origin) == (NOW, "new_method")


def test_what_is_due_at_once_wakes_the_charging(monkeypatch):
    woken = []
    monkeypatch.setattr("billing.retries.loop.wake", woken.append)
    failed()
    plan()
    assert woken == []
    invoice = failed(code="lost_card", card={"is_default": False})
    factories.payment_method(invoice.customer, attached_at=NOW)
    plan()
    assert woken == ["billing.tasks.charge_due"]


def test_a_new_card_is_charged_by_the_rules_of_retries_however_it_came(stripe_world):
    """The customer did not press anything: what forbids a retry forbids this charge, too."""
    invoice = stripe_world.owing(retry_state=RetryState.NEEDS_PLAN)
    old = factories.payment_method(invoice.customer, is_default=False)
    factories.attempt(invoice, payment_method=old, decline_code="lost_card", decline_category="lost_card")
    assert plan().planned == 1
    invoice.customer.legal_hold = True
    invoice.customer.save()
    assert charge_due(now=NOW, limit=10).cancelled == 1
    invoice.customer.legal_hold = False
    invoice.customer.save()
    assert retries_resume(invoice_ids=[invoice.pk], now=NOW) == 1
    plan()
    assert charge_due(now=NOW, limit=10).succeeded == 1
    assert Interaction.objects.get(kind="attempt.succeeded").actor_kind == "system"
    assert stripe_world.charged(invoice) == [4900]


def test_renewed_details_make_an_expired_card_a_new_one():
    invoice = failed(code="expired_card")
    invoice.customer.payment_methods.update(renewed_at=NOW)
    assert plan().planned == 1
    assert invoice.attempts.get(status=AttemptStatus.PLANNED).scheduled_for <= NOW + timedelta(minutes=6)


@pytest.mark.parametrize("field", ["detached_at", "never_again_at"])
def test_without_a_card_there_is_nothing_to_plan(field):
    invoice = failed()
    invoice.customer.payment_methods.update(**{field: NOW})
    assert plan().stopped == 1
    invoice.refresh_from_db()
    assert "payment method" in invoice.retry_reason


def test_a_plan_after_the_cards_date_says_so():
    invoice = failed(card={"exp_year": 2026, "exp_month": 3, "last4": "4242"}, code="do_not_honor")
    invoice.retry_not_before = NOW + 25 * DAY
    invoice.first_failed_at = NOW + 20 * DAY
    invoice.save()
    plan()
    told = "The date on Visa ···· 4242 (03/2026) will have passed unless it is renewed."
    assert told in invoice.attempts.get(status="planned").explanation


def test_the_ladders_wish_for_quiet_moves_the_plan():
    invoice = failed(code="processing_error", category="technical", retry_not_before=NOW + 5 * DAY)
    plan()
    assert invoice.attempts.get(status=AttemptStatus.PLANNED).scheduled_for >= NOW + 5 * DAY


@pytest.mark.parametrize(
    ("mode", "made", "state"),
    [
        ("own", 0, RetryState.PLANNED),
        ("observe", 9, RetryState.NONE),
        ("take_over", 3, RetryState.NONE),
        ("take_over", 4, RetryState.PLANNED),
    ],
)
def test_who_owns_the_retries_decides(mode, made, state):
    invoice = failed(processor_attempts=made)
    ProcessorAccount.objects.update(retry_mode=mode, take_over_after=4)
    assert plan().total == 1
    invoice.refresh_from_db()
    assert invoice.retry_state == state


def test_the_processors_own_schedule_is_not_raced_and_is_told():
    invoice = failed(processor_next_attempt_at=NOW + DAY)
    plan()
    invoice.refresh_from_db()
    assert invoice.retry_state == RetryState.NONE
    assert "race" in invoice.retry_reason
    assert ProcessorAccount.objects.get().schedule_conflict_at == NOW


def test_what_waits_for_an_answer_gets_no_second_try():
    invoice = failed()
    factories.attempt(invoice, status=AttemptStatus.UNKNOWN, at=NOW, origin="retry")
    assert plan().planned == 0
    assert not invoice.attempts.filter(status=AttemptStatus.PLANNED).exists()


def test_a_promise_rests_the_retries_until_it_ends():
    invoice = failed()
    promise = Promise.objects.create(
        customer=invoice.customer,
        brand=invoice.brand,
        amount=4900,
        currency="EUR",
        promised_on=NOW.date(),
        expires_at=NOW + DAY,
        created_at=NOW,
    )
    assert plan().stopped == 1
    invoice.refresh_from_db()
    assert "promised" in invoice.retry_reason
    promise.status = Promise.Status.BROKEN
    promise.save()
    assert retries_resume(invoice_ids=[invoice.pk], now=NOW + DAY) == 1
    assert plan(NOW + DAY).planned == 1


@pytest.mark.parametrize("flag", ["no_dunning", "legal_hold", "bankrupt"])
def test_an_exclusion_that_is_lifted_lets_the_retries_go_on(
    flag, django_user_model, django_capture_on_commit_callbacks
):
    invoice = failed()
    owner, staff = invoice.customer, django_user_model.objects.create(username="carla")

    def edit(value):
        setattr(owner, flag, value)
        owner.save()
        with django_capture_on_commit_callbacks(execute=True):
            customer_edited(customer_id=owner.pk, fields=[flag], actor_id=staff.pk, now=NOW)
        invoice.refresh_from_db()

    edit(True)
    assert plan().stopped == 1
    invoice.refresh_from_db()
    assert invoice.retry_state == RetryState.STOPPED
    edit(True)
    assert invoice.retry_state == RetryState.STOPPED
    edit(False)
    assert invoice.retry_state == RetryState.NEEDS_PLAN
    owner.refresh_from_db()
    assert owner.reassess_at == NOW
    assert plan().planned == 1


def test_held_until_a_day_the_charge_is_planned_behind_it():
    invoice = failed()
    plan()
    first = invoice.attempts.get(status=AttemptStatus.PLANNED)
    until = first.scheduled_for + 2 * DAY
    assert retries_hold(invoice_ids=[invoice.pk], until=until, reason="A call was made.", now=NOW) == 1
    assert plan().planned == 1
    first.refresh_from_db()
    second = invoice.attempts.get(status=AttemptStatus.PLANNED)
    assert (first.status, first.cancel_reason) == (AttemptStatus.CANCELLED, "A call was made.")
    assert second.scheduled_for >= until


def test_held_without_a_day_nothing_runs_until_resumed():
    invoice = failed()
    plan()
    retries_hold(invoice_ids=[invoice.pk], until=None, reason="Paused by staff.", now=NOW)
    assert plan().total == 0
    invoice.refresh_from_db()
    assert (invoice.retry_state, invoice.retry_reason) == (RetryState.STOPPED, "Paused by staff.")
    assert retries_resume(invoice_ids=[invoice.pk], now=NOW) == 1
    assert plan().planned == 1


@pytest.mark.parametrize("change", [{"status": "void"}, {"first_failed_at": None}, {"collection_method": "manual"}])
def test_there_is_nothing_to_resume(change):
    invoice = failed(**({"retry_state": RetryState.STOPPED} | change))
    assert retries_resume(invoice_ids=[invoice.pk], now=NOW) == 0


def test_queries_do_not_grow_with_the_batch():
    def queries(count):
        for number in range(count):
            failed(code="lost_card" if number % 3 == 1 else "insufficient_funds")
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert plan().total == count
        return len(seen)

    few = queries(2)
    assert queries(50) == few
    assert few <= 17
    assert PaymentAttempt.objects.filter(status=AttemptStatus.PLANNED).count() == 1 + 33
