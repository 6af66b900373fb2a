"""A manager's first hour: copy a shipped ladder, add a text message under a condition, simulate it, publish it."""

from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from campaigns.engine.assess import assess_customers
from campaigns.models import Case, Ladder
from campaigns.services.shipped import shipped_load
from campaigns.services.simulations import simulations_run
from customers.clock import wall_clock
from customers.models import Customer
from tests import factories as make
from tests.browser.door import enter

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def fails_to_pay(n: int) -> list[Case]:
    """Cases of customers whose cards were refused just now, opened by the loop itself."""
    now = wall_clock()
    people = [make.customer(phone=f"+3934712345{i:02}") for i in range(n)]
    for one in people:
        make.attempt(
            make.invoice(one, first_failed_at=now, due_at=now, issued_at=now, last_decline_category="expired"), at=now
        )
    Customer.objects.filter(pk__in=[one.pk for one in people]).update(reassess_at=now)
    assess_customers(now=now)
    return list(Case.objects.filter(customer__in=people).order_by("pk"))


def manager(page: Any, site: str) -> None:
    make.staff("manager", "marta")
    enter(page, f"{site}/admin/", "marta")


def test_a_manager_copies_a_ladder_adds_a_text_message_simulates_and_publishes(
    open_page: Any, live_server: Any
) -> None:
    shipped_load(now=wall_clock() - timedelta(days=1))
    shipped = Ladder.objects.get(code="card_failed")
    in_flight = fails_to_pay(3)
    assert {case.ladder_version.ladder for case in in_flight} == {shipped}
    page = open_page(width=1280, height=900)
    manager(page, live_server.url)

    page.locator("nav a", has_text="Ladders").first.click()
    page.get_by_role("link", name=shipped.name).first.click()
    page.get_by_role("link", name="Copy", exact=True).click()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("this is its draft")).to_be_visible()

    page.get_by_role("link", name="Add a step").click()
    page.get_by_label("Name").fill("A word by text message")
    page.get_by_label("How long").fill("5")
    page.get_by_label("Channel").select_option("sms")
    # The form takes the shape of the channel: what may stand in for it changes.
    expect(page.get_by_label("If that does not reach them").locator("option", has_text="E-mail")).to_be_attached()
    page.get_by_label("Template").select_option("card_failed_2")
    page.get_by_role("button", name="Add a condition").click()
    page.get_by_label("Fact").select_option("decline_category")
    page.get_by_label("card expired").check()
    words = "Day 5: SMS “Card failed: reminder”; only if the bank's reason is card expired."
    expect(page.locator("#rung-sentence")).to_have_text(words)
    page.get_by_role("button", name="Save step").click()
    expect(page.get_by_role("status")).to_contain_text("is saved")
    rung = page.locator("#rungs > li", has_text="A word by text message")
    expect(rung).to_contain_text(words)
    # Where its time puts it; from there by the keyboard and back.
    place = rung.locator(".sol-rung-no")
    number = int(place.inner_text())
    up = page.get_by_role("button", name="Move A word by text message up")
    up.focus()
    page.keyboard.press("Enter")
    expect(place).to_have_text(str(number - 1))
    expect(up).to_be_focused()
    page.get_by_role("button", name="Move A word by text message down").click()
    expect(place).to_have_text(str(number))

    page.get_by_role("link", name="Simulate").click()
    page.get_by_role("button", name="Simulate").click()
    page.wait_for_url("**/simulationrun/**")
    assert simulations_run(now=wall_clock()).total == 1
    page.reload()
    expect(page.get_by_role("row", name="Cases played 3")).to_be_visible()
    expect(page.get_by_role("row", name="SMS 3").first).to_be_visible()

    draft = Ladder.objects.get(code="card_failed_copy").versions.get()
    page.goto(f"{live_server.url}/admin/campaigns/ladderversion/{draft.pk}/change/")
    page.get_by_role("link", name="Publish").click()
    expect(page.get_by_text("those under way keep the ladder they began with")).to_be_visible()
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Published: cases opened from now on follow it")).to_be_visible()

    later = fails_to_pay(2)
    assert [case.ladder_version_id for case in later] == [draft.pk, draft.pk]
    assert {case.ladder_version.ladder for case in Case.objects.filter(pk__in=[c.pk for c in in_flight])} == {shipped}


def test_rungs_are_dragged_to_their_place(open_page: Any, live_server: Any) -> None:
    page = open_page(width=1280, height=900)
    manager(page, live_server.url)
    live = make.ladder()
    page.goto(f"{live_server.url}/admin/campaigns/ladder/{live.ladder_id}/do/draft/")
    page.get_by_role("button", name="Edit as a draft").click()
    first, last = page.locator("#rungs > li").first, page.locator("#rungs > li").last
    first.locator(".sol-drag").drag_to(last.locator(".sol-drag"))
    expect(page.get_by_role("status")).to_contain_text("“Step 1” is now step 3")
    expect(page.locator("#rungs > li strong")).to_have_text(["Step 2", "Step 3", "Step 1"])
    names = live.ladder.versions.get(status="draft").steps.order_by("position").values_list("name", flat=True)
    assert list(names) == ["Step 2", "Step 3", "Step 1"]
