"""The portal in a real browser: from the link in the mail to the thank-you page, with the sandbox's card form."""

from typing import Any

import pytest
from playwright.sync_api import expect

from billing.models import PaymentMethod
from customers import clock
from customers.models import Interaction
from portal import links

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def link_of(customer: Any) -> str:
    return links.link_create(customer_id=customer.pk, brand_id=customer.brand_id, now=clock.now()).url


def enter_card(page: Any, number: str) -> None:
    page.get_by_label("Card number").fill(number)
    page.get_by_label("Expiration date").fill("12 / 31")
    page.get_by_label("Security code").fill("123")


def test_from_the_failed_invoice_over_a_new_card_to_thank_you(site: Any, open_page: Any) -> None:
    (invoice,) = site.subscribed(1, name="Giulia Ferrari")
    page = open_page()
    page.goto(link_of(invoice.customer))
    expect(page.get_by_role("heading", level=1)).to_have_text("Your payment didn't go through")
    expect(page.get_by_text("Hello Giulia Ferrari")).to_be_visible()
    expect(page.get_by_text(invoice.number)).to_be_visible()
    page.get_by_role("link", name="Pay with a new card").click()
    enter_card(page, "4242 4242 4242 4242")
    page.get_by_role("button", name="Pay €49.00").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Paid. Thank you!")
    expect(page.get_by_text("Your subscription Plan 1 is active.")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Paid. Thank you!")
    page.get_by_role("link", name="See what is open").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing to pay. Thank you!")
    assert site.charged(invoice) == [4900]
    assert PaymentMethod.objects.get(customer=invoice.customer, is_default=True).last4 == "4242"
    kinds = set(Interaction.objects.filter(customer=invoice.customer).values_list("kind", flat=True))
    assert {"portal.visited", "portal.card_updated", "portal.paid", "attempt.succeeded"} <= kinds


def test_what_the_bank_refuses_is_said_and_the_next_card_pays(site: Any, open_page: Any) -> None:
    (invoice,) = site.subscribed(1)
    page = open_page()
    page.goto(link_of(invoice.customer) + "card/")
    enter_card(page, "4000 0000 0000 0002")
    pay = page.get_by_role("button", name="Pay €49.00")
    pay.click()
    # Refused while it is stored: the form says so and can be used again.
    expect(page.get_by_role("alert")).to_contain_text("declined")
    enter_card(page, "4000 0000 0000 0341")
    pay.click()
    # Stored, but declined when charged.
    expect(page.get_by_role("heading", level=1)).to_have_text("The payment didn't go through")
    page.get_by_role("link", name="Try another card").click()
    enter_card(page, "4242 4242 4242 4242")
    page.get_by_role("button", name="Pay €49.00").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text("Paid. Thank you!")
    assert site.charged(invoice) == [4900]


def test_a_card_whose_bank_asks_is_confirmed_in_the_browser(site: Any, open_page: Any) -> None:
    (invoice,) = site.subscribed(1)
    page = open_page()
    page.goto(link_of(invoice.customer) + "card/")
    enter_card(page, "4000 0025 0000 3155")
    page.get_by_role("button", name="Pay €49.00").click()
    page.get_by_role("button", name="Complete authentication").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Paid. Thank you!")
    assert site.charged(invoice) == [4900]


def test_without_javascript_the_stored_card_pays_the_ticked_invoices(site: Any, open_page: Any) -> None:
    first, second = site.subscribed(2)
    site.bank_changes_its_mind(first.customer.payment_methods.get())
    type(first).objects.update(last_decline_category="insufficient_funds")
    page = open_page(java_script_enabled=False)
    page.goto(link_of(first.customer))
    page.get_by_label("Plan 2").uncheck()
    page.get_by_role("button", name="Pay the chosen invoices now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Paid. Thank you!")
    assert (site.charged(first), site.charged(second)) == ([4900], [])
    page.goto(link_of(first.customer) + "card/")
    expect(page.get_by_text("needs JavaScript")).to_be_visible()
    expect(page.get_by_role("link", name="Plan 2 · €49.00")).to_have_attribute("href", second.hosted_url)


@pytest.mark.parametrize("width", [320, 360, 1200])
def test_long_names_and_many_currencies_fit(site: Any, open_page: Any, width: int) -> None:
    rows = site.subscribed(
        3, name="Przedsiębiorstwo Handlowo-Usługowe Wszechświat-Międzynarodowy Sp. z o.o.", language="it"
    )
    rows[1].subscription.plan_name = "Donaudampfschifffahrtsgesellschaftskapitänspatentverlängerung " * 2
    rows[1].subscription.save()
    type(rows[2]).objects.filter(pk=rows[2].pk).update(currency="JPY", amount_due=123_456_789)
    page = open_page(width=width)
    for path in ("", "card/", "preferences/", "unsubscribe/"):
        page.goto(link_of(rows[0].customer) + path)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_everything_can_be_reached_and_seen_from_the_keyboard(site: Any, open_page: Any) -> None:
    rows = site.subscribed(2)
    page = open_page()
    page.goto(link_of(rows[0].customer))
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        name, outlined = page.evaluate(
            "() => { const e = document.activeElement;"
            " return [(e.labels?.[0] ?? e).textContent.trim(), getComputedStyle(e).outlineStyle !== 'none'] }"
        )
        assert outlined, name
        reached.append(name)
        if name == "Contact preferences":
            break
    for wanted in ("Skip to the content", "Italiano", "Pay with a new card", "Plan 1", "Plan 2", "Invoice as PDF"):
        assert wanted in reached


def test_a_card_form_that_cannot_load_offers_the_invoices_own_page(site: Any, open_page: Any, settings: Any) -> None:
    (invoice,) = site.subscribed(1)
    settings.STRIPE_JS_URL = "http://127.0.0.1:9/v3/"
    page = open_page()
    page.goto(link_of(invoice.customer) + "card/")
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
    expect(page.get_by_role("link", name="Plan 1 · €49.00")).to_have_attribute("href", invoice.hosted_url)
