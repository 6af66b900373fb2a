"""The customer page in a browser: tabs by keyboard and by address, the whole log, mails, files, mentions."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from campaigns.models import Task
from customers.clock import wall_clock
from customers.log import Entry, record_many
from tests import factories as make
from tests.browser.door import enter

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def anna(settings: Any, tmp_path: Path) -> User:
    settings.MEDIA_ROOT = tmp_path
    return make.staff("collector", "anna")


def logged_in(open_page: Any, live_server: Any) -> Any:
    page = open_page(width=1280, height=900)
    enter(page, f"{live_server.url}/admin/", "anna")
    page.wait_for_selector("[data-worklist]")
    return page


def test_tabs_timeline_mail_file_and_mention(anna: User, open_page: Any, live_server: Any, tmp_path: Path) -> None:
    User.objects.create_user("bert", is_staff=True)
    customer = make.customer(name="Hanna Brzęczyszczykiewicz i Wspólnicy Sp. z o.o.")
    case = make.case(customer, invoices=[make.invoice(customer, amount_due=500, currency="JPY")])
    sent = make.message(
        case, status="opened", subject="Your invoice", text="Please pay.", html="<p>Please pay in HTML.</p>"
    )
    now = wall_clock()
    record_many(
        Entry(
            customer_id=customer.pk, at=now - timedelta(minutes=i), kind="attempt.declined", summary=f"Declined {i}."
        )
        for i in range(1, 130)
    )
    record_many(
        [
            Entry(
                customer_id=customer.pk, at=now, kind="message.sent", summary="Mail sent.",
                channel="email", subject=f"message:{sent.pk}",
            )
        ]
    )  # fmt: skip
    page = logged_in(open_page, live_server)
    address = f"{live_server.url}/admin/customers/customer/{customer.pk}/change/"

    # The mail opens below its line, in a frame that runs nothing.
    page.goto(address)
    page.click("#timeline summary")
    frame = page.wait_for_selector("#timeline iframe.sol-mail")
    assert frame.get_attribute("sandbox") == ""
    assert frame.content_frame().wait_for_selector("text=Please pay in HTML.")

    # The log goes on as one scrolls.
    for _turn in range(12):
        page.mouse.wheel(0, 4000)
        if page.locator("#timeline >> text=Declined 129.").count():
            break
        page.wait_for_timeout(250)
    assert page.locator("#timeline > li:not(#timeline-more)").count() == 130

    # Words and kinds narrow it, in the address.
    page.fill("input[name=find]", "declined 12")
    page.click(".sol-filter button")
    page.wait_for_url("**find=declined+12*")
    assert page.locator("#timeline > li").count() == 12  # 12, 112 and 120 to 129

    # Tabs by keyboard alone, and by their address.
    page.focus(".sol-tabs a.active")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**?tab=invoices")
    assert page.locator(".sol-tabs a[aria-current=page]").count() == 1
    page.wait_for_selector("text=¥500")
    page.goto(f"{address}?tab=cases")
    page.wait_for_selector("ol.sol-rungs >> text=Step 1")

    # A file, as a download.
    page.goto(f"{address}?tab=notes")
    page.click("h2 >> text=Attach a file")
    path = tmp_path / "agreement.pdf"
    path.write_bytes(b"%PDF-1.7 agreed")
    page.set_input_files("input[type=file]", path)
    page.click("form.sol-form button[type=submit]")
    page.goto(f"{address}?tab=notes")
    with page.expect_download() as download:
        page.click("text=agreement.pdf")
    assert Path(download.value.path()).read_bytes() == b"%PDF-1.7 agreed"

    # A note calls a colleague.
    page.click("h2 >> text=Add note")
    page.fill("textarea[name=text]", "@bert please look at this one.")
    page.click("form.sol-form button[type=submit]")
    page.wait_for_selector("text=Told: bert.")
    assert Task.objects.get().assignee.username == "bert"  # type: ignore[union-attr]


def test_without_scripts_the_log_goes_on_by_links(anna: User, open_page: Any, live_server: Any) -> None:
    customer = make.customer()
    now = wall_clock()
    record_many(
        Entry(customer_id=customer.pk, at=now - timedelta(minutes=i), kind="case.rested", summary=f"Line {i}.")
        for i in range(60)
    )
    client = make.desk(anna)
    page = open_page(width=1280, height=900, java_script_enabled=False)
    session = client.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page.goto(f"{live_server.url}/admin/customers/customer/{customer.pk}/change/?tab=timeline&kind=case")
    assert page.locator("#timeline > li:not(#timeline-more)").count() == 50
    page.goto(page.url.partition("?")[0] + str(page.get_attribute("#timeline-more a", "href")))
    page.wait_for_selector("#timeline >> text=Line 59.")
    assert page.locator("#timeline > li").count() == 10
