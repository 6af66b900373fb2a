"""A manager ticks rows, is asked, watches the job settle them; and reads the script beside a call."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from campaigns.models import Agency
from campaigns.playbooks.shipped import playbooks_load
from customers.bulk.run import jobs_run
from customers.clock import wall_clock
from customers.log import Entry, record
from customers.models import BulkJob, Customer
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
        for width in (1440, 1024):
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=str(Path(folder) / f"{name}-{width}.png"), full_page=True)


@pytest.mark.parametrize("script", [True, False], ids=["live", "without JavaScript"])
def test_a_bulk_act_asks_runs_and_is_taken_back(open_page: Any, live_server: Any, script: bool) -> None:
    for number in range(12):
        make.customer(name=f"Zażółć Gęślą {number:02d}", no_dunning=number == 3)
    page = open_page(width=1440, height=900)
    log_in(page, live_server.url)
    page.goto(f"{live_server.url}/admin/customers/customer/")
    for number in range(5):
        page.locator(f"tr:has-text('Gęślą {number:02d}') input.action-select").check()
    page.select_option("select[name=action] >> nth=0", "customers_no_dunning")
    page.locator("button[name=index]:visible, button:has-text('Run'):visible").first.click()
    page.wait_for_selector("text=4 will be changed.")
    assert page.locator("text=1 · Excluded already.").count() == 1
    shoot(page, "bulk-confirm")
    if not script:
        job = BulkJob.objects.get()
        state = page.context.storage_state()
        page = open_page(width=1440, height=900, java_script_enabled=False, storage_state=state)
        page.goto(f"{live_server.url}/admin/customers/bulkjob/{job.pk}/confirm/")
    page.fill("textarea[name=reason]", "Strike at the bank")
    page.click("form.sol-form button[type=submit]")
    bar = page.locator("[role=progressbar]")
    bar.wait_for()
    assert bar.get_attribute("aria-valuenow") == "20"
    jobs_run(now=wall_clock(), chunk=2)
    if not script:
        page.click("text=Look again")
    page.wait_for_selector("[role=progressbar][aria-valuenow='60']")
    shoot(page, f"bulk-running-{'live' if script else 'plain'}")
    while jobs_run(now=wall_clock(), chunk=2).job_id is not None:
        pass
    if not script:
        page.click("text=Look again")
    page.wait_for_selector("[role=progressbar][aria-valuenow='100']")
    assert Customer.objects.filter(no_dunning=True).count() == 5
    shoot(page, f"bulk-done-{'live' if script else 'plain'}")
    page.click(".sol-tabs >> text=Rows")
    page.wait_for_selector("td >> text=Excluded already.")
    shoot(page, "bulk-rows")
    page.click("a:has-text('Take back')")
    page.wait_for_selector("text=4 will be changed.")


def test_a_playbook_stands_beside_the_call(open_page: Any, live_server: Any) -> None:
    now = wall_clock()
    Agency.objects.create(code="fair", name="Fair Collections", commission_bps=2500)
    playbooks_load()
    customer = make.customer(
        name="Società Agricola Fratelli Brambilla di Brambilla Giovanni & C. S.n.c.", language="it", kind="business",
        phone="+39 02 1234567",
    )  # fmt: skip
    make.contact(customer, name="Giovanna Brambilla", phone="+39 333 1234567")
    make.payment_method(customer)
    invoice = make.invoice(
        customer, last_decline_category="insufficient_funds", last_decline_code="insufficient_funds",
        first_failed_at=now - timedelta(days=12), due_at=now - timedelta(days=12), amount_due=123_456,
    )  # fmt: skip
    make.attempt(invoice, at=now - timedelta(days=12))
    case = make.case(customer, invoices=[invoice])
    make.message(case, status="opened", sent_at=now - timedelta(days=5), subject="Il pagamento non è riuscito")
    record(
        Entry(
            customer_id=customer.pk, at=now - timedelta(days=4), kind="call.logged", summary="Call: spoke with them",
            direction="out", channel="call", outcome="spoke", body="Pays when the harvest is sold.",
        )
    )  # fmt: skip
    page = open_page(width=1440, height=1000)
    log_in(page, live_server.url)
    page.goto(f"{live_server.url}/admin/campaigns/case/{case.pk}/do/call/")
    page.wait_for_selector(".sol-brief >> text=Fondi insufficienti")
    script = page.locator(".sol-script").first
    assert "1.234,56 €" in script.inner_text().replace("\xa0", " ")
    assert page.locator(".sol-brief >> text=Pays when the harvest is sold.").count() == 1
    with page.context.expect_page() as opened:
        page.click(f".sol-brief a:has-text('{invoice}') >> nth=0")
    assert f"/billing/invoice/{invoice.pk}/" in opened.value.url
    shoot(page, "call-brief")
    page.goto(f"{live_server.url}/admin/campaigns/playbook/")
    shoot(page, "playbooks")
    page.click("text=Fondi insufficienti")
    shoot(page, "playbook-edit")
    page.click(".sol-tabs >> text=Preview")
    page.click(f"a:has-text('#{case.pk}')")
    page.wait_for_selector(f"text=With the facts of case {case.pk}")
    shoot(page, "playbook-preview")
    page.goto(f"{live_server.url}/admin/campaigns/case/{case.pk}/do/hand_over/")
    shoot(page, "agency-hand-over")
    page.select_option("select[name=agency]", label="Fair Collections")
    page.fill("textarea[name=reason]", "Nothing helped")
    page.click("form.sol-form button[type=submit]")
    page.wait_for_selector("text=Handed over")
    page.goto(f"{live_server.url}/admin/campaigns/handover/")
    page.click("text=#")
    shoot(page, "agency-handover")
    page.goto(f"{live_server.url}/admin/campaigns/agency/")
    page.click("text=Fair Collections")
    shoot(page, "agency-account")
