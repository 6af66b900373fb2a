"""The life of the sandbox: its process, its state on disk, its pages, its pace."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import stripe

from dunning_site.embedded.stripe_sandbox import SandboxServer

from .conftest import SECRET_KEY, Control


def test_the_world_survives_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "stripe.json"
    with SandboxServer(state=state, delivery="hold") as first:
        client = stripe.StripeClient(SECRET_KEY, base_addresses={"api": first.url})
        customer = client.v1.customers.create({"name": "A"}, {"idempotency_key": "k"})
        product = client.v1.products.create({"name": "P"})
        price = client.v1.prices.create(
            {"product": product.id, "unit_amount": 100, "currency": "eur", "recurring": {"interval": "day"}}
        )
        card = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
        subscription = client.v1.subscriptions.create(
            {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": card.id}
        )
        events = first.world.events
        old_url = first.url
    with SandboxServer(state=state) as second:
        client = stripe.StripeClient(SECRET_KEY, base_addresses={"api": second.url})
        assert client.v1.customers.create({"name": "A"}, {"idempotency_key": "k"}).id == customer.id
        assert client.v1.customers.create({"name": "B"}).id != customer.id
        invoice = client.v1.invoices.list().data[0]
        assert (invoice.status, invoice.parent.subscription_details.subscription) == ("paid", subscription.id)  # type: ignore[union-attr]
        assert old_url == second.url or old_url not in (invoice.hosted_invoice_url or "")
        assert set(events) <= set(second.world.events)
        assert [what for _, _, what, _ in second.world.due] == ["period"]
        assert second.world.settings["delivery"] == "hold"


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "stripe.json"
    state.write_text('{"version": 0}')
    with pytest.raises(ValueError, match="another version"):
        SandboxServer(state=state)


def test_it_runs_as_a_process_and_stops_cleanly(tmp_path: Path) -> None:
    port_file, state = tmp_path / "port", tmp_path / "state.json"
    command = [sys.executable, "-m", "dunning_site.embedded.stripe_sandbox"]
    command += ["--port", "0", "--port-file", str(port_file), "--state", str(state), "--seed", "7"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "Stripe sandbox at" in process.stdout.readline()
        client = stripe.StripeClient(SECRET_KEY, base_addresses={"api": f"http://127.0.0.1:{port_file.read_text()}"})
        client.v1.customers.create({"name": "A"})
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert json.loads(state.read_text())["tables"]["customer"][0]["name"] == "A"
    assert not os.path.exists(f"{state}.new")


def test_the_same_seed_gives_the_same_identities() -> None:
    def ids(seed: int) -> list[str]:
        with SandboxServer(seed=seed) as server:
            client = stripe.StripeClient(SECRET_KEY, base_addresses={"api": server.url})
            return [client.v1.customers.create({}).id for _ in range(3)]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)


def test_a_customer_pays_on_the_hosted_page(client: stripe.StripeClient, failing: Any) -> None:
    _, _, invoice = failing()
    page = urllib.request.urlopen(invoice.hosted_invoice_url).read().decode()
    assert "20.00 EUR" in page

    def post(number: str) -> tuple[int, str]:
        form = urllib.parse.urlencode({"number": number}).encode()
        try:
            with urllib.request.urlopen(invoice.hosted_invoice_url, data=form) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    assert post("4242 4242 4242 4241")[0] == 402
    status, text = post("4000000000009995")
    assert status == 402
    assert "insufficient funds" in text
    assert post("4242 4242 4242 4242")[0] == 200
    assert client.v1.invoices.retrieve(invoice.id).status == "paid"


def test_the_pdf_is_one(failing: Any) -> None:
    _, _, invoice = failing()
    with urllib.request.urlopen(invoice.invoice_pdf) as answer:
        assert answer.headers["Content-Type"] == "application/pdf"
        raw = answer.read()
    assert raw.startswith(b"%PDF-1.4")
    start = int(raw.split(b"startxref\n")[1].split(b"\n")[0])
    assert raw[start : start + 4] == b"xref"
    for number, line in enumerate(raw[start:].split(b"\n")[3:8], 1):
        offset = int(line[:10])
        assert raw[offset:].startswith(b"%d 0 obj" % number)


@pytest.mark.parametrize("path", ["/v1/nothing", "/nothing", "/_sandbox/nothing", "/i/nothing"])
def test_an_unknown_address_is_404(sandbox: SandboxServer, path: str) -> None:
    request = urllib.request.Request(sandbox.url + path, headers={"Authorization": f"Bearer {SECRET_KEY}"})
    with pytest.raises(urllib.error.HTTPError) as absent:
        urllib.request.urlopen(request)
    with absent.value as answer:
        assert answer.code == 404


def test_requests_are_quick_among_thousands_of_objects(
    sandbox: SandboxServer, control: Control, price: stripe.Price
) -> None:
    """Nagle's algorithm on a kept connection costs 40 ms a request; a list that scans costs as much later."""
    now = control("clock")["now"]
    made = control(
        "seed",
        customers=[
            {
                "email": f"{number}@example.com",
                "cards": [{"token": "pm_card_visa"}],
                "subscriptions": [{"price": price.id, "started": now - number % 28 * 86_400}],
            }
            for number in range(500)
        ],
    )
    control("clock", advance=62 * 86_400)
    assert control("status")["objects"]["invoice"] >= 1000
    some = made["customers"][250]["id"]
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"))
    took = []
    for path in [f"/v1/invoices?customer={some}&status=open", "/v1/invoices?status=open&limit=10"] * 50:
        begun = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {SECRET_KEY}"})
        assert connection.getresponse().read().startswith(b'{"object":"list"')
        took.append(time.perf_counter() - begun)
    connection.close()
    assert sorted(took)[50] < 0.010
