"""A manager writes a segment: names are completed, the count follows, a mistake is shown where it is."""

from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from campaigns.models import Segment
from customers.clock import wall_clock
from tests import factories as make
from tests.browser.door import enter

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_manager_writes_a_segment_and_filters_by_it(open_page: Any, live_server: Any) -> None:
    make.staff("manager", "maria")
    late = wall_clock() - timedelta(days=40)
    for name in ("Bolt GmbH", "Acme Srl"):
        make.invoice(make.customer(name=name, kind="business"), first_failed_at=late, due_at=late)
    make.invoice(make.customer(name="Carla"), first_failed_at=late, due_at=late)
    page = open_page(width=1280, height=1000)
    enter(page, f"{live_server.url}/admin/campaigns/segment/add/", "maria")

    page.fill("#id_name", "Late companies")
    query = page.locator("#id_query")
    query.click()
    page.wait_for_selector(".djangoql-completion li")
    query.press_sequentially("kin")
    expect(page.locator(".djangoql-completion li")).to_have_count(1)
    query.press("Enter")
    expect(query).to_have_value("kind ")
    query.press_sequentially('= "business" and overdue_day > 30')
    expect(page.locator(".sol-live-error")).to_contain_text("Did you mean overdue_days?")
    expect(page.locator(".sol-live-error")).to_contain_text("Line 1, column 23")
    query.fill('kind = "business" and overdue_days > 30')
    expect(page.locator(".sol-live-count")).to_have_text("2 customers answer to it now.")
    expect(page.locator(".sol-live")).to_contain_text("Bolt GmbH")
    page.click("[name=_save]")
    assert Segment.objects.get().code == "late-companies"

    page.goto(f"{live_server.url}/admin/customers/customer/?segment=late-companies")
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
