"""The manners of the API: keys, lists, expansion, errors, idempotency, metadata."""

import threading
from typing import Any

import pytest
import stripe

from dunning_site.embedded.stripe_sandbox import SandboxServer
from dunning_site.embedded.stripe_sandbox.params import Params, decode

from .conftest import PUBLISHABLE_KEY, Control


def test_bracketed_parameters_become_objects_and_lists() -> None:
    params = Params(decode("items[0][price]=p1&items[1][price]=p2&metadata[a]=b&expand[]=x&expand[]=y&email="))
    assert [item.text("price") for item in params.children("items")] == ["p1", "p2"]
    assert params.mapping("metadata") == {"a": "b"}
    assert params.texts("expand") == ["x", "y"]
    assert params.text("email", "none") is None


def test_lists_page_both_ways(client: stripe.StripeClient) -> None:
    made = [client.v1.customers.create({"name": str(number)}).id for number in range(7)][::-1]
    assert [customer.id for customer in client.v1.customers.list({"limit": 3}).auto_paging_iter()] == made
    first = client.v1.customers.list({"limit": 3})
    assert first.has_more
    second = client.v1.customers.list({"limit": 3, "starting_after": made[2]})
    assert [customer.id for customer in second.data] == made[3:6]
    back = client.v1.customers.list({"limit": 2, "ending_before": made[3]})
    assert [customer.id for customer in back.data] == made[1:3]
    assert back.has_more
    assert not client.v1.customers.list({"limit": 3, "ending_before": made[3]}).has_more


def test_lists_filter_by_time(client: stripe.StripeClient, control: Control) -> None:
    early = client.v1.customers.create({})
    now = control("clock", advance=100)["now"]
    late = client.v1.customers.create({})
    cases: list[tuple[Any, set[str]]] = [
        ({"gte": now}, {late.id}),
        ({"gt": now}, set()),
        ({"lt": now}, {early.id}),
        ({"gte": now - 100, "lte": now}, {early.id, late.id}),
        (now, {late.id}),
    ]
    for created, expected in cases:
        assert {customer.id for customer in client.v1.customers.list({"created": created}).data} == expected


def test_invoices_filter_by_status_customer_and_subscription(client: stripe.StripeClient, failing: Any) -> None:
    customer, _, invoice = failing()
    other, _, _ = failing()
    subscription = invoice.parent.subscription_details.subscription
    by = client.v1.invoices.list
    assert [found.id for found in by({"subscription": subscription, "status": "open"}).data] == [invoice.id]
    assert {found.customer for found in by({"customer": other.id}).data} == {other.id}
    assert {found.status for found in by({"customer": customer.id, "status": "paid"}).data} == {"paid"}


def test_expansion_reaches_four_levels_and_refuses_nonsense(client: stripe.StripeClient, subscribe: Any) -> None:
    customer, _, subscription = subscribe()
    listed = client.v1.invoices.list({"expand": ["data.customer", "data.payments.data.payment.payment_intent"]})
    assert listed.data[0].customer.email == "ann@example.com"
    assert listed.data[0].payments.data[0].payment.payment_intent.status == "succeeded"
    charge = client.v1.charges.list({"expand": ["data.balance_transaction", "data.refunds"]}).data[0]
    assert charge.balance_transaction.net == 2000 - 88
    assert charge.refunds.data == []
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        client.v1.customers.retrieve(customer.id, {"expand": ["colour"]})  # type: ignore[list-item]


def test_metadata_is_merged_key_by_key(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"metadata": {"a": "1", "b": "2"}})
    changed = client.v1.customers.update(customer.id, {"metadata": {"b": "", "c": "3"}})
    assert changed.metadata.to_dict() == {"a": "1", "c": "3"}
    assert client.v1.customers.update(customer.id, {"metadata": ""}).metadata.to_dict() == {}


def test_errors_name_their_cause(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as absent:
        client.v1.customers.retrieve("cus_none")
    assert (absent.value.http_status, absent.value.code, absent.value.param) == (404, "resource_missing", "id")
    with pytest.raises(stripe.InvalidRequestError) as named:
        client.v1.invoices.create({"customer": "cus_none"})
    assert (named.value.http_status, named.value.param) == (400, "customer")
    with pytest.raises(stripe.InvalidRequestError) as missing:
        client.v1.products.create({})  # type: ignore[typeddict-item]
    assert (missing.value.code, missing.value.param) == ("parameter_missing", "name")
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        client.v1.customers.create({"colour": "red"})  # type: ignore[typeddict-unknown-key]
    assert (unknown.value.code, unknown.value.param) == ("parameter_unknown", "colour")
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.list({"limit": 101})


@pytest.mark.parametrize("key", ["", "nonsense", "sk_test_"])
def test_a_wrong_key_is_refused(sandbox: SandboxServer, key: str) -> None:
    stranger = stripe.StripeClient(key or "x", base_addresses={"api": sandbox.url})
    with pytest.raises(stripe.AuthenticationError):
        stranger.v1.customers.list()


def test_a_publishable_key_reaches_only_what_a_browser_may(
    sandbox: SandboxServer, client: stripe.StripeClient
) -> None:
    browser = stripe.StripeClient(PUBLISHABLE_KEY, base_addresses={"api": sandbox.url})
    intent = client.v1.setup_intents.create({})
    with pytest.raises(stripe.PermissionError):
        browser.v1.customers.list()
    with pytest.raises(stripe.PermissionError):
        browser.v1.setup_intents.retrieve(intent.id)
    with pytest.raises(stripe.InvalidRequestError):
        browser.v1.setup_intents.retrieve(intent.id, {"client_secret": "wrong"})
    seen = browser.v1.setup_intents.retrieve(intent.id, {"client_secret": intent.client_secret or ""})
    assert seen.status == "requires_payment_method"


def test_a_key_replays_its_answer_and_refuses_another_request(client: stripe.StripeClient) -> None:
    first = client.v1.customers.create({"name": "A"}, {"idempotency_key": "k"})
    again = client.v1.customers.create({"name": "A"}, {"idempotency_key": "k"})
    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert len(client.v1.customers.list().data) == 1
    with pytest.raises(stripe.IdempotencyError):
        client.v1.customers.create({"name": "B"}, {"idempotency_key": "k"})


def test_a_refusal_is_replayed_without_charging_again(
    client: stripe.StripeClient, control: Control, failing: Any
) -> None:
    _, _, invoice = failing()
    before = control("ledger")["charges_attempted"]
    for _ in range(3):
        with pytest.raises(stripe.CardError):
            client.v1.invoices.pay(invoice.id, {"off_session": True}, {"idempotency_key": "retry-1"})
    assert control("ledger")["charges_attempted"] == before + 1


def test_a_request_refused_for_its_form_may_be_mended_under_its_key(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.products.create({}, {"idempotency_key": "k"})  # type: ignore[typeddict-item]
    assert client.v1.products.create({"name": "Mended"}, {"idempotency_key": "k"}).name == "Mended"


def test_a_key_in_use_is_a_conflict(sandbox: SandboxServer, client: stripe.StripeClient, control: Control) -> None:
    control("faults", kind="delay", seconds=30, path="/v1/customers")
    outcome: list[object] = []

    def slow() -> None:
        outcome.append(client.v1.customers.create({"name": "A"}, {"idempotency_key": "k"}))

    thread = threading.Thread(target=slow)
    thread.start()
    while "k" not in sandbox.keys._running:
        pass
    with pytest.raises(stripe.StripeError) as conflict:
        client.v1.customers.create({"name": "A"}, {"idempotency_key": "k"})
    assert conflict.value.http_status == 409
    control("faults", "DELETE")
    thread.join(timeout=10)
    assert len(outcome) == 1


def test_a_deleted_customer_is_a_stub(client: stripe.StripeClient, subscribe: Any) -> None:
    customer, _, subscription = subscribe()
    client.v1.customers.delete(customer.id)
    assert client.v1.customers.retrieve(customer.id).deleted
    assert client.v1.subscriptions.retrieve(subscription.id).status == "canceled"


def test_events_can_be_listed_and_read(client: stripe.StripeClient, subscribe: Any) -> None:
    subscribe()
    paid = client.v1.events.list({"type": "invoice.*", "limit": 100})
    assert {event.type for event in paid.data} >= {"invoice.paid", "invoice.finalized"}
    one = client.v1.events.retrieve(paid.data[0].id)
    assert one.data.object.object == "invoice"
    assert one.to_dict()["request"]["id"].startswith("req_")
