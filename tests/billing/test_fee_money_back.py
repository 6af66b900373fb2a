"""Money of fees that goes back opens them again, once; their charges count on the card like any other."""

import json
from datetime import timedelta
from typing import Any

import pytest
import requests

from billing.fees.collecting import fees_resolve
from billing.ingest.inbox import store
from billing.ingest.process import process_inbox
from billing.models import AttemptStatus, Fee, FeePayment, Payment, PaymentMethod, ProcessorAccount
from billing.retries.card import ledgers_of
from billing.retries.loop import plan_retries
from customers.errors import SollecitoError
from customers.models import Interaction
from tests import factories
from tests.billing.test_fee_collecting import owing, press, statuses
from tests.factories import NOW
from tests.stripe_world import declining

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def at_stripe(stripe_world: Any, path: str, **data: Any) -> dict[str, Any]:
    answer = requests.post(f"{stripe_world.server.url}/{path}", timeout=20, **data)
    answer.raise_for_status()
    return dict(answer.json())


def refund(stripe_world: Any, charge: str, amount: int) -> None:
    key = {"Authorization": "Bearer sk_test_" + "a" * 24}
    at_stripe(stripe_world, "v1/refunds", data={"charge": charge, "amount": amount}, headers=key)


def hear(stripe_world: Any) -> None:
    """Everything the sandbox has to tell, told again each time."""
    world = stripe_world.server.world
    with world.lock:
        events = [json.loads(world.events[each]["raw"]) for each in world.event_order]
    for number, event in enumerate(events):
        # As a processor that tells twice under another id.
        for told in (event, event | {"id": f"{event['id']}again{number}"}):
            store(source="stripe", event=told, now=NOW)
    while process_inbox(now=NOW, limit=100).claimed:
        pass


def test_a_full_refund_opens_the_fees_again_and_a_partial_one_does_not(stripe_world: Any) -> None:
    fees = owing(stripe_world)
    payment = press(fees)
    refund(stripe_world, payment.external_id, 320)
    hear(stripe_world)
    assert statuses(fees) == {Fee.Status.PAID}
    refund(stripe_world, payment.external_id, 4000)
    hear(stripe_world)
    assert statuses(fees) == {Fee.Status.OPEN}
    assert Interaction.objects.filter(kind="fee.reopened").count() == 2
    assert Payment.objects.get(external_id=payment.external_id).refunded == 4320
    # Paid by another press: the refund of the first is nobody's business any more.
    assert press(fees, key="press-2").status == AttemptStatus.SUCCEEDED
    hear(stripe_world)
    assert statuses(fees) == {Fee.Status.PAID}
    assert Interaction.objects.filter(kind="fee.reopened").count() == 2


@pytest.mark.parametrize(("outcome", "status"), [("lost", Fee.Status.OPEN), ("won", Fee.Status.PAID)])
def test_only_a_lost_dispute_opens_the_fees_again(stripe_world: Any, outcome: str, status: str) -> None:
    fees = owing(stripe_world)
    payment = press(fees)
    dispute = at_stripe(stripe_world, "_sandbox/disputes", json={"charge": payment.external_id})
    hear(stripe_world)
    # Asked for by nobody while the bank decides.
    assert statuses(fees) == {Fee.Status.PAID}
    at_stripe(stripe_world, f"_sandbox/disputes/{dispute['id']}", json={"outcome": outcome})
    hear(stripe_world)
    assert statuses(fees) == {status}


def test_refunded_before_the_outcome_was_known_the_fees_stay_open(stripe_world: Any) -> None:
    fees = owing(stripe_world)
    stripe_world.fault("reset_after", path="/payment_intents$")
    press(fees)
    world = stripe_world.server.world
    with world.lock:
        (charge,) = [row["id"] for row in world.tables["charge"].objects.values() if row["amount"] == 4320]
    refund(stripe_world, charge, 4320)
    hear(stripe_world)
    assert fees_resolve(now=NOW + timedelta(minutes=1), limit=10).succeeded == 1
    assert statuses(fees) == {Fee.Status.OPEN}


def fee_declined(method: PaymentMethod, times: int, **fields: Any) -> None:
    """Presses of somebody else who stored the same card."""
    other = factories.customer()
    same = factories.payment_method(other, fingerprint=method.fingerprint, brand=method.brand)
    for n in range(1, times + 1):
        values = {
            "customer": other, "source": "stripe", "payment_method": same, "idempotency_key": f"k{other.pk}-{n}",
            "status": "declined", "amount": 100, "currency": "EUR", "claimed_at": NOW - n * DAY,
            "decline_code": "do_not_honor",
        } | fields  # fmt: skip
        FeePayment.objects.create(**values)


def test_charges_of_fees_fill_the_limits_of_their_card(stripe_world: Any) -> None:
    fees = owing(stripe_world)
    method = fees[0].customer.payment_methods.get()
    fee_declined(method, 15)
    (ledger,) = ledgers_of([method], NOW).values()
    assert ledger.full
    with pytest.raises(SollecitoError) as caught:
        press(fees)
    assert caught.value.code == "limit_reached"


def test_the_planner_counts_them_too(stripe_world: Any) -> None:
    invoice = stripe_world.owing(first_failed_at=NOW - DAY, retry_state="needs_plan")
    fee_declined(invoice.customer.payment_methods.get(), 15)
    assert plan_retries(now=NOW, limit=10).total == 1
    planned = invoice.attempts.filter(status="planned").first()
    # The card has room again once the oldest of them is thirty days old.
    assert planned is None or planned.scheduled_for >= NOW + 15 * DAY


def test_a_card_reported_lost_when_fees_were_paid_is_never_charged_again(stripe_world: Any) -> None:
    fees = owing(stripe_world, declining("lost_card"))
    assert press(fees).status == AttemptStatus.DECLINED
    assert fees[0].customer.payment_methods.get().never_again_at == NOW


def test_nobody_asks_an_account_to_which_calls_pause(stripe_world: Any) -> None:
    fees = owing(stripe_world)
    stripe_world.fault("reset_after", path="/payment_intents$")
    press(fees)
    ProcessorAccount.objects.update(paused_until=NOW + timedelta(minutes=5))
    assert fees_resolve(now=NOW + timedelta(minutes=2), limit=10).total == 0
    assert fees_resolve(now=NOW + timedelta(minutes=6), limit=10).succeeded == 1
