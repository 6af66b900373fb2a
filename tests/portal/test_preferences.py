"""Language of our letters and the way to stop them."""

from typing import Any

import pytest
from django.test import Client

from customers.models import Interaction, Suppression
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def test_the_language_of_letters_is_saved_and_logged_once(client: Any, link_of: Any) -> None:
    customer = factories.customer(language="en")
    url = link_of(customer).url + "preferences/"
    for _ in range(2):
        assert "Saved." in client.post(url, {"language": "pl"}).content.decode()
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
    assert Interaction.objects.filter(kind="portal.unsubscribed").count() == 1


def test_other_forms_need_the_csrf_token(link_of: Any) -> None:
    url = link_of(factories.customer()).url
    client = Client(enforce_csrf_checks=True)
    for path in ("pay/", "card/intent/", "card/done/", "preferences/"):
        response = client.post(url + path)
        assert response.status_code == 403
        assert "Please open the page again" in response.content.decode()
    assert "CSRF verification failed" in client.post("/admin/login/").content.decode()
