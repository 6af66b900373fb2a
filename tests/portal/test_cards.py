"""A new card: taken over once, only from its own customer, and everything owed is charged with it."""

from typing import Any

import pytest

from billing.models import Invoice, PaymentMethod
from customers.models import Customer, Interaction
from portal.models import Checkout
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def owed(stripe_world: Any) -> list[Invoice]:
    rows: list[Invoice] = stripe_world.subscribed(3)
    return rows


def begin(client: Any, link: Any) -> str:
    response = client.post(link.url + "card/intent/")
    assert response.status_code == 200
    return str(response.json()["client_secret"])


def done(client: Any, link: Any, setup_intent: str) -> Any:
    return client.post(link.url + "card/done/", {"setup_intent": setup_intent})


def test_a_new_card_pays_everything_and_becomes_the_default_everywhere(
    client: Any, link_of: Any, stripe_world: Any, owed: list[Invoice]
) -> None:
    customer = owed[0].customer
    old = customer.payment_methods.get()
    link = link_of(customer)
    setup_intent = stripe_world.confirm(begin(client, link))
    response = done(client, link, setup_intent)
    body = client.get(response.url).content.decode()
    assert "Paid. Thank you!" in body
    assert "has received €147.00" in body
    assert [stripe_world.charged(row) for row in owed] == [[4900]] * 3
    new = PaymentMethod.objects.get(customer=customer, is_default=True)
    assert (new.last4, new.brand, new.exp_year) == ("4242", "visa", 2031)
    old.refresh_from_db()
    assert not old.is_default
    world = stripe_world.server.world
    theirs = world.get("customer", customer.external_id)
    assert theirs["invoice_settings"]["default_payment_method"] == new.external_id
    for row in owed:
        theirs = world.get("subscription", row.subscription.external_id)
        assert (theirs["default_payment_method"], theirs["status"]) == (new.external_id, "active")
    assert Interaction.objects.filter(kind="portal.card_updated", actor_kind="customer").count() == 1
    assert Interaction.objects.filter(kind="portal.paid", actor_kind="customer").count() == 1
    customer.refresh_from_db()
    assert customer.reassess_at == NOW


def test_reload_double_submit_and_the_banks_redirect_charge_once(
    client: Any, link_of: Any, stripe_world: Any, owed: list[Invoice]
) -> None:
    link = link_of(owed[0].customer)
    setup_intent = stripe_world.confirm(begin(client, link))
    before = stripe_world.tried()
    pages = {done(client, link, setup_intent).url for _ in range(2)}
    back = client.get(link.url + "card/done/", {"setup_intent": setup_intent, "redirect_status": "succeeded"})
    assert pages == {back.url}
    assert [stripe_world.charged(row) for row in owed] == [[4900]] * 3
    assert stripe_world.tried() == before + 3
    assert PaymentMethod.objects.filter(customer=owed[0].customer).count() == 2


def test_somebody_elses_setup_intent_is_refused(
    client: Any, link_of: Any, stripe_world: Any, owed: list[Invoice]
) -> None:
    victim = link_of(owed[0].customer)
    thief_owes = stripe_world.subscribed(1)
    thief = link_of(thief_owes[0].customer)
    setup_intent = stripe_world.confirm(begin(client, victim))
    before = stripe_world.tried()
    response = done(client, thief, setup_intent)
    assert response.status_code == 400
    assert "did not confirm this card" in response.content.decode()
    assert stripe_world.tried() == before
    assert PaymentMethod.objects.filter(customer=thief_owes[0].customer).count() == 1
    assert not Checkout.objects.exists()


@pytest.mark.parametrize("case", ["not confirmed", "unknown", "not an id"])
def test_a_card_that_was_not_confirmed_changes_nothing(
    client: Any, link_of: Any, stripe_world: Any, owed: list[Invoice], case: str
) -> None:
    link = link_of(owed[0].customer)
    setup_intent = begin(client, link).split("_secret_")[0]
    if case == "unknown":
        setup_intent = "seti_unknown"
    if case == "not an id":
        setup_intent = "seti_../../customers"
    before = stripe_world.tried()
    response = done(client, link, setup_intent)
    assert response.status_code == (302 if case == "not an id" else 400)
    assert stripe_world.tried() == before
    assert PaymentMethod.objects.count() == 1
    assert not Checkout.objects.exists()


def test_a_new_card_that_is_declined_is_kept_and_another_one_offered(
    client: Any, link_of: Any, stripe_world: Any, owed: list[Invoice]
) -> None:
    link = link_of(owed[0].customer)
    setup_intent = stripe_world.confirm(begin(client, link), number="4000000000000341")
    body = client.get(done(client, link, setup_intent).url).content.decode()
    assert "The payments didn&#x27;t go through" in body
    assert "Try another card" in body
    again = stripe_world.confirm(begin(client, link))
    assert "Paid. Thank you!" in client.get(done(client, link, again).url).content.decode()
    assert [stripe_world.charged(row) for row in owed] == [[4900]] * 3


def test_with_nothing_owed_the_card_is_just_saved(client: Any, link_of: Any, stripe_world: Any) -> None:
    customer = stripe_world.owing().customer
    Invoice.objects.update(status="void")
    link = link_of(customer)
    body = client.get(done(client, link, stripe_world.confirm(begin(client, link))).url).content.decode()
    assert "Your card is saved" in body
    assert customer.payment_methods.get(is_default=True).last4 == "4242"


def test_disputed_and_planned_invoices_are_left_alone(
    client: Any, link_of: Any, stripe_world: Any, owed: list[Invoice]
) -> None:
    Invoice.objects.filter(pk=owed[0].pk).update(disputed_at=NOW)
    Invoice.objects.filter(pk=owed[1].pk).update(in_plan=True)
    link = link_of(owed[0].customer)
    done(client, link, stripe_world.confirm(begin(client, link)))
    assert [stripe_world.charged(row) for row in owed] == [[], [], [4900]]


def test_a_card_that_cannot_be_made_default_still_pays(
    client: Any, link_of: Any, stripe_world: Any, owed: list[Invoice]
) -> None:
    link = link_of(owed[0].customer)
    setup_intent = stripe_world.confirm(begin(client, link))
    stripe_world.fault("server_error", path="/v1/customers/[^/]+$")
    body = client.get(done(client, link, setup_intent).url).content.decode()
    assert "Paid. Thank you!" in body


def test_a_processor_out_of_reach_is_said_and_nothing_is_lost(
    client: Any, link_of: Any, stripe_world: Any, owed: list[Invoice], settings: Any
) -> None:
    link = link_of(owed[0].customer)
    setup_intent = stripe_world.confirm(begin(client, link))
    working, settings.STRIPE_API_BASE = settings.STRIPE_API_BASE, "http://127.0.0.1:9"
    assert client.post(link.url + "card/intent/").status_code == 503
    response = done(client, link, setup_intent)
    assert response.status_code == 503
    assert "does not answer just now" in response.content.decode()
    settings.STRIPE_API_BASE = working
    assert "Paid. Thank you!" in client.get(done(client, link, setup_intent).url).content.decode()


def test_a_customer_without_a_processor_is_shown_the_invoices_instead(client: Any, link_of: Any) -> None:
    customer: Customer = factories.customer(source="manual", external_id=None)
    factories.invoice(customer, source="manual")
    link = link_of(customer)
    assert client.get(link.url + "card/").url == f"/p/{link.token}/"
    assert client.post(link.url + "card/intent/").status_code == 503
    assert "as stated on the invoice" in client.get(link.url).content.decode()


def test_the_card_page_lets_in_the_processors_script_and_nothing_else(
    client: Any, link_of: Any, settings: Any
) -> None:
    factories.account()
    settings.STRIPE_JS_URL = "https://js.stripe.com/v3/"
    settings.STRIPE_API_BASE = "https://api.stripe.com"
    customer = factories.customer()
    factories.invoice(customer)
    policy = client.get(link_of(customer).url + "card/")["Content-Security-Policy"]
    assert "script-src 'self' https://js.stripe.com https://*.js.stripe.com;" in policy
    assert "connect-src 'self' https://js.stripe.com https://api.stripe.com;" in policy
    assert "frame-src https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com" in policy
    assert "unsafe" not in policy
