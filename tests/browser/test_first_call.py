"""A new collector's first call: from the list to a promise in five clicks; broken, it brings the customer back."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from billing.models import Promise
from campaigns.engine.assess import assess_customers
from campaigns.models import Case
from customers.clock import wall_clock
from customers.models import Interaction
from dunning_site.roles import roles_sync
from tests import factories as make

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class Clicks:
    """Counts what the collector presses."""

    def __init__(self, page: Any) -> None:
        self.page, self.count = page, 0

    def __call__(self, selector: str) -> None:
        self.page.click(selector)
        self.count += 1


def test_a_call_with_a_promise_takes_five_clicks_and_its_breach_brings_the_customer_back(
    open_page: Any, live_server: Any
) -> None:
    roles_sync()
    anna = User.objects.create_user("anna", "anna@example.com", "a-long-password", is_staff=True)
    anna.groups.add(Group.objects.get(name="collector"))
    now = wall_clock()
    customer = make.customer(name="Hanna Brzęczyszczykiewicz i Wspólnicy Sp. z o.o.", phone="+48221234567")
    invoice = make.invoice(customer, first_failed_at=now - timedelta(days=3), due_at=now - timedelta(days=3))
    case = make.case(customer, invoices=[invoice], next_action_at=now + timedelta(days=1))

    page = open_page(width=1440, height=900)
    page.goto(f"{live_server.url}/admin/campaigns/case/")
    page.fill("#id_username", "anna")
    page.fill("#id_password", "a-long-password")
    page.click("button[type=submit]")
    click = Clicks(page)
    click("#result_list tbody a[href*=change]")
    click("text=Log a call")
    page.wait_for_selector("[data-timer]:not([hidden])")
    # Only what the outcome asks for is there.
    assert not page.is_visible("#id_promise_amount")
    click("input[value=promised]")
    assert page.is_visible("#id_promise_amount")
    assert not page.is_visible("#id_dispute_reason")
    page.fill("textarea[name=text]", "Accounts payable pays on Friday.")
    click("form.sol-form button[type=submit]")
    page.wait_for_selector("text=nobody writes until the promise is due")
    assert click.count <= 5
    # The ladder visibly rests.
    assert "Promised" in page.inner_text(".sol-facts")
    promise = Promise.objects.get()
    assert promise.amount == invoice.balance

    assess_customers(now=promise.expires_at)
    broken = Case.objects.get(pk=case.pk)
    assert (broken.state, Promise.objects.get().status) == ("open", "broken")
    page.goto(f"{live_server.url}/admin/campaigns/case/{case.pk}/change/?tab=log")
    story = page.inner_text("#timeline")
    places = [story.index(words) for words in ("The promise to pay was broken", "Promise to pay", "Call: Promised")]
    assert places == sorted(places)
    assert Interaction.objects.filter(kind="call.logged").count() == 1
