"""Paying later on the customer's page, in a browser without script: a plan is agreed on and paid, a day promised."""

from typing import Any

import pytest
from playwright.sync_api import expect

from billing.charging import charge_due
from billing.models import PaymentPlan, Promise
from customers import clock
from tests import factories
from tests.browser.test_portal import link_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_plan_is_chosen_agreed_on_and_its_first_part_paid(site: Any, open_page: Any) -> None:
    first, second = site.subscribed(2, name="Giulia Ferrari")
    site.bank_changes_its_mind(first.customer.payment_methods.get())
    type(first).objects.update(last_decline_category="insufficient_funds")
    page = open_page(width=390, java_script_enabled=False)
    page.goto(link_of(first.customer))
    expect(page.get_by_role("heading", name="Can't pay it all now?")).to_be_visible()
    page.get_by_role("link", name="Pay in parts").click()
    page.get_by_role("link", name="Choose 2 payments of €49.00").first.click()
    expect(page.get_by_text("to charge each part to my card")).to_be_visible()
    page.get_by_label("I agree to pay €98.00").check()
    page.get_by_role("button", name="Agree on the plan").click()
    expect(page.get_by_role("heading", name="Your payment plan")).to_be_visible()
    plan = PaymentPlan.objects.get()
    assert (plan.amount, plan.instalments.count(), "€49.00" in plan.consent) == (9800, 2, True)
    assert set(plan.invoices.all()) == {first, second}
    page.get_by_role("button", name="Pay €49.00 with").click()
    expect(page.get_by_text("Being processed")).to_be_visible()
    charge_due(now=clock.now(), limit=10)
    page.reload()
    expect(page.get_by_text("Paid", exact=True)).to_be_visible()
    assert site.charged(first) + site.charged(second) == [4900]
    page.go_back()
    assert PaymentPlan.objects.count() == 1


def test_where_the_amount_is_the_obstacle_the_mails_link_leads_to_the_parts(site: Any, open_page: Any) -> None:
    (invoice,) = site.subscribed(1)
    type(invoice).objects.update(last_decline_category="insufficient_funds")
    for _ in range(2):
        factories.attempt(invoice, payment_method=invoice.customer.payment_methods.get(), at=clock.now())
    page = open_page(width=390, java_script_enabled=False)
    page.goto(f"{link_of(invoice.customer)}#parts")
    pay_in_parts = page.get_by_role("link", name="Pay in parts")
    expect(pay_in_parts).to_be_in_viewport()
    whole = page.get_by_role("button", name="Pay €49.00 now")
    above, below = pay_in_parts.bounding_box(), whole.bounding_box()
    assert above["y"] < below["y"]
    pay_in_parts.click()
    page.get_by_role("link", name="Choose 2 payments of €24.50").first.click()
    expect(page.get_by_label("I agree to pay €49.00")).to_be_visible()


def test_a_day_is_promised(site: Any, open_page: Any) -> None:
    (invoice,) = site.subscribed(1)
    type(invoice).objects.update(last_decline_category="insufficient_funds")
    page = open_page(width=390, java_script_enabled=False)
    page.goto(link_of(invoice.customer))
    page.get_by_role("link", name="Tell us when you will pay").click()
    field = page.get_by_label("By this day")
    last = field.get_attribute("max")
    field.fill(last)
    page.get_by_role("button", name="I will pay by this day").click()
    expect(page.get_by_text("You told us you will pay by")).to_be_visible()
    assert str(Promise.objects.get().promised_on) == last


@pytest.mark.parametrize("width", [320, 1200])
def test_the_pages_fit(site: Any, open_page: Any, width: int) -> None:
    rows = site.subscribed(2, name="Przedsiębiorstwo Handlowo-Usługowe", language="pl")
    type(rows[0]).objects.update(last_decline_category="insufficient_funds")
    page = open_page(width=width)
    for path in ("", "plan/", "plan/?plan=EUR-month-3", "promise/"):
        page.goto(link_of(rows[0].customer) + path)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
