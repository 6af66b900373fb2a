"""Notices in the merchant's product and on the payment page."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.test import Client

from campaigns.delivery import DeliverResult, deliver_due
from campaigns.models import Case, Message
from customers.models import Customer, Interaction
from portal.feed import AUDIENCE
from portal.models import PortalLink
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db

SECRET = "feed-secret-of-at-least-32-bytes!"


@pytest.fixture(autouse=True)
def _feed(settings: Any) -> None:
    settings.FEED_SECRETS = ["a-newer-secret-of-32-bytes-length", SECRET]
    settings.FEED_ORIGINS = ["https://app.acme.example"]
    settings.CUSTOMER_LINKS = "tests.campaigns.links.links_for_mail"


def noticed(customer: Customer | None = None) -> Message:
    template = factories.template("notice")
    if not template.versions.get().texts.filter(channel="in_app").exists():
        factories.text(
            template,
            "in_app",
            compiled_text="{{ customer.name }}, something is open. Pay: {{ links.pay }}",  # fmt: skip
        )
    message = factories.message(
        factories.case(customer or factories.customer()),
        channel="in_app", recipient="", template_version=template.versions.get(),
    )  # fmt: skip
    assert deliver_due(now=NOW).sent == 1
    return message


def token(customer: Customer, *, secret: str = SECRET, **claims: Any) -> str:
    whole = {
        "aud": AUDIENCE, "sub": customer.external_id, "src": "stripe", "exp": int(NOW.timestamp()) + 3600,
    } | claims  # fmt: skip
    return jwt.encode({k: v for k, v in whole.items() if v is not None}, secret, algorithm="HS256")


def bearer(customer: Customer, **options: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(customer, **options)}"}


def test_a_notice_is_shown_once_sent_without_its_secret_link() -> None:
    message = noticed()
    assert deliver_due(now=NOW + timedelta(days=1)) == DeliverResult()  # runs twice, acts once
    other = noticed()
    answer = Client().get("/feed/notices/", headers=bearer(message.customer))
    assert answer.status_code == 200
    (notice,) = answer.json()["notices"]
    assert notice["id"] == message.pk != other.pk
    assert notice["subject"] == "About your invoice"
    assert notice["text"] == f"{message.customer.name}, something is open."
    assert notice["seen"] is False
    assert answer["Cache-Control"] == "no-store"


def test_seen_and_dismissed_are_noted_once() -> None:
    message = noticed()
    client, headers = Client(enforce_csrf_checks=True), bearer(message.customer)
    for new in (True, False):
        assert client.post(f"/feed/notices/{message.pk}/seen/", headers=headers).json() == {"new": new}
    message.refresh_from_db()
    assert (message.status, message.first_opened_at) == ("opened", NOW)
    assert Interaction.objects.get(kind="message.opened").actor_kind == "customer"
    assert client.get("/feed/notices/", headers=headers).json()["notices"][0]["seen"] is True
    for new in (True, False):
        assert client.post(f"/feed/notices/{message.pk}/dismiss/", headers=headers).json() == {"new": new}
    assert client.get("/feed/notices/", headers=headers).json() == {"notices": []}
    assert Interaction.objects.filter(kind="notice.dismissed").count() == 1


def test_nobody_reaches_another_customers_notice() -> None:
    message, stranger = noticed(), factories.customer()
    for what in ("seen", "dismiss"):
        answer = Client().post(f"/feed/notices/{message.pk}/{what}/", headers=bearer(stranger))
        assert (answer.status_code, answer.json()) == (404, {"error": "no_such_notice"})


@pytest.mark.parametrize(
    "options",
    [
        {"secret": "another-secret-of-at-least-32-bytes"},
        {"aud": "something-else"},
        {"exp": int(NOW.timestamp()) - 1},
        {"exp": int(NOW.timestamp()) + 86_401},
        {"exp": None},
        {"sub": "cus_nobody"},
        {"sub": None},
        {"src": "import"},
    ],
)
def test_tokens_that_do_not_stand_are_refused(options: dict[str, Any]) -> None:
    message = noticed()
    assert Client().get("/feed/notices/", headers=bearer(message.customer, **options)).status_code == 401


def test_an_unsigned_token_and_none_are_refused(settings: Any) -> None:
    message = noticed()
    unsigned = jwt.encode(
        {"aud": AUDIENCE, "sub": message.customer.external_id, "exp": int(NOW.timestamp()) + 60},
        None,
        algorithm="none",
    )
    for headers in (
        {},
        {"Authorization": f"Bearer {unsigned}"},
        {"Authorization": f"Basic {token(message.customer)}"},
    ):
        assert Client().get("/feed/notices/", headers=headers).status_code == 401
    settings.FEED_SECRETS = []
    assert Client().get("/feed/notices/", headers=bearer(message.customer)).status_code == 401


def test_only_the_merchants_pages_may_read_it_from_a_browser() -> None:
    message = noticed()
    ask = {"Origin": "https://app.acme.example", "Access-Control-Request-Method": "GET"}
    assert Client().options("/feed/notices/", headers=ask)["Access-Control-Allow-Origin"] == "https://app.acme.example"
    other = {**bearer(message.customer), "Origin": "https://evil.example"}
    assert "Access-Control-Allow-Origin" not in Client().get("/feed/notices/", headers=other)


def test_the_button_gets_a_fresh_link_for_a_day() -> None:
    message = noticed()
    url = Client().post("/feed/link/", headers=bearer(message.customer)).json()["url"]
    assert "/p/" in url
    link = PortalLink.objects.latest("pk")
    assert (link.customer_id, link.expires_at) == (message.customer_id, NOW + timedelta(days=1))


def test_a_demand_goes_when_its_case_ends() -> None:
    message = noticed()
    message.case.state, message.case.closed_at, message.case.next_action_at = "recovered", NOW, None
    message.case.save()
    assert Client().get("/feed/notices/", headers=bearer(message.customer)).json() == {"notices": []}


@pytest.mark.parametrize("state", ["promised", "in_plan", "disputed", "paused"])
def test_a_demand_is_silent_while_its_case_rests(state: str) -> None:
    """Who has promised, or disputes, is not asked to pay each time they open the product."""
    message = noticed()
    Case.objects.update(state=state)
    assert Client().get("/feed/notices/", headers=bearer(message.customer)).json() == {"notices": []}
    Case.objects.update(state="open")
    assert len(Client().get("/feed/notices/", headers=bearer(message.customer)).json()["notices"]) == 1


def test_the_payment_page_shows_it_and_puts_it_away(client: Any, link_of: Any) -> None:
    message = noticed()
    url = link_of(message.customer).url
    page = client.get(url).content.decode()
    assert "About your invoice" in page
    message.refresh_from_db()
    assert message.status == "opened"
    assert client.post(f"{url}notice/{message.pk}/dismiss/").status_code == 302
    assert "About your invoice" not in client.get(url).content.decode()
