"""A collector's first minutes: log in, find a customer, read the timeline, write a note, act on the case."""

from datetime import timedelta
from typing import Any

import pytest

from customers.clock import wall_clock
from customers.log import Entry, record_many
from tests import factories as make
from tests.browser.door import enter

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_collector_reads_the_timeline_and_writes_a_note(open_page: Any, live_server: Any) -> None:
    make.staff("collector", "anna")
    customer = make.customer(name="Hanna Brzęczyszczykiewicz i Wspólnicy Sp. z o.o.")
    case = make.case(customer)
    now = wall_clock()
    record_many(
        Entry(
            customer_id=customer.pk, at=now - timedelta(minutes=i), kind="attempt.declined", summary=f"Declined {i}."
        )
        for i in range(60)
    )
    page = open_page(width=1280, height=900)
    enter(page, f"{live_server.url}/admin/", "anna")
    page.wait_for_selector("[data-worklist]")

    page.goto(f"{live_server.url}/admin/customers/customer/?q=brzęczyszcz")
    page.click("#result_list tbody a[href*=change]")
    page.wait_for_selector("#timeline >> text=Declined 0.")
    assert page.locator("#timeline > li:not(#timeline-more)").count() == 50
    page.locator("#timeline-more").scroll_into_view_if_needed()
    page.wait_for_selector("#timeline >> text=Declined 59.")
    assert page.locator("#timeline > li").count() == 60

    page.click("text=Add note")
    page.fill("textarea[name=text]", "Pays on Fridays.")
    page.click("form.sol-form button[type=submit]")
    page.wait_for_selector("#timeline >> text=Pays on Fridays.")

    page.goto(f"{live_server.url}/admin/campaigns/case/{case.pk}/change/")
    page.click("summary >> text=More")
    page.click('a:has-text("Pause")')
    page.fill("input[name=reason]", "On holiday")
    page.click("form.sol-form button[type=submit]")
    page.wait_for_selector("text=The case rests.")
    case.refresh_from_db()
    assert case.state == "paused"
