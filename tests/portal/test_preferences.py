"""Language of our letters and the way to stop them."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from campaigns.links import LinkRequest
from campaigns.models import Message
from customers.consent import Evidence, Source, opt_in_record
from customers.models import ConsentEvent, Interaction, Suppression
from portal.links import links_for_mail
from portal.models import PortalLink
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def test_the_language_of_letters_is_saved_and_logged_once(client: Any, link_of: Any) -> None:
    customer = factories.customer(language="en")
    url = link_of(customer).url + "preferences/"
    for saved in ("Saved.", "Zapisano."):  # the page itself follows from the next visit on
        assert saved in client.post(url, {"language": "pl"}).content.decode()
    assert client.post(url, {"language": "tlh"}).status_code == 302
    customer.refresh_from_db()
    assert customer.language == "pl"
    assert Interaction.objects.filter(kind="portal.language_chosen", actor_kind="customer").count() == 1


def test_following_the_unsubscribe_link_changes_nothing(client: Any, link_of: Any) -> None:
    assert client.get(link_of(factories.customer()).url + "unsubscribe/").status_code == 200
    assert not Suppression.objects.exists()


def test_one_click_without_a_cookie_stops_mail_to_every_address_once(link_of: Any) -> None:
    customer = factories.customer(email="Boss@Example.com")
    factories.contact(customer, email="accounts@example.com")
    factories.contact(customer, email="gone@example.com", is_primary=False, active=False)
    Suppression.objects.create(channel="email", address="boss@example.com", reason="complaint", created_at=NOW)
    client = Client(enforce_csrf_checks=True)
    for _ in range(2):
        response = client.post(link_of(customer).url + "unsubscribe/", {"List-Unsubscribe": "One-Click"})
        assert response.status_code == 200
    assert sorted(Suppression.objects.values_list("address", "reason")) == [
        ("accounts@example.com", "opt_out"),
        ("boss@example.com", "complaint"),
    ]
    # Whoever complained is told in the register as well that they asked for it; the weightier reason stays.
    assert Interaction.objects.filter(kind="consent.withdrawn").count() == 2
    event = ConsentEvent.objects.get(address="accounts@example.com")
    assert (event.source, event.ip, event.language) == ("portal", "127.0.0.1", "en")
    assert event.wording_version.startswith("portal/unsubscribe.html:en:")


def mail(**fields: Any) -> Message:
    customer = factories.customer(email="Anna@Example.com", **fields)
    return factories.message(factories.case(customer), status="sent", sent_at=NOW)


def stop_url(message: Message) -> str:
    return links_for_mail([LinkRequest(message.pk, message.customer_id, message.brand_id)], NOW)[
        message.pk
    ].unsubscribe


def test_one_click_in_a_mail_program_refuses_the_address_of_that_mail_for_good() -> None:
    message = mail(language="it")
    factories.contact(message.customer, email="accounts@example.com")
    url = stop_url(message)
    client = Client(enforce_csrf_checks=True)
    page = client.get(url)
    assert page.status_code == 200
    assert not ConsentEvent.objects.exists()
    assert page["Cache-Control"] == "no-store"
    for _ in range(3):
        response = client.post(url, {"List-Unsubscribe": "One-Click"}, REMOTE_ADDR="192.0.2.9")
        assert response.status_code == 200
        assert not response.cookies
    event = ConsentEvent.objects.get()
    assert (event.address, event.source, event.ip) == ("anna@example.com", "one_click", "192.0.2.9")
    assert (event.message_ref, event.customer_id) == (message.key, message.customer_id)
    assert list(Suppression.objects.values_list("address", "reason")) == [("anna@example.com", "opt_out")]
    # Allowed again by a person, and refused once more by the same old mail.
    evidence = Evidence(Source.STAFF, text="rang us")
    opt_in_record(channel="email", address="anna@example.com", evidence=evidence, now=NOW + timedelta(hours=1))
    assert not Suppression.objects.filter(lifted_at=None).exists()


def test_a_refusal_can_be_made_after_the_payment_link_is_dead(client: Any) -> None:
    message = mail()
    url = stop_url(message)
    PortalLink.objects.update(revoked_at=NOW)
    assert client.post(url).status_code == 200
    assert ConsentEvent.objects.get().source == "portal"


@pytest.mark.parametrize(
    "change", [lambda s: s[:-1] + ("A" if s[-1] != "A" else "B"), lambda s: f"1{s}", lambda s: "x"]
)
def test_a_forged_sign_refuses_nothing(client: Any, change: Any) -> None:
    sign = stop_url(mail()).rstrip("/").rsplit("/", 1)[1]
    response = client.post(f"/p/stop/mail/{change(sign)}/", {"List-Unsubscribe": "One-Click"})
    assert response.status_code == 404
    assert not ConsentEvent.objects.exists()


def test_the_sign_is_not_kept_with_the_stored_text() -> None:
    message = mail()
    links = links_for_mail([LinkRequest(message.pk, message.customer_id, message.brand_id)], NOW)[message.pk]
    assert links.redact(links.unsubscribe).endswith("/p/stop/mail/…/")


def test_who_stopped_the_mails_can_have_them_back(client: Any, link_of: Any) -> None:
    customer = factories.customer(email="anna@example.com")
    url = link_of(customer).url
    client.post(url + "unsubscribe/")
    assert "Write to me again" in client.get(url + "preferences/").content.decode()
    assert client.post(url + "preferences/", {"again": "1"}).status_code == 302
    assert "Write to me again" not in client.get(url + "preferences/").content.decode()
    assert not Suppression.objects.filter(lifted_at=None).exists()
    assert [row.decision for row in ConsentEvent.objects.order_by("id")] == ["withdrawn", "granted"]
    Suppression.objects.create(channel="email", address="anna@example.com", reason="hard_bounce", created_at=NOW)
    assert "None are sent to your address" in client.get(url + "preferences/").content.decode()


def test_other_forms_need_the_csrf_token(link_of: Any) -> None:
    url = link_of(factories.customer()).url
    client = Client(enforce_csrf_checks=True)
    for path in ("pay/", "card/intent/", "card/done/", "preferences/"):
        response = client.post(url + path)
        assert response.status_code == 403
        assert "Please open the page again" in response.content.decode()
    assert "CSRF verification failed" in client.post("/admin/login/").content.decode()
