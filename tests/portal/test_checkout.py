"""Paying with the stored card: each press charges each invoice once, whatever the browser does."""

from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from billing.models import AttemptStatus, Invoice, PaymentAttempt
from customers.models import Interaction
from portal.checkout import ABANDONED, checkout_claim
from portal.models import Checkout
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def owed(stripe_world: Any) -> list[Invoice]:
    """Three unpaid invoices of one customer whose bank has changed its mind about the card."""
    rows: list[Invoice] = stripe_world.subscribed(3)
    stripe_world.bank_changes_its_mind(card_of(rows))
    return rows


def card_of(rows: list[Invoice]) -> Any:
    return rows[0].customer.payment_methods.get()


def form(rows: list[Invoice], **more: Any) -> dict[str, Any]:
    return {"key": "press-1", "card": card_of(rows).pk, "invoice": [row.pk for row in rows]} | more


def test_all_chosen_invoices_are_charged_each_once(
    client: Any, link_of: Any, stripe_world: Any, owed: list[Invoice]
) -> None:
    link = link_of(owed[0].customer)
    response = client.post(link.url + "pay/", form(owed), follow=True)
    assert response.redirect_chain[-1][0].startswith(f"/p/{link.token}/result/")
    body = response.content.decode()
    assert "Paid. Thank you!" in body
    assert "has received €147.00" in body
    assert "Your subscription Plan 2 is active." in body
    assert [stripe_world.charged(row) for row in owed] == [[4900]] * 3
    line = Interaction.objects.get(kind="portal.paid")
    assert (line.actor_kind, line.data["invoices"]) == ("customer", [row.pk for row in owed])
    assert "Nothing to pay. Thank you!" in client.get(link.url).content.decode()


def test_only_the_ticked_ones_are_charged(client: Any, link_of: Any, stripe_world: Any, owed: list[Invoice]) -> None:
    link = link_of(owed[0].customer)
    body = client.post(link.url + "pay/", form(owed, invoice=[owed[1].pk]), follow=True).content.decode()
    assert "has received €49.00" in body
    assert [stripe_world.charged(row) for row in owed] == [[], [4900], []]


def test_a_double_click_a_reload_and_a_way_back_charge_once(
    client: Any, link_of: Any, stripe_world: Any, owed: list[Invoice]
) -> None:
    link = link_of(owed[0].customer)
    before = stripe_world.tried()
    pages = {client.post(link.url + "pay/", form(owed[:1])).url for _ in range(3)}
    assert len(pages) == 1
    # Another press, by a page that was still open elsewhere.
    client.post(link.url + "pay/", form(owed[:1], key="press-2"))
    assert stripe_world.charged(owed[0]) == [4900]
    assert stripe_world.tried() == before + 1


def test_a_declined_card_is_said_in_plain_words_and_tried_once_per_press(
    client: Any, link_of: Any, stripe_world: Any
) -> None:
    rows = stripe_world.subscribed(1)
    link = link_of(rows[0].customer)
    before = stripe_world.tried()
    for _ in range(2):
        body = client.post(link.url + "pay/", form(rows), follow=True).content.decode()
    # Charged by hand only where words are missing: a code never reaches the customer.
    assert "The payment didn&#x27;t go through" in body
    assert "Your bank did not approve the payment" in body
    assert "generic_decline" not in body
    assert "Try another card" in body
    assert stripe_world.tried() == before + 1
    assert stripe_world.charged(rows[0]) == []
    assert not Interaction.objects.filter(kind="portal.paid").exists()


def test_one_decline_does_not_keep_the_others_from_being_paid(
    client: Any, link_of: Any, stripe_world: Any, owed: list[Invoice]
) -> None:
    with stripe_world.server.world.lock:
        stripe_world.server.world.get("invoice", owed[1].external_id)["status"] = "void"
    body = client.post(link_of(owed[0].customer).url + "pay/", form(owed), follow=True).content.decode()
    assert "Some of it is paid" in body
    assert "This one could not be charged just now" in body
    assert "has received €98.00" in body
    assert [stripe_world.charged(row) for row in owed] == [[4900], [], [4900]]


def test_an_answer_that_is_lost_is_waited_for_and_never_charged_again(
    client: Any, link_of: Any, stripe_world: Any, owed: list[Invoice]
) -> None:
    stripe_world.fault("reset_after")
    link = link_of(owed[0].customer)
    body = client.post(link.url + "pay/", form(owed[:1]), follow=True).content.decode()
    assert "One moment, please" in body
    assert 'http-equiv="refresh"' in body
    assert PaymentAttempt.objects.filter(invoice=owed[0], status=AttemptStatus.UNKNOWN).count() == 1
    assert "A payment is under way" in client.get(link.url).content.decode()
    client.post(link.url + "pay/", form(owed[:1], key="press-2"))
    assert stripe_world.charged(owed[0]) == [4900]


def test_the_networks_limit_is_said_in_words(client: Any, link_of: Any, owed: list[Invoice], monkeypatch: Any) -> None:
    monkeypatch.setattr("billing.charging.limit_reached", lambda *_args: "Enough for now.")
    body = client.post(link_of(owed[0].customer).url + "pay/", form(owed[:1]), follow=True).content.decode()
    assert "This card has been tried too often lately" in body


@pytest.mark.parametrize("case", ["no key", "nothing ticked", "another card", "foreign invoice", "disputed", "paid"])
def test_a_form_that_does_not_fit_the_page_charges_nothing(
    client: Any, link_of: Any, stripe_world: Any, owed: list[Invoice], case: str
) -> None:
    before = stripe_world.tried()
    foreign = factories.invoice(factories.customer())
    if case == "disputed":
        Invoice.objects.filter(pk=owed[0].pk).update(disputed_at=NOW)
    if case == "paid":
        Invoice.objects.filter(pk=owed[0].pk).update(status="paid", amount_paid=4900)
    changes: dict[str, dict[str, Any]] = {
        "no key": {"key": ""},
        "nothing ticked": {"invoice": []},
        "another card": {"card": 0},
        "foreign invoice": {"invoice": [foreign.pk]},
    }
    link = link_of(owed[0].customer)
    response = client.post(link.url + "pay/", form(owed[:1], **changes.get(case, {})))
    assert response.url == f"/p/{link.token}/"
    assert stripe_world.tried() == before
    assert not Checkout.objects.exists()


def test_a_result_is_shown_to_its_own_customer_only(client: Any, link_of: Any, owed: list[Invoice]) -> None:
    link = link_of(owed[0].customer)
    page = client.post(link.url + "pay/", form(owed)).url
    stranger = link_of(factories.customer())
    assert client.get(page.replace(link.token, stranger.token)).url == f"/p/{stranger.token}/"
    # Another mail's link of the same customer does.
    assert client.get(page.replace(link.token, link_of(owed[0].customer).token)).status_code == 200


def test_a_press_is_carried_out_by_one_and_taken_up_again_only_if_abandoned(link_of: Any) -> None:
    link = link_of(factories.customer()).link
    values = {"link": link, "key": "k", "kind": Checkout.Kind.STORED, "invoice_ids": [1]}
    assert checkout_claim(**values, now=NOW)[1]
    assert not checkout_claim(**values, now=NOW + timedelta(seconds=1))[1]
    later = NOW + ABANDONED
    assert checkout_claim(**values, now=later)[1]
    assert not checkout_claim(**values, now=later)[1]
    Checkout.objects.update(finished_at=later)
    assert not checkout_claim(**values, now=later + ABANDONED)[1]


def test_payments_are_limited_per_link(client: Any, link_of: Any) -> None:
    factories.account()
    link = link_of(factories.customer())
    codes = [client.post(link.url + "pay/", {"key": n}).status_code for n in range(13)]
    assert codes == [302] * 12 + [429]


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_the_same_moment_charge_once(link_of: Any, stripe_world: Any, settings: Any) -> None:
    settings.STRIPE_TIMEOUT = 10
    rows = stripe_world.subscribed(3)
    stripe_world.bank_changes_its_mind(card_of(rows))
    link, data = link_of(rows[0].customer), form(rows)
    start = Barrier(4)
    answers = []

    def press() -> None:
        start.wait()
        answers.append(Client().post(link.url + "pay/", data).url)
        connection.close()

    presses = [Thread(target=press) for _ in range(4)]
    for thread in presses:
        thread.start()
    for thread in presses:
        thread.join()
    assert len(answers) == 4
    assert len(set(answers)) == 1
    assert [stripe_world.charged(row) for row in rows] == [[4900]] * 3
    assert PaymentAttempt.objects.filter(status=AttemptStatus.SUCCEEDED).count() == 3
