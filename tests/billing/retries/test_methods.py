"""Which stored methods a retry may use, in which order, and what staff may choose."""

from datetime import timedelta

import pytest

from billing.charging import charge_due
from billing.holds import retry_method_choose
from billing.models import AttemptStatus, OtherMethods, PaymentAttempt, ProcessorAccount, RetryState
from billing.retries.loading import method_order
from billing.retries.loop import plan_retries
from customers.errors import SollecitoError
from customers.models import Interaction
from tests import factories
from tests.billing.retries.test_loop import failed, plan
from tests.factories import NOW
from tests.stripe_world import approving, declining

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def policy(value):
    factories.account()
    ProcessorAccount.objects.update(other_methods=value)


def planned(invoice):
    return invoice.attempts.get(status=AttemptStatus.PLANNED)


def test_other_stored_methods_are_not_charged_unless_the_account_says_so():
    invoice = failed(code="lost_card")
    factories.payment_method(invoice.customer, is_default=False)
    assert plan().stopped == 1


def test_another_stored_method_is_tried_at_once_when_the_default_is_refused_for_good():
    policy(OtherMethods.REFUSED)
    invoice = failed(code="lost_card")
    other = factories.payment_method(invoice.customer, is_default=False, last4="1881")
    assert plan().planned == 1
    attempt = planned(invoice)
    assert (attempt.payment_method, attempt.scheduled_for, attempt.origin) == (other, NOW, "retry")
    assert "1881: another stored method, not charged before; before it: " in attempt.explanation
    assert "lost_card" in attempt.explanation


def test_a_default_that_may_yet_work_keeps_its_turn():
    policy(OtherMethods.REFUSED)
    invoice = failed()
    factories.payment_method(invoice.customer, is_default=False)
    plan()
    assert planned(invoice).payment_method.is_default


@pytest.mark.parametrize(("declines", "other"), [(2, False), (3, True)])
def test_after_three_declines_the_next_method_has_its_turn(declines, other):
    policy(OtherMethods.DECLINED)
    invoice = failed(code="do_not_honor")
    card = invoice.customer.payment_methods.get()
    factories.payment_method(invoice.customer, is_default=False)
    for days in range(1, declines):
        factories.attempt(
            invoice, payment_method=card, decline_code="do_not_honor", at=NOW - timedelta(minutes=50 - days)
        )
    plan()
    assert planned(invoice).payment_method.is_default is not other


def test_others_go_by_their_last_payment_then_newest_first():
    policy(OtherMethods.REFUSED)
    invoice = failed(code="lost_card")
    owner = invoice.customer
    newest = factories.payment_method(owner, is_default=False, attached_at=NOW - DAY)
    old = factories.payment_method(owner, is_default=False, attached_at=NOW - 50 * DAY)
    paid = factories.payment_method(owner, is_default=False, attached_at=NOW - 400 * DAY)
    earlier = factories.invoice(owner, status="paid", amount_paid=4900)
    factories.attempt(earlier, payment_method=paid, status="succeeded", at=NOW - 20 * DAY, decline_code="")
    listed = method_order(invoice, NOW)
    assert [c.method for c in listed if c.other] == [paid, newest, old]
    assert listed[1].why == "another stored method, last paid with on 2026-02-18"


@pytest.mark.parametrize(
    "fields",
    [
        {"detached_at": NOW},
        {"never_again_at": NOW},
        {"exp_year": 2026, "exp_month": 2},
        {"fingerprint": "of the default"},
        {"source": "stripe-two"},
    ],
    ids=["removed", "never again", "past its date", "the same card", "another processor"],
)
def test_what_may_not_be_charged_is_in_no_list(fields):
    policy(OtherMethods.REFUSED)
    invoice = failed(code="expired_card", card={"fingerprint": "of the default"})
    factories.payment_method(invoice.customer, **({"is_default": False} | fields))
    assert plan().stopped == 1


@pytest.mark.parametrize(("most", "stopped"), [(1, 1), (2, 0)])
def test_another_method_uses_up_a_retry_like_any_other(most, stopped):
    policy(OtherMethods.REFUSED)
    ProcessorAccount.objects.update(retry_max_attempts=most)
    invoice = failed(code="lost_card")
    other = factories.payment_method(invoice.customer, is_default=False)
    plan()
    attempt = planned(invoice)
    PaymentAttempt.objects.filter(pk=attempt.pk).update(
        status="declined", at=NOW, decline_code="insufficient_funds", payment_method=other
    )
    invoice.retry_state = RetryState.NEEDS_PLAN
    invoice.save(update_fields=["retry_state"])
    assert plan(NOW + DAY).stopped == stopped


def test_the_card_is_charged_and_the_policy_is_asked_again_before(stripe_world):
    invoice = stripe_world.owing(declining("lost_card"), retry_state=RetryState.NEEDS_PLAN)
    other = stripe_world.add_card(invoice, **approving())
    policy(OtherMethods.REFUSED)
    factories.attempt(invoice, payment_method=invoice.customer.payment_methods.get(is_default=True))
    PaymentAttempt.objects.update(decline_code="lost_card")
    plan_retries(now=NOW, limit=10)
    assert planned(invoice).payment_method == other
    policy(OtherMethods.NEVER)
    assert charge_due(now=NOW, limit=10).cancelled == 1
    assert stripe_world.charged(invoice) == []
    policy(OtherMethods.REFUSED)
    plan_retries(now=NOW, limit=10)
    assert charge_due(now=NOW, limit=10).succeeded == 1
    assert stripe_world.charged(invoice) == [4900]


def test_staff_choose_a_method_and_it_is_tried_at_once(django_user_model):
    boss = django_user_model.objects.create(username="boss")
    invoice = failed()
    other = factories.payment_method(invoice.customer, is_default=False)
    plan()
    for _twice in range(2):
        retry_method_choose(invoice_id=invoice.pk, payment_method_id=other.pk, actor_id=boss.pk, now=NOW)
    plan()
    attempt = planned(invoice)
    assert (attempt.payment_method, attempt.scheduled_for) == (other, NOW)
    assert "chosen by staff" in attempt.explanation
    assert Interaction.objects.get(kind="retry.method_chosen").actor_id == boss.pk
    retry_method_choose(invoice_id=invoice.pk, payment_method_id=None, actor_id=boss.pk, now=NOW)
    plan()
    assert planned(invoice).payment_method.is_default


@pytest.mark.parametrize("fields", [{"detached_at": NOW}, {"never_again_at": NOW}, {"source": "stripe-two"}])
def test_a_method_that_cannot_be_charged_cannot_be_chosen(fields):
    invoice = failed()
    other = factories.payment_method(invoice.customer, is_default=False, **fields)
    with pytest.raises(SollecitoError) as caught:
        retry_method_choose(invoice_id=invoice.pk, payment_method_id=other.pk, actor_id=1, now=NOW)
    assert caught.value.code == "no_method"


def test_another_customers_method_cannot_be_chosen():
    invoice = failed()
    stranger = factories.payment_method(factories.customer())
    with pytest.raises(SollecitoError) as caught:
        retry_method_choose(invoice_id=invoice.pk, payment_method_id=stranger.pk, actor_id=1, now=NOW)
    assert caught.value.code == "no_method"
