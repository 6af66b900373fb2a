"""What goes wrong on the way: each fault is felt by the client, and the work is done or not done as it says."""

import threading
from typing import Any

import pytest
import stripe

from dunning_site.embedded.stripe_sandbox import SandboxServer

from .conftest import SECRET_KEY, Control


@pytest.fixture
def hasty(sandbox: SandboxServer) -> stripe.StripeClient:
    """A client that gives up after 0.3 seconds."""
    transport = stripe.RequestsClient(timeout=0.3)
    return stripe.StripeClient(
        SECRET_KEY, base_addresses={"api": sandbox.url}, max_network_retries=0, http_client=transport
    )


@pytest.mark.parametrize(
    ("kind", "error", "done"),
    [
        ("rate_limit", stripe.RateLimitError, False),
        ("server_error", stripe.APIError, False),
        ("server_error_after", stripe.APIError, True),
        ("timeout_before", stripe.APIConnectionError, False),
        ("timeout_after", stripe.APIConnectionError, True),
        ("reset", stripe.APIConnectionError, False),
        ("reset_after", stripe.APIConnectionError, True),
        ("reset_midway", stripe.APIConnectionError, True),
    ],
)
def test_a_charge_under_each_fault_happens_once_at_most(
    client: stripe.StripeClient,
    hasty: stripe.StripeClient,
    control: Control,
    failing: Any,
    kind: str,
    error: type[Exception],
    done: bool,
) -> None:
    _, good, invoice = failing()
    control("faults", kind=kind, method="POST", path="/pay$", seconds=30)
    with pytest.raises(error):
        hasty.v1.invoices.pay(invoice.id, {"payment_method": good.id}, {"idempotency_key": "k"})
    assert client.v1.invoices.retrieve(invoice.id).status == ("paid" if done else "open")
    # What was carried out is kept under its key: asking again tells, and does nothing twice.
    again = client.v1.invoices.pay(invoice.id, {"payment_method": good.id}, {"idempotency_key": "k"})
    assert again.status == "paid"
    assert (again.last_response.headers.get("Idempotent-Replayed") == "true") is done
    ledger = control("ledger")
    assert ledger["double_charges"] == []
    assert len(ledger["invoices"][invoice.id]["charges"]) == 1


def test_faults_count_down_and_skip(client: stripe.StripeClient, control: Control) -> None:
    control("faults", kind="server_error", path="/v1/customers$", count=2, skip=1)
    client.v1.customers.list()
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            client.v1.customers.list()
    client.v1.customers.list()
    assert [fault["hit"] for fault in control("faults")["data"]] == [2]


def test_the_clients_own_retries_get_through(sandbox: SandboxServer, control: Control) -> None:
    patient = stripe.StripeClient(SECRET_KEY, base_addresses={"api": sandbox.url}, max_network_retries=2)
    control("faults", kind="reset_after", method="POST", path="/v1/customers$")
    made = patient.v1.customers.create({"name": "Once"})
    assert [customer.id for customer in patient.v1.customers.list().data] == [made.id]


def test_many_clients_at_once_pay_an_invoice_once(
    sandbox: SandboxServer, client: stripe.StripeClient, control: Control, failing: Any
) -> None:
    _, good, invoice = failing()
    outcomes: list[str] = []

    def pay() -> None:
        own = stripe.StripeClient(SECRET_KEY, base_addresses={"api": sandbox.url}, max_network_retries=0)
        try:
            own.v1.invoices.pay(invoice.id, {"payment_method": good.id})
            outcomes.append("paid")
        except stripe.InvalidRequestError as refused:
            outcomes.append(refused.code or "")

    threads = [threading.Thread(target=pay) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["invoice_already_paid"] * 7 + ["paid"]
    assert control("ledger")["double_charges"] == []
