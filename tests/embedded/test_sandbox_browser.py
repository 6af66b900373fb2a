"""The stand-in for Stripe.js works in a real browser: fields, refusals, authentication."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe
from playwright.sync_api import Page, sync_playwright

from dunning_site.embedded.stripe_sandbox import SandboxServer
from tests import chromium

from .conftest import PUBLISHABLE_KEY

PAGE = """<!doctype html><html lang="en"><title>Card</title><script src="{url}/v3/"></script>
<form id="form"><div id="card"></div><button>Save card</button></form><p id="result" role="status"></p>
<script>
const stripe = Stripe("{key}");
const elements = stripe.elements({{clientSecret: "{secret}", appearance: {{}}, locale: "{locale}"}});
elements.create("payment").mount("#card");
document.getElementById("form").addEventListener("submit", async (event) => {{
  event.preventDefault();
  const answer = await stripe.confirmSetup(
    {{elements, confirmParams: {{return_url: location.href}}, redirect: "if_required"}});
  document.getElementById("result").textContent =
    answer.error ? "refused: " + (answer.error.decline_code || answer.error.code) : answer.setupIntent.status;
}});
</script></html>"""

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium.executable(), args=["--no-sandbox"])
        opened = browser.new_page()
        opened.set_default_timeout(5000)
        yield opened
        browser.close()


@pytest.fixture
def portal() -> Iterator[Any]:
    """Another origin on loopback that serves one page; a made-up host would be kept from loopback by the browser."""

    class Handler(BaseHTTPRequestHandler):
        html = b""

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(Handler.html)

        def log_message(self, format: str, *args: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield Handler, f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def form(sandbox: SandboxServer, client: stripe.StripeClient, page: Page, portal: Any) -> Any:
    handler, address = portal

    def show(locale: str = "en") -> str:
        customer = client.v1.customers.create({"email": "ann@example.com"})
        intent = client.v1.setup_intents.create({"customer": customer.id})
        html = PAGE.format(url=sandbox.url, key=PUBLISHABLE_KEY, secret=intent.client_secret, locale=locale)
        handler.html = html.encode()
        page.goto(address)
        return customer.id

    return show


def fill(page: Page, number: str) -> None:
    page.get_by_label("Card number").fill(number)
    page.get_by_label("Expiration date").fill("12 / 34")
    page.get_by_label("Security code").fill("123")
    page.get_by_role("button", name="Save card").click()


@pytest.mark.parametrize(
    ("number", "result"),
    [
        ("4242 4242 4242 4242", "succeeded"),
        ("4000 0000 0000 9995", "refused: insufficient_funds"),
        ("4242 4242 4242 4241", "refused: incorrect_number"),
        ("4242", "refused: incomplete_number"),
    ],
)
def test_a_card_is_typed(form: Any, page: Page, number: str, result: str) -> None:
    form()
    fill(page, number)
    page.get_by_text(result, exact=True).wait_for(timeout=5000)


@pytest.mark.parametrize(
    ("button", "result"),
    [
        ("Complete authentication", "succeeded"),
        ("Fail authentication", "refused: setup_intent_authentication_failure"),
    ],
)
def test_a_bank_asks_who_is_there(form: Any, page: Page, button: str, result: str) -> None:
    form()
    fill(page, "4000 0025 0000 3155")
    page.get_by_role("button", name=button).click()
    page.get_by_text(result, exact=True).wait_for(timeout=5000)


def test_the_new_card_belongs_to_the_customer(form: Any, page: Page, client: stripe.StripeClient) -> None:
    customer = form()
    fill(page, "5555 5555 5555 4444")
    page.get_by_text("succeeded", exact=True).wait_for(timeout=5000)
    assert [card.card.brand for card in client.v1.payment_methods.list({"customer": customer}).data] == ["mastercard"]


def test_labels_follow_the_language(form: Any, page: Page) -> None:
    form("it")
    assert page.get_by_label("Numero di carta").is_visible()
