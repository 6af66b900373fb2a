"""Charging over HTTP against the sandbox, whose ledger says what really happened."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection

from billing import attempts, charge_path, charging, resolving
from billing.charging import charge_due, charge_now
from billing.matching import ChargeFact
from billing.models import (
    AttemptStatus,
    InvoiceStatus,
    Payment,
    PaymentAttempt,
    ProcessorAccount,
    Promise,
    RetryState,
)
from billing.outcomes import charge_record
from billing.resolving import resolve_unknown
from customers.errors import SollecitoError
from customers.models import Interaction
from tests import factories
from tests.factories import NOW
from tests.stripe_world import declining

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def plan(invoice, **fields):
    """A retry that is due at NOW on the customer's card."""
    invoice.retry_state = RetryState.PLANNED
    invoice.save(update_fields=["retry_state"])
    values = {
        "status": AttemptStatus.PLANNED,
        "origin": "retry",
        "at": None,
        "decline_code": "",
        "decline_category": "",
        "scheduled_for": NOW,
        "idempotency_key": attempts.new_key(),
        "payment_method": invoice.customer.payment_methods.get(is_default=True),
        "strategy": "rules",
        "explanation": "Because.",
    }
    return factories.attempt(invoice, **(values | fields))


def run(now=NOW):
    return charge_due(now=now, limit=20)


@pytest.mark.django_db
def test_a_due_charge_that_is_approved_pays_the_invoice(stripe_world):
    invoice = stripe_world.owing()
    attempt = plan(invoice)
    assert run() == charging.ChargeRun(succeeded=1)
    attempt.refresh_from_db()
    invoice.refresh_from_db()
    assert stripe_world.charged(invoice) == [4900]
    assert (attempt.status, attempt.amount, attempt.claimed_at) == (AttemptStatus.SUCCEEDED, 4900, NOW)
    assert attempt.external_id.startswith("ch_")
    assert (invoice.status, invoice.balance, invoice.recovered_by) == (InvoiceStatus.PAID, 0, "silent_retry")
    assert Payment.objects.get().external_id == attempt.external_id


@pytest.mark.django_db
def test_run_twice_charges_once(stripe_world):
    invoice = stripe_world.owing()
    plan(invoice)
    assert (run().total, run().total) == (1, 0)
    assert stripe_world.charged(invoice) == [4900]


@pytest.mark.django_db
def test_what_is_not_due_waits(stripe_world):
    plan(stripe_world.owing(), scheduled_for=NOW + timedelta(seconds=1))
    assert run().total == 0
    assert run(NOW + timedelta(seconds=1)).succeeded == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("code", "category", "network", "finished"),
    [
        ("insufficient_funds", "insufficient_funds", "51", False),
        ("do_not_honor", "do_not_honor", "05", False),
        ("lost_card", "lost_stolen", "41", True),
        ("fraudulent", "fraud", "59", True),
        ("revocation_of_authorization", "revocation", "R1", True),
        ("invalid_account", "account_closed", "46", True),
        ("transaction_not_allowed", "unsupported", "57", True),
        ("expired_card", "expired", "54", False),
        ("incorrect_cvc", "card_data", "N7", False),
        ("card_velocity_exceeded", "limit_velocity", "65", False),
        ("processing_error", "technical", "96", False),
        ("authentication_required", "authentication", "1A", False),
    ],
)
def test_a_decline_keeps_its_codes_and_is_planned_anew(stripe_world, code, category, network, finished):
    invoice = stripe_world.owing(declining(code))
    attempt = plan(invoice)
    assert run() == charging.ChargeRun(declined=1)
    attempt.refresh_from_db()
    invoice.refresh_from_db()
    assert (attempt.decline_code, attempt.network_decline_code) == (code, network)
    assert (attempt.decline_category, invoice.last_decline_category) == (category, category)
    assert (invoice.status, invoice.retry_state) == (InvoiceStatus.OPEN, RetryState.NEEDS_PLAN)
    assert (attempt.payment_method.never_again_at is not None) == finished
    assert stripe_world.charged(invoice) == []
    assert Interaction.objects.filter(kind="attempt.declined", customer=invoice.customer).count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after", "reset", "reset_after", "server_error_after"])
def test_a_lost_answer_is_asked_for_again_and_charges_once(stripe_world, fault):
    invoice = stripe_world.owing()
    attempt = plan(invoice)
    stripe_world.fault(fault, seconds=1)
    assert run() == charging.ChargeRun(unknown=1)
    attempt.refresh_from_db()
    assert (attempt.status, attempt.resolve_at) == (AttemptStatus.UNKNOWN, NOW + MINUTE)
    # Nothing else may happen to the invoice before that is known.
    with pytest.raises(SollecitoError) as caught:
        charge_now(invoice_id=invoice.pk, origin="portal", now=NOW)
    assert caught.value.code == "in_flight"
    assert resolve_unknown(now=NOW, limit=10).total == 0
    assert resolve_unknown(now=NOW + MINUTE, limit=10) == resolving.ResolveRun(succeeded=1)
    assert stripe_world.charged(invoice) == [4900]
    attempt.refresh_from_db()
    invoice.refresh_from_db()
    assert (attempt.status, invoice.status) == (AttemptStatus.SUCCEEDED, InvoiceStatus.PAID)


@pytest.mark.django_db
def test_a_decline_whose_answer_was_lost_is_learnt(stripe_world):
    invoice = stripe_world.owing(declining("insufficient_funds"))
    plan(invoice)
    stripe_world.fault("timeout_after", seconds=1)
    assert run().unknown == 1
    assert resolve_unknown(now=NOW + MINUTE, limit=10).declined == 1
    assert stripe_world.tried() == 1


@pytest.mark.django_db
def test_outcomes_still_unknown_are_asked_about_less_and_less_often(stripe_world):
    attempt = plan(stripe_world.owing())
    stripe_world.fault("timeout_before", count=4, seconds=1)
    assert run().unknown == 1
    waits = []
    for _ in range(3):
        attempt.refresh_from_db()
        asked_at = attempt.resolve_at
        assert resolve_unknown(now=asked_at, limit=10).unknown == 1
        attempt.refresh_from_db()
        waits.append(attempt.resolve_at - asked_at)
    assert waits == [MINUTE, 2 * MINUTE, 4 * MINUTE]


@pytest.mark.django_db
@pytest.mark.parametrize(("fault", "charges"), [("timeout_before", []), ("timeout_after", [4900])])
def test_an_old_key_is_not_repeated_but_the_charges_are_read(stripe_world, fault, charges):
    invoice = stripe_world.owing()
    attempt = plan(invoice)
    stripe_world.fault(fault, seconds=1)
    run()
    tried = stripe_world.tried()
    done = resolve_unknown(now=NOW + DAY, limit=10)
    assert (done.succeeded, done.cancelled) == ((1, 0) if charges else (0, 1))
    assert (stripe_world.charged(invoice), stripe_world.tried()) == (charges, tried)
    attempt.refresh_from_db()
    assert attempt.status == (AttemptStatus.SUCCEEDED if charges else AttemptStatus.CANCELLED)


@pytest.mark.django_db
@pytest.mark.parametrize(("fault", "charges"), [("timeout_before", []), ("timeout_after", [4900])])
def test_a_charge_that_may_not_be_made_any_more_is_not_made_by_asking(stripe_world, fault, charges):
    """The first call may never have arrived: repeating it would then charge a disputed invoice."""
    invoice = stripe_world.owing()
    plan(invoice)
    stripe_world.fault(fault, seconds=1)
    run()
    invoice.disputed_at = NOW
    invoice.save(update_fields=["disputed_at"])
    resolve_unknown(now=NOW + MINUTE, limit=10)
    resolve_unknown(now=NOW + HOUR, limit=10)
    assert stripe_world.charged(invoice) == charges
    assert not PaymentAttempt.objects.filter(status__in=["in_flight", "unknown"]).exists()


@pytest.mark.django_db
def test_a_rate_limit_is_honoured_and_the_same_retry_planned_again(stripe_world):
    invoice = stripe_world.owing()
    first = plan(invoice)
    stripe_world.fault("rate_limit")
    assert run().cancelled == 1
    first.refresh_from_db()
    second = invoice.attempts.get(status=AttemptStatus.PLANNED)
    assert "too many requests" in first.cancel_reason
    assert (second.scheduled_for, second.explanation) == (NOW + timedelta(seconds=1), "Because.")
    assert second.idempotency_key != first.idempotency_key
    assert run(NOW).total == 0
    assert run(NOW + timedelta(seconds=1)).succeeded == 1
    assert stripe_world.charged(invoice) == [4900]


@pytest.mark.django_db
def test_an_answer_that_says_it_broke_is_an_unknown_outcome(stripe_world):
    invoice = stripe_world.owing()
    plan(invoice)
    stripe_world.fault("server_error")
    assert run().unknown == 1
    assert resolve_unknown(now=NOW + MINUTE, limit=10).succeeded == 1
    assert stripe_world.charged(invoice) == [4900]


@pytest.mark.django_db
def test_nobody_listening_is_no_unknown_outcome(stripe_world, settings):
    invoice = stripe_world.owing()
    plan(invoice)
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    assert run().cancelled == 1
    again = invoice.attempts.get(status=AttemptStatus.PLANNED)
    assert again.scheduled_for == NOW + charge_path.AGAIN_AFTER


@pytest.mark.django_db
def test_the_breaker_opens_after_five_failures_and_closes_on_an_answer(stripe_world):
    for _ in range(7):
        plan(stripe_world.owing())
    stripe_world.fault("server_error", count=6)
    first = run()
    assert (first.unknown, first.skipped) == (5, 2)
    account = ProcessorAccount.objects.get()
    assert (account.consecutive_failures, account.paused_until) == (5, NOW + timedelta(seconds=30))
    assert run(NOW + timedelta(seconds=29)).total == 0
    with pytest.raises(SollecitoError) as caught:
        charge_now(invoice_id=stripe_world.owing().pk, origin="portal", now=NOW)
    assert caught.value.code == "processor_unavailable"
    # One probe fails and doubles the pause.
    probe = run(NOW + timedelta(seconds=30))
    assert (probe.unknown, probe.skipped) == (1, 1)
    account.refresh_from_db()
    assert account.paused_until == NOW + timedelta(seconds=90)
    assert run(NOW + timedelta(seconds=90)).succeeded == 1
    account.refresh_from_db()
    assert (account.consecutive_failures, account.paused_until) == (0, None)


@pytest.mark.django_db
def test_a_worker_that_dies_between_claim_and_answer_is_noticed(stripe_world, monkeypatch):
    invoice = stripe_world.owing()
    plan(invoice)

    def die(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(charge_path, "record_result", die)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert stripe_world.charged(invoice) == [4900]
    assert run().total == 0
    assert resolve_unknown(now=NOW + 2 * MINUTE, limit=10).total == 0
    assert resolve_unknown(now=NOW + 3 * MINUTE, limit=10).succeeded == 1
    assert stripe_world.charged(invoice) == [4900]


@pytest.mark.django_db
def test_a_webhook_that_comes_before_the_answer_changes_nothing_twice(stripe_world, monkeypatch):
    invoice = stripe_world.owing()
    attempt = plan(invoice)
    record = charge_path.record_result

    def webhook_first(order, result, now):
        fact = ChargeFact(result.charge_id, True, 4900, "EUR", at=NOW, payment_method_id=order.method_id)
        charge_record(invoice_id=order.invoice_id, fact=fact, now=now)
        return record(order, result, now)

    monkeypatch.setattr(charge_path, "record_result", webhook_first)
    assert run().succeeded == 1
    assert list(invoice.attempts.values_list("id", "status")) == [(attempt.pk, "succeeded")]
    assert Payment.objects.count() == 1
    assert Interaction.objects.filter(kind="attempt.succeeded").count() == 1


def disputed(invoice):
    invoice.disputed_at = NOW


def void(invoice):
    invoice.status = InvoiceStatus.VOID


def in_plan(invoice):
    invoice.in_plan = True


def paid(invoice):
    invoice.amount_paid = invoice.amount_due


def promised(invoice):
    Promise.objects.create(
        customer=invoice.customer,
        brand=invoice.brand,
        amount=100,
        currency="EUR",
        promised_on=NOW.date(),
        expires_at=NOW + DAY,
        created_at=NOW,
    )


def observing(invoice):
    ProcessorAccount.objects.update(retry_mode="observe")


def racing(invoice):
    invoice.processor_next_attempt_at = NOW + DAY


def excluded(field):
    def change(invoice):
        setattr(invoice.customer, field, True)
        invoice.customer.save(update_fields=[field])

    return change


def cancelled_by_customer(invoice):
    invoice.subscription = factories.subscription(invoice.customer, status="canceled", ended_at=NOW)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        disputed,
        void,
        in_plan,
        paid,
        promised,
        observing,
        racing,
        excluded("no_dunning"),
        excluded("legal_hold"),
        excluded("bankrupt"),
        cancelled_by_customer,
    ],
)
def test_what_happened_since_the_plan_calls_the_charge_off(stripe_world, change):
    invoice = stripe_world.owing()
    attempt = plan(invoice)
    change(invoice)
    invoice.save()
    assert run().cancelled == 1
    attempt.refresh_from_db()
    invoice.refresh_from_db()
    assert attempt.cancel_reason != ""
    # Of a closed invoice nobody asks why it is not retried.
    assert invoice.retry_reason == (attempt.cancel_reason if invoice.status == "open" else "")
    assert (attempt.claimed_at, invoice.retry_state) == (None, RetryState.STOPPED)
    assert (stripe_world.tried(), Interaction.objects.filter(kind="attempt.cancelled").count()) == (0, 1)


@pytest.mark.django_db
def test_a_period_that_was_served_to_its_end_is_charged_after_the_cancellation(stripe_world):
    invoice = stripe_world.owing(issued_at=NOW - 40 * DAY)
    invoice.subscription = factories.subscription(invoice.customer, status="canceled", ended_at=NOW - 9 * DAY)
    invoice.save()
    plan(invoice)
    assert run().succeeded == 1


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["detached_at", "never_again_at"])
def test_a_card_that_is_gone_is_planned_around(stripe_world, field):
    invoice = stripe_world.owing()
    attempt = plan(invoice)
    type(attempt.payment_method).objects.update(**{field: NOW})
    assert run().cancelled == 1
    invoice.refresh_from_db()
    assert (invoice.retry_state, stripe_world.tried()) == (RetryState.NEEDS_PLAN, 0)


@pytest.mark.django_db
def test_the_networks_limit_is_asked_again_at_the_moment_of_charging(stripe_world):
    invoice = stripe_world.owing()
    other = factories.invoice(invoice.customer)
    card = invoice.customer.payment_methods.get()
    for day in range(15):
        factories.attempt(other, at=NOW - day * DAY, payment_method=card)
    attempt = plan(invoice)
    assert run().cancelled == 1
    attempt.refresh_from_db()
    assert "15 of 15" in attempt.cancel_reason
    with pytest.raises(SollecitoError) as caught:
        charge_now(invoice_id=invoice.pk, origin="portal", now=NOW)
    assert caught.value.code == "limit_reached"


@pytest.mark.django_db
def test_charging_now_takes_the_place_of_the_plan(stripe_world):
    invoice = stripe_world.owing(declining("insufficient_funds"))
    planned = plan(invoice, scheduled_for=NOW + DAY)
    card = stripe_world.add_card(invoice, metadata={"issuer_profile": "always_ok"})
    outcome = charge_now(invoice_id=invoice.pk, origin="portal", now=NOW, payment_method_id=card.pk)
    planned.refresh_from_db()
    invoice.refresh_from_db()
    assert (outcome.status, outcome.message_key) == ("succeeded", "paid")
    assert (planned.status, invoice.status, invoice.recovered_by) == ("cancelled", "paid", "portal")
    with pytest.raises(SollecitoError) as caught:
        charge_now(invoice_id=invoice.pk, origin="portal", now=NOW)
    assert caught.value.code == "not_collectible"
    assert stripe_world.charged(invoice) == [4900]


@pytest.mark.django_db
def test_a_customers_own_try_that_is_declined_says_why(stripe_world):
    invoice = stripe_world.owing(declining("lost_card"))
    outcome = charge_now(invoice_id=invoice.pk, origin="portal", now=NOW)
    assert (outcome.status, outcome.decline_category, outcome.message_key) == (
        "declined",
        "lost_stolen",
        "lost_stolen",
    )
    with pytest.raises(SollecitoError) as caught:
        charge_now(invoice_id=invoice.pk, origin="portal", now=NOW)
    assert caught.value.code == "no_method"


@pytest.mark.django_db
def test_a_bank_that_wants_the_customer_gets_them(stripe_world):
    invoice = stripe_world.owing({"number": "4000002760003184"})
    outcome = charge_now(invoice_id=invoice.pk, origin="portal", now=NOW)
    assert (outcome.status, outcome.decline_category) == ("declined", "authentication")
    assert outcome.needs_customer
    assert outcome.payment_intent_id.startswith("pi_")


@pytest.mark.django_db
@pytest.mark.parametrize("origin", ["portal", "new_method", "staff"])
def test_people_may_pay_while_a_promise_stands(stripe_world, origin):
    invoice = stripe_world.owing()
    promised(invoice)
    assert charge_now(invoice_id=invoice.pk, origin=origin, now=NOW).status == "succeeded"


@pytest.mark.django_db
def test_another_customers_card_is_never_charged(stripe_world):
    invoice = stripe_world.owing()
    card = stripe_world.add_card(stripe_world.owing())
    with pytest.raises(SollecitoError) as caught:
        charge_now(invoice_id=invoice.pk, origin="portal", now=NOW, payment_method_id=card.pk)
    assert caught.value.code == "no_method"


@pytest.mark.django_db
def test_a_customer_turned_away_by_the_network_keeps_the_retries(stripe_world, settings):
    invoice = stripe_world.owing()
    plan(invoice, scheduled_for=NOW + DAY)
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    outcome = charge_now(invoice_id=invoice.pk, origin="portal", now=NOW)
    invoice.refresh_from_db()
    assert (outcome.status, outcome.message_key) == ("cancelled", "unavailable")
    assert invoice.retry_state == RetryState.NEEDS_PLAN


def in_threads(work, count=2):
    """Runs `work` in threads that start together; returns their answers or errors."""
    barrier, answers = Barrier(count), []

    def one():
        barrier.wait()
        try:
            answers.append(work())
        except SollecitoError as error:
            answers.append(error.code)
        finally:
            connection.close()

    threads = [Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.django_db(transaction=True)
def test_two_workers_charge_each_attempt_once(stripe_world):
    invoices = [stripe_world.owing() for _ in range(6)]
    for invoice in invoices:
        plan(invoice)
    answers = in_threads(run)
    assert sum(answer.succeeded for answer in answers) == 6
    assert [stripe_world.charged(invoice) for invoice in invoices] == [[4900]] * 6
    assert stripe_world.tried() == 6


@pytest.mark.django_db(transaction=True)
def test_without_the_claim_two_workers_would_charge_twice(stripe_world, monkeypatch):
    """The control: with the claim taken away and a key each, the sandbox sees two tries for one attempt."""
    plan(stripe_world.owing(declining("insufficient_funds")))
    together = Barrier(2)

    def no_claim(attempt_id, invoice_id, now):
        attempt = PaymentAttempt.objects.select_related("invoice", "payment_method").get(pk=attempt_id)
        attempt.idempotency_key = attempts.new_key()
        together.wait()
        return attempts.order_of(attempt, attempt.invoice)

    monkeypatch.setattr(charging, "_claim", no_claim)
    monkeypatch.setattr(
        charge_path, "record_result", lambda order, result, now: charging.AttemptOutcome(0, "declined")
    )
    in_threads(run)
    assert stripe_world.tried() == 2


@pytest.mark.django_db(transaction=True)
def test_a_double_click_charges_once(stripe_world):
    invoice = stripe_world.owing()
    stripe_world.server.world.settings["latency_ms"] = 100
    answers = in_threads(lambda: charge_now(invoice_id=invoice.pk, origin="portal", now=NOW).status)
    assert "succeeded" in answers
    assert set(answers) <= {"succeeded", "in_flight", "not_collectible"}
    assert stripe_world.charged(invoice) == [4900]


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_processor_is_asked(stripe_world, monkeypatch):
    invoice = stripe_world.owing()
    seen = []
    pay = charge_path.pay

    def watching(order):
        seen.append(connection.in_atomic_block)
        return pay(order)

    monkeypatch.setattr(charge_path, "pay", watching)
    charge_now(invoice_id=invoice.pk, origin="portal", now=NOW)
    assert seen == [False]


@pytest.mark.django_db
def test_a_charge_that_breaks_the_worker_does_not_stop_those_behind_it(stripe_world, monkeypatch):
    bad, good = (stripe_world.owing() for _ in range(2))
    plan(bad, scheduled_for=NOW - MINUTE)
    plan(good)
    check = charging.limit_reached

    def broken(invoice, *rest):
        if invoice.pk == bad.pk:
            raise ZeroDivisionError
        return check(invoice, *rest)

    monkeypatch.setattr(charging, "limit_reached", broken)
    assert (run().succeeded, stripe_world.charged(good)) == (1, [4900])
    assert bad.attempts.get().scheduled_for == NOW + charging.POISON


@pytest.mark.django_db
def test_an_outcome_that_cannot_be_read_does_not_stop_those_behind_it(stripe_world, monkeypatch):
    bad, good = (stripe_world.owing() for _ in range(2))
    for invoice in (bad, good):
        plan(invoice)
        stripe_world.fault("server_error_after")
    assert run().unknown == 2
    record = resolving.record_result

    def broken(order, result, now):
        if order.invoice_id == bad.pk:
            raise ZeroDivisionError
        return record(order, result, now)

    monkeypatch.setattr(resolving, "record_result", broken)
    result = resolve_unknown(now=NOW + MINUTE, limit=10)
    assert (result.succeeded, result.skipped) == (1, 1)
    assert bad.attempts.get().status == AttemptStatus.UNKNOWN
