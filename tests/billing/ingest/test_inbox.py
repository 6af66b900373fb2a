"""The webhook address and the inbox: what is stored, what is refused, what becomes of a failure."""

import json
import time
from datetime import timedelta

import pytest
import stripe
from django.test import Client

from billing.gateways import GatewayError
from billing.gateways.base import ErrorKind
from billing.ingest import process
from billing.ingest.again import inbox_retry
from billing.ingest.inbox import MAX_BODY, store
from billing.ingest.process import LEASE, MAX_ATTEMPTS, process_inbox
from billing.models import InboxEvent
from customers.models import Customer
from tests import factories
from tests.billing.ingest.conftest import NOW

pytestmark = pytest.mark.django_db


def event(n=1, event_type="customer.created", **obj):
    body = {"id": f"cus_{n}", "object": "customer", "created": 1_767_225_600, "name": f"C{n}"} | obj
    return {
        "id": f"evt_{n}",
        "object": "event",
        "type": event_type,
        "created": 1_767_225_600,
        "data": {"object": body},
    }


def post(body, *, secret="whsec_current", age=0, path="/webhooks/stripe/"):
    text = body if isinstance(body, str) else json.dumps(body)
    header = stripe.WebhookSignature.generate_signature_header(text, secret, int(time.time()) - age)
    return Client().post(path, data=text, content_type="application/json", headers={"Stripe-Signature": header})


@pytest.mark.parametrize("secret", ["whsec_current", "whsec_previous"])
def test_a_signed_event_is_stored_once_without_asking_stripe(secret, django_assert_max_num_queries):
    with django_assert_max_num_queries(3):
        assert post(event(), secret=secret).status_code == 200
    assert post(event(), secret=secret).status_code == 200
    row = InboxEvent.objects.get()
    assert (row.source, row.event_id, row.status, row.object_id) == ("stripe", "evt_1", "pending", "cus_1")


@pytest.mark.parametrize(
    ("body", "options", "status"),
    [
        (event(), {"secret": "whsec_forged"}, 400),
        (event(), {"age": 301}, 400),
        (event(), {"age": -400}, 400),
        ("not json", {}, 400),
        ({"id": "evt_1", "object": "event"}, {}, 400),
        ({"id": "evt_1", "object": "event", "type": "x", "created": "soon", "data": {"object": {}}}, {}, 400),
        ([1, 2], {}, 400),
        ("x" * (MAX_BODY + 1), {}, 413),
    ],
)
def test_what_is_forged_stale_or_malformed_is_refused_and_not_stored(body, options, status):
    assert post(body, **options).status_code == status
    assert not InboxEvent.objects.exists()


def test_only_post_is_answered():
    assert Client().get("/webhooks/stripe/").status_code == 405


def test_an_event_nobody_wants_is_stored_as_ignored():
    assert post(event(event_type="radar.early_fraud_warning.created")).status_code == 200
    assert InboxEvent.objects.get().status == "ignored"
    assert process_inbox(now=NOW).claimed == 0


def test_each_account_has_its_own_address():
    assert post(event(), path="/webhooks/stripe/eu/").status_code == 200
    assert InboxEvent.objects.get().source == "eu"


def test_a_broken_event_is_kept_with_its_error_and_does_not_hold_up_the_others():
    factories.account()
    broken = event(2, created=None, metadata="no mapping")
    for one in (event(1), broken, event(3)):
        store(source="stripe", event=one, now=NOW)
    assert process_inbox(now=NOW).failed == 1
    assert set(Customer.objects.values_list("external_id", flat=True)) == {"cus_1", "cus_3"}
    row = InboxEvent.objects.get(event_id="evt_2")
    assert (row.status, row.attempts) == ("pending", 1)
    assert "AttributeError" in row.error
    assert row.retry_at > NOW


def test_a_broken_event_of_the_same_customer_leaves_the_others_alone():
    factories.account()
    store(source="stripe", event=event(1), now=NOW)
    store(source="stripe", event=event(1, "customer.updated", metadata="no mapping") | {"id": "evt_2"}, now=NOW)
    result = process_inbox(now=NOW)
    assert (result.done, result.failed) == (1, 1)
    assert Customer.objects.get().name == "C1"


@pytest.mark.parametrize(
    "broken",
    [
        {"object": "customer", "id": None, "name": "x"},
        {"object": "invoice", "customer": "cus_1", "amount_due": 1, "status": "open", "id": None},
        {"object": "invoice", "customer": "cus_1", "amount_due": 1, "status": {}, "id": "in_1"},
        {"object": "invoice_payment", "payment": "pi_1", "invoice": "in_1"},
    ],
    ids=lambda obj: obj["object"],
)
def test_an_event_of_no_known_shape_does_not_stop_the_inbox(broken):
    factories.account()
    types = {"customer": "customer.updated", "invoice": "invoice.updated", "invoice_payment": "invoice_payment.paid"}
    wrong = event(2, types[broken["object"]])
    wrong["data"]["object"] = {name: value for name, value in broken.items() if value is not None}
    for one in (wrong, event(1)):
        store(source="stripe", event=one, now=NOW)
    assert process_inbox(now=NOW).failed == 1
    assert Customer.objects.get().external_id == "cus_1"
    assert InboxEvent.objects.get(event_id="evt_2").error
    assert process_inbox(now=NOW).claimed == 0


def test_tries_grow_apart_end_and_can_be_asked_for_again():
    factories.account()
    store(source="stripe", event=event(1, metadata="no mapping"), now=NOW)
    now, pauses = NOW, []
    for _try in range(MAX_ATTEMPTS):
        assert process_inbox(now=now).failed == 1
        row = InboxEvent.objects.get()
        pauses.append(row.retry_at - now)
        now = row.retry_at
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1]
    assert InboxEvent.objects.get().status == "failed"
    assert process_inbox(now=now + timedelta(days=9)).claimed == 0
    assert inbox_retry(event_ids=[row.pk], now=now) == 1
    assert process_inbox(now=now).claimed == 1


def test_an_event_that_waits_for_stripe_never_uses_up_its_tries(settings):
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    factories.account()
    charge = {"id": "ch_1", "object": "charge", "customer": "cus_1", "status": "failed", "payment_intent": "pi_1"}
    store(source="stripe", event=event(1, "charge.failed", **charge), now=NOW)
    now = NOW
    for _try in range(MAX_ATTEMPTS + 2):
        assert process_inbox(now=now).failed == 1
        now = InboxEvent.objects.get().retry_at
    row = InboxEvent.objects.get()
    assert (row.status, "GatewayError" in row.error) == ("pending", True)


def test_a_worker_that_dies_leaves_its_events_due_again(monkeypatch):
    factories.account()
    store(source="stripe", event=event(), now=NOW)

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(process, "run_unit", die)
        with pytest.raises(KeyboardInterrupt):
            process_inbox(now=NOW)
    assert process_inbox(now=NOW).claimed == 0
    assert process_inbox(now=NOW + LEASE).done == 1


def test_an_account_nobody_set_up_is_said_so():
    store(source="unheard", event=event(), now=NOW)
    assert process_inbox(now=NOW).failed == 1
    assert "unheard" in InboxEvent.objects.get().error


def test_what_is_optional_is_put_off_while_stripe_is_away(sandbox, deliver, settings, monkeypatch):
    """invoice.payment_failed is recorded with Stripe away; the charge behind it is asked for later."""
    sandbox.failing()
    told = [e for e in sandbox.events() if not e["type"].startswith(("charge.", "payment_intent."))]
    from billing.ingest import reread

    fetch = reread.fetch

    def away(gateway, kind, external_id):
        if kind == "charges_of":
            raise GatewayError("away", kind=ErrorKind.UNAVAILABLE)
        return fetch(gateway, kind, external_id)

    with monkeypatch.context() as patch:
        patch.setattr(reread, "fetch", away)
        deliver(told)
    from billing.models import Invoice, PaymentAttempt

    assert Invoice.objects.get(status="open").first_failed_at is not None
    assert not PaymentAttempt.objects.exists()
    assert InboxEvent.objects.filter(type="sollecito.reread", status="pending").count() == 2
    later = NOW + timedelta(hours=2)
    while process_inbox(now=later).claimed:
        pass
    assert sorted(PaymentAttempt.objects.values_list("status", flat=True)) == ["declined", "succeeded"]
