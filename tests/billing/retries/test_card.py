"""One card across invoices and customers: counted under one lock, marked by fingerprint, passed with a reason."""

from contextlib import suppress
from datetime import timedelta
from threading import Barrier, BrokenBarrierError, Thread

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing import charging
from billing.charging import charge_due, charge_now
from billing.models import AttemptStatus, PaymentAttempt, PaymentMethod, ProcessorAccount, RetryState
from billing.retries import card as cards
from billing.retries.card import ledgers_of
from billing.retries.declines import classify
from billing.retries.loop import plan_retries
from billing.retries.marks import card_mark, card_mark_inherit, card_mark_lift
from customers.errors import SollecitoError
from customers.models import Interaction
from tests import factories
from tests.billing.test_charging import plan
from tests.factories import NOW
from tests.stripe_world import approving, declining

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def used(method, times, *, every=DAY, until=NOW, **fields):
    """Declines on a card for an invoice of somebody else who stored the same one."""
    other = factories.customer()
    same = factories.payment_method(other, fingerprint=method.fingerprint, brand=method.brand, type=method.type)
    invoice = factories.invoice(other, status="uncollectible")
    for n in range(1, times + 1):
        values = {"payment_method": same, "at": until - every * n, "decline_code": "do_not_honor"}
        factories.attempt(invoice, **(values | fields))
    return same


def the_card(invoice):
    return invoice.customer.payment_methods.get()


def two_of_one_card(world):
    """Invoices of two customers who stored the same card; one more charge would fill it."""
    invoices = [world.owing() for _ in range(2)]
    PaymentMethod.objects.update(fingerprint="one_card")
    used(the_card(invoices[0]), 14, every=2 * DAY)
    for invoice in invoices:
        plan(invoice)
    return invoices


def at_once(count=2):
    """Two workers who meet when both have been told that the card has room, if nothing keeps them apart."""
    barrier, answers = Barrier(count), []

    def one():
        barrier.wait()
        try:
            answers.append(charge_due(now=NOW, limit=10))
        finally:
            connection.close()

    threads = [Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def meeting(monkeypatch, *, seconds):
    """Has each worker wait for the other right after it was told that the card has room."""
    together, check = Barrier(2), charging.limit_reached

    def told(*asked):
        answer = check(*asked)
        # Broken: the other one is kept out, which is what the guard is for.
        with suppress(BrokenBarrierError):
            together.wait(timeout=seconds)
        return answer

    monkeypatch.setattr(charging, "limit_reached", told)


@pytest.mark.django_db(transaction=True)
def test_two_workers_with_one_card_do_not_pass_its_limit(stripe_world, monkeypatch):
    two_of_one_card(stripe_world)
    meeting(monkeypatch, seconds=1)
    answers = at_once()
    assert sum(answer.succeeded for answer in answers) == 1
    assert sum(answer.cancelled for answer in answers) == 1
    assert stripe_world.tried() == 1
    called_off = PaymentAttempt.objects.get(status=AttemptStatus.CANCELLED)
    assert "15 of 15" in called_off.cancel_reason


@pytest.mark.django_db(transaction=True)
def test_without_the_cards_lock_two_workers_would_pass_its_limit(stripe_world, monkeypatch):
    """The control: the same race with the lock taken away makes a sixteenth charge."""
    two_of_one_card(stripe_world)
    monkeypatch.setattr(cards, "_LOCK", "SELECT %s")
    meeting(monkeypatch, seconds=20)
    answers = at_once()
    assert sum(answer.succeeded for answer in answers) == 2
    assert stripe_world.tried() == 2


@pytest.mark.django_db
def test_a_batch_of_invoices_of_one_card_is_planned_within_its_limit():
    owner = factories.customer()
    factories.account()
    method = factories.payment_method(owner)
    used(method, 8, every=2 * HOUR)
    invoices = [factories.invoice(owner, retry_state=RetryState.NEEDS_PLAN) for _ in range(4)]
    for invoice in invoices:
        factories.attempt(invoice, payment_method=method, at=NOW - HOUR, decline_code="processing_error")
    assert (plan_retries(now=NOW, limit=100).planned, plan_retries(now=NOW, limit=100).total) == (3, 0)
    last = invoices[-1]
    last.refresh_from_db()
    assert (last.retry_state, last.retry_reason[:14]) == (RetryState.STOPPED, "Visa: 15 of 15")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("code", "codes", "kind"),
    [
        ("insufficient_funds", {"network_advice_code": "30"}, "10 days"),
        ("insufficient_funds", {}, "12 hours"),
        ("do_not_honor", {"network_advice_code": "03"}, "do not try again"),
    ],
)
def test_what_another_invoice_learnt_since_binds_at_the_moment_of_charging(stripe_world, code, codes, kind):
    invoice = stripe_world.owing()
    plan(invoice)
    used(the_card(invoice), 1, every=HOUR, decline_code=code, **codes)
    assert charge_due(now=NOW, limit=5).cancelled == 1
    invoice.refresh_from_db()
    assert (stripe_world.tried(), invoice.retry_state) == (0, RetryState.NEEDS_PLAN)
    assert kind in invoice.attempts.get().cancel_reason


@pytest.mark.django_db
def test_a_wait_of_the_network_binds_staff_and_not_the_customer(stripe_world):
    invoices = [stripe_world.owing() for _ in range(2)]
    for invoice in invoices:
        used(the_card(invoice), 1, every=HOUR, decline_code="insufficient_funds", network_advice_code="28")
    with pytest.raises(SollecitoError) as caught:
        charge_now(invoice_id=invoices[0].pk, origin="staff", now=NOW)
    assert caught.value.code == "limit_reached"
    assert charge_now(invoice_id=invoices[1].pk, origin="portal", now=NOW).status == "succeeded"


@pytest.mark.django_db
def test_a_person_passes_a_limit_once_with_a_reason_and_a_line_in_the_log(stripe_world, django_user_model):
    invoice = stripe_world.owing(declining("insufficient_funds"))
    used(the_card(invoice), 15)
    carla = django_user_model.objects.create(username="carla")
    asked = {"invoice_id": invoice.pk, "origin": "staff", "now": NOW, "actor_id": carla.pk}
    with pytest.raises(SollecitoError) as caught:
        charge_now(**asked, override="   ")
    assert caught.value.code == "limit_reached"
    assert charge_now(**asked, override="The customer is on the phone.").status == "declined"
    line = Interaction.objects.get(kind="limit.overridden")
    assert "15 of 15" in line.summary
    assert (line.body, line.actor_id) == ("The customer is on the phone.", carla.pk)
    assert invoice.attempts.get().override_reason == "The customer is on the phone."
    with pytest.raises(SollecitoError) as caught:
        charge_now(**asked)
    assert caught.value.code == "limit_reached"
    for wrong in ({"origin": "portal"}, {"actor_id": None}):
        with pytest.raises(SollecitoError) as caught:
            charge_now(**(asked | wrong), override="Because.")
        assert caught.value.code == "not_allowed"


@pytest.mark.django_db
def test_a_reason_where_none_is_needed_leaves_no_trace(stripe_world, django_user_model):
    invoice = stripe_world.owing()
    carla = django_user_model.objects.create(username="carla")
    charge_now(invoice_id=invoice.pk, origin="staff", now=NOW, actor_id=carla.pk, override="To be sure.")
    assert invoice.attempts.get().override_reason == ""
    assert not Interaction.objects.filter(kind="limit.overridden").exists()


@pytest.mark.django_db
def test_no_reason_lifts_never_again(stripe_world, django_user_model):
    invoice = stripe_world.owing()
    carla = django_user_model.objects.create(username="carla")
    card_mark(the_card(invoice), classify(decline_code="lost_card"), NOW)
    with pytest.raises(SollecitoError) as caught:
        charge_now(invoice_id=invoice.pk, origin="staff", now=NOW, actor_id=carla.pk, override="They insist.")
    assert caught.value.code == "no_method"


@pytest.mark.django_db
def test_what_the_bank_wants_confirmed_only_the_customer_charges(stripe_world, django_user_model):
    invoice = stripe_world.owing(declining("authentication_required"))
    plan(invoice)
    assert charge_due(now=NOW, limit=10).declined == 1
    assert plan_retries(now=NOW, limit=10).stopped == 1
    carla = django_user_model.objects.create(username="carla")
    stripe_world.only_the_customer_charges(invoice, carla, now=NOW, why="confirm")
    assert stripe_world.tried() == 1
    # Another card was not asked about.
    other = stripe_world.add_card(invoice, **approving())
    asked = {"invoice_id": invoice.pk, "now": NOW, "payment_method_id": other.pk}
    assert charge_now(**asked, origin="staff", actor_id=carla.pk).status == "succeeded"
    assert stripe_world.tried() == 2


@pytest.mark.django_db
def test_a_mark_is_the_cards_whoever_stores_it_and_goes_with_new_details_only():
    first, second = (factories.payment_method(factories.customer(), fingerprint="f") for _ in range(2))
    other = factories.payment_method(factories.customer(), fingerprint="g")
    card_mark(first, classify(decline_code="stolen_card"), NOW)
    card_mark(second, classify(decline_code="revocation_of_authorization"), NOW - DAY)
    for row in (first, second, other):
        row.refresh_from_db()
    # The earliest decline gives moment and reason, in whatever order they are told.
    assert [row.never_again_at for row in (first, second, other)] == [NOW - DAY, NOW - DAY, None]
    assert "revocation" in first.never_again_reason
    again = factories.payment_method(factories.customer(), fingerprint="f")
    card_mark_inherit(again)
    again.refresh_from_db()
    assert (again.never_again_at, again.never_again_reason) == (NOW - DAY, first.never_again_reason)
    card_mark_lift(again, NOW - 2 * DAY)
    assert again.never_again_at is not None
    PaymentMethod.objects.filter(pk=again.pk).update(renewed_at=NOW)
    card_mark_lift(again, NOW)
    again.refresh_from_db()
    assert again.never_again_at is None
    # A decline of the old details, told late, is not about the new ones.
    card_mark(first, classify(decline_code="lost_card"), NOW - 2 * DAY)
    again.refresh_from_db()
    assert again.never_again_at is None


@pytest.mark.django_db
def test_an_expired_card_is_not_marked():
    method = factories.payment_method(factories.customer())
    card_mark(method, classify(decline_code="expired_card"), NOW)
    method.refresh_from_db()
    assert method.never_again_at is None


@pytest.mark.django_db
def test_methods_without_a_fingerprint_are_counted_one_by_one():
    mine, other = (factories.payment_method(factories.customer(), fingerprint="", brand="") for _ in range(2))
    invoice = factories.invoice(mine.customer)
    factories.attempt(invoice, payment_method=mine, at=NOW - HOUR)
    found = ledgers_of([mine, other], NOW)
    assert [found[m.pk].limits[0].used for m in (mine, other)] == [1, 0]
    assert found[mine.pk].limits[0].limit == 15


@pytest.mark.django_db
def test_the_account_chooses_whose_number_holds():
    method = factories.payment_method(factories.customer())
    factories.account(limit_profile="latest")
    used(method, 7)
    assert ledgers_of([method], NOW)[method.pk].limits[0].sentence == "Visa: 7 of 20 used in 30 days."
    ProcessorAccount.objects.update(limit_profile="cautious")
    assert ledgers_of([method], NOW)[method.pk].limits[0].sentence == "Visa: 7 of 15 used in 30 days."


@pytest.mark.django_db
def test_ledgers_of_many_cards_cost_three_queries():
    factories.account()
    methods = [factories.payment_method(factories.customer()) for _ in range(5)]
    for method in methods:
        used(method, 2)
    with CaptureQueriesContext(
        connection,
    ) as found:
        ledgers = ledgers_of(methods, NOW)
    assert len(found) == 3
    assert [ledger.limits[0].used for ledger in ledgers.values()] == [2] * 5
    assert ledgers_of([], NOW) == {}
