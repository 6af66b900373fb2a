"""A manager simulates a ladder: asks on its page, watches it play, reads totals, calendar and events."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from campaigns.models import SimulationRun
from campaigns.services.simulations import simulations_run
from campaigns.services.versions import ladder_draft
from customers.clock import wall_clock
from tests import factories as make
from tests.browser.door import enter

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def log_in(page: Any, url: str) -> None:
    make.staff("manager", "mara")
    enter(page, f"{url}/admin/", "mara")
    page.wait_for_selector("text=Dashboard")


def shoot(page: Any, name: str) -> None:
    """For people who want to look: SCREENSHOTS=/some/folder pytest …"""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def test_a_manager_compares_a_draft_with_what_is_published(open_page: Any, live_server: Any) -> None:
    now = wall_clock()
    version = make.ladder(name="Card failed", end_actions=["cancel_subscription"])
    for number in range(12):
        email = "" if number == 5 else f"c{number}@example.com"
        customer = make.customer(name=f"Customer {number:02d}", email=email, country=["IT", "US", "DE"][number % 3])
        invoice = make.invoice(customer, first_failed_at=now - timedelta(hours=number))
        make.case(customer, invoices=[invoice], ladder_version=version)
    draft = ladder_draft(ladder_id=version.ladder_id)
    draft.steps.filter(key="step-2").update(offset=5)
    page = open_page(width=1440, height=1000)
    log_in(page, live_server.url)

    page.goto(f"{live_server.url}/admin/campaigns/ladder/{version.ladder_id}/change/")
    page.click("a:has-text('Simulate')")
    page.select_option("select[name=other]", str(draft.pk))
    shoot(page, "simulate-form")
    page.click("form.sol-form button[type=submit]")
    page.wait_for_selector("text=Waiting for a worker")
    shoot(page, "simulate-waiting")
    assert simulations_run(now=wall_clock()).done == 1
    # The page asks by itself.
    page.wait_for_selector("text=What differs")
    assert page.locator(".sol-fact >> text=Done").count() == 1
    shoot(page, "simulate-result")
    run = SimulationRun.objects.get()
    assert (run.asked_by.username, run.version_id, run.other_version_id) == ("mara", version.pk, draft.pk)
    assert page.locator("text=12 cases go another way, 0 the same").count() == 1

    page.click(".sol-tabs >> text=Calendar")
    page.wait_for_selector(".sol-calendar")
    shoot(page, "simulate-calendar")
    page.click(".sol-tabs >> text=Events")
    page.click(".sol-chips >> text=Put off or not allowed")
    page.wait_for_selector("text=address.missing")
    shoot(page, "simulate-events")
    page.click("a:has-text('only this one') >> nth=0")
    page.wait_for_selector("text=Everybody")


def test_without_an_open_case_it_says_so(open_page: Any, live_server: Any) -> None:
    version = make.ladder(name="Card failed")
    page = open_page(width=1440, height=1000)
    log_in(page, live_server.url)
    page.goto(f"{live_server.url}/admin/campaigns/ladderversion/{version.pk}/do/simulate/")
    page.click("form.sol-form button[type=submit]")
    page.wait_for_selector("text=Waiting for a worker")
    simulations_run(now=wall_clock())
    page.wait_for_selector("text=There is no open case to play")
    shoot(page, "simulate-empty")


def test_one_customer_is_found_by_name(open_page: Any, live_server: Any) -> None:
    version = make.ladder(name="Card failed")
    wanted = make.case(make.customer(name="Hanna Szczęsny"), ladder_version=version)
    make.case(make.customer(name="Somebody else"), ladder_version=version)
    page = open_page(width=1440, height=1000)
    log_in(page, live_server.url)
    page.goto(f"{live_server.url}/admin/campaigns/ladder/{version.ladder_id}/do/simulate/")
    page.select_option("select[name=source]", "customer")
    page.click(".select2-selection")
    page.fill(".select2-search__field", "szczęs")
    page.click(".select2-results__option >> text=Hanna")
    shoot(page, "simulate-customer")
    page.click("form.sol-form button[type=submit]")
    page.wait_for_selector("text=Waiting for a worker")
    assert SimulationRun.objects.get().customer_id == wanted.customer_id
