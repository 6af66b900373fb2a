"""Staff on the payment page: seen as the customer sees it, used by nobody; links sent by hand."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.test import Client
from django.urls import reverse

from customers.clock import running_on
from customers.models import Suppression
from portal.models import PortalLink
from portal.viewing import NO_TOKEN
from tests import factories as make
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> User:
    user = User.objects.create_user("anna", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_customer", content_type__app_label="customers"))
    return user


def do(customer: Any, slug: str) -> str:
    return reverse("admin:customers_customer_do", args=[customer.pk, slug])


def test_staff_see_the_page_and_can_do_nothing(anna: User, client: Client) -> None:
    make.account()
    customer = make.customer(language="it", name="Società Rossi")
    make.payment_method(customer)
    invoice = make.invoice(customer, amount_due=123456)
    client.force_login(anna)
    assert client.post(do(customer, "portal-view")).status_code == 403
    anna.user_permissions.add(Permission.objects.get(codename="view_as_customer"))
    with running_on(lambda: NOW):
        assert "logged" in client.get(do(customer, "portal-view")).content.decode()
        assert not customer.interactions.exists()
        answer = client.post(do(customer, "portal-view"))
        client.post(do(customer, "portal-view"))
    page = answer.content.decode()
    assert invoice.number in page
    assert "1.234,56" in page
    assert 'class="viewing"' in page
    assert page.count(" inert") == 2
    assert "form-action 'none'" in answer["Content-Security-Policy"]
    assert not PortalLink.objects.exists()
    line = customer.interactions.get()
    assert (line.kind, line.actor) == ("portal.viewed_as", anna)


@pytest.mark.parametrize("name", ["pay", "pay-fees", "card-intent", "card-done", "preferences", "unsubscribe"])
def test_the_addresses_on_that_page_open_nothing(anna: User, client: Client, name: str) -> None:
    customer = make.customer()
    make.invoice(customer)
    client.force_login(anna)
    assert client.post(reverse(f"portal:{name}", args=[NO_TOKEN]), {"key": "x", "invoice": "1"}).status_code == 404


def test_a_link_is_sent_on_demand_and_only_where_one_may_write(anna: User, client: Client) -> None:
    anna.user_permissions.add(Permission.objects.get(codename="add_portallink"))
    client.force_login(anna)
    customer = make.customer(email="who@example.com")
    client.post(do(customer, "portal-send"))
    assert [m.to for m in mail.outbox] == [["who@example.com"]]
    line = customer.interactions.get(kind="portal.link_sent")
    assert (line.actor, line.channel) == (anna, "email")
    Suppression.objects.create(channel="email", address="who@example.com", reason="complaint", created_at=NOW)
    for refused in (customer, make.customer(do_not_contact=True), make.customer(email="")):
        client.post(do(refused, "portal-send"))
    assert len(mail.outbox) == 1
    assert PortalLink.objects.count() == 1
