"""A collector's day on the worklist: land on it, take work, move by keys, put aside, finish, go one by one."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from campaigns.models import Case, Task, WorkFilter, WorkItem
from campaigns.worklist.marks import work_mark
from campaigns.worklist.refresh import work_refresh_all
from customers import clock
from tests import factories as make
from tests.browser.door import enter
from tests.factories import NOW

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    """Noon in Rome, whatever the hour of the run: at night nobody may be called."""
    with clock.running_on(lambda: NOW):
        yield


@pytest.fixture
def anna() -> User:
    return make.staff("collector", "anna")


def owing(name: str, balance: int, **fields: Any) -> Case:
    customer = make.customer(**({"name": name, "phone": "+393331234567"} | fields))
    late = NOW - timedelta(days=40)
    invoice = make.invoice(customer, amount_due=balance, first_failed_at=late, due_at=late)
    return make.case(customer, invoices=[invoice])


def refresh() -> None:
    work_mark(Case.objects.values_list("customer_id", flat=True), NOW)
    for _result in work_refresh_all(now=NOW):
        pass


def log_in(page: Any, live_server: Any) -> None:
    enter(page, f"{live_server.url}/admin/", "anna")
    page.wait_for_selector("[data-worklist]")


def names(page: Any) -> list[str]:
    return [text.strip() for text in page.locator("tr[data-row] th > a").all_text_contents()]


def test_a_collector_lands_on_the_list_and_takes_work_by_mouse(open_page: Any, live_server: Any, anna: User) -> None:
    cases = [owing("Brzęczyszczykiewicz i Wspólnicy", 90_000), owing("Caffè Torino", 20_000), owing("Zoë", 5_000)]
    refresh()
    page = open_page(width=1440, height=900)
    log_in(page, live_server)
    assert page.locator("text=Nothing of yours is due now.").count() == 1

    page.click("text=Take something nobody has")
    page.wait_for_selector("tr[data-row]")
    assert names(page) == ["Brzęczyszczykiewicz i Wspólnicy", "Caffè Torino", "Zoë"]
    page.click("tr[data-row] >> nth=0 >> text=Claim")
    page.wait_for_selector("text=is yours.")
    assert names(page) == ["Caffè Torino", "Zoë"]
    cases[0].refresh_from_db()
    assert cases[0].owner == anna

    page.fill("input[name=q]", "zoë")
    page.click("text=Show")
    page.wait_for_selector("text=Everything")
    assert names(page) == ["Zoë"]
    page.fill("input[name=name]", "The small ones")
    page.click("button:text('Keep')")
    page.wait_for_selector(".sol-chip >> text=The small ones")
    assert WorkFilter.objects.get().query == "tab=free&q=zo%C3%AB"

    page.click("text=Everything")
    page.click("nav >> text=My work")
    page.wait_for_selector("tr[data-row] >> text=Brzęczyszczykiewicz")
    page.click("tr[data-row] a[data-key=c]")
    page.wait_for_selector("form.sol-form")
    assert "/do/call/" in page.url


def test_a_collector_works_by_keys(open_page: Any, live_server: Any, anna: User) -> None:
    for name, balance in (("First", 90_000), ("Second", 50_000), ("Third", 20_000)):
        owing(name, balance)
    Case.objects.update(owner=anna)
    refresh()
    page = open_page(width=1440, height=900)
    log_in(page, live_server)
    page.wait_for_selector("tr[data-row]")

    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("j")  # no row moves while the help is open
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="hidden")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("j")
    assert "Second" in page.locator("tr[data-row]:focus").inner_text()

    # Letters typed into a field stay letters.
    page.focus("input[name=q]")
    page.keyboard.type("sand")
    assert page.input_value("input[name=q]") == "sand"
    assert page.url.endswith("/workitem/")

    page.locator("tr[data-row] >> nth=1").focus()
    page.keyboard.press("s")
    page.wait_for_selector("form.sol-form input[name=until]")
    page.click("form.sol-form button[type=submit]")
    page.wait_for_selector("text=Second is put aside.")
    assert names(page) == ["First", "Third"]
    # One goes on where one was.
    assert "Third" in page.locator("tr[data-row]:focus").inner_text()
    assert WorkItem.objects.get(customer__name="Second").rest == "snoozed"

    page.keyboard.press("?")
    page.click("#work-keys-on")
    page.click("dialog >> text=Close")
    page.keyboard.press("n")
    page.keyboard.press("k")
    assert page.locator("tr[data-row]:focus >> text=First").count() == 0
    page.keyboard.press("?")
    page.click("#work-keys-on")
    page.click("dialog >> text=Close")

    page.keyboard.press("n")
    page.wait_for_selector("text=Open invoices")
    assert page.locator("h2.sol-title >> text=First").count() == 1
    page.keyboard.press("n")
    page.wait_for_selector("h2.sol-title >> text=Third")
    page.keyboard.press("u")
    page.wait_for_selector("tr[data-row]")


def test_one_by_one_to_the_end_of_the_list(open_page: Any, live_server: Any, anna: User) -> None:
    cases = [owing("First", 90_000), owing("Second", 50_000)]
    Case.objects.update(owner=anna)
    task = Task.objects.create(
        customer=cases[0].customer, case=cases[0], kind="call", title="Ring accounts payable", due_at=NOW,
        created_at=NOW, key=f"step:{cases[0].pk}:1:1",
    )  # fmt: skip
    refresh()
    page = open_page(width=1024, height=768)
    log_in(page, live_server)
    page.click("text=Next customer")
    page.wait_for_selector("text=Ring accounts payable")
    page.wait_for_selector("text=The ladder waits for this call.")
    for act in ("Log a call", "Record promise", "Pause", "Snooze"):
        assert page.locator(f".sol-actions >> text={act}").count() >= 1, act

    page.keyboard.press("d")
    page.wait_for_selector("select[name=call]")
    page.select_option("select[name=call]", "no_answer")
    page.fill("textarea[name=outcome]", "Rang out.")
    page.click("form.sol-form button[type=submit]")
    page.wait_for_selector("h2.sol-title >> text=Second")
    task.refresh_from_db()
    assert task.status == "done"

    page.click(".sol-actions >> text=Snooze")
    page.click("form.sol-form button[type=submit]")
    page.wait_for_selector("text=That was the last one.")
    page.click("text=Resting and put aside")
    page.wait_for_selector("tr[data-row]")
    assert sorted(names(page)) == ["First", "Second"]


@pytest.mark.parametrize("tab", ["team", "free"])
def test_a_rows_acts_stand_on_one_line_and_its_menu_needs_no_mouse(
    tab: str, open_page: Any, live_server: Any, anna: User
) -> None:
    for name in ("Przedsiębiorstwohandlowousługowoprodukcyjnebudowlanotransportoweszczęsnychiwspólnicy", "Second"):
        owing(name, 90_000)
    refresh()
    page = open_page(width=1024, height=768)
    log_in(page, live_server)
    page.goto(f"{live_server.url}/admin/campaigns/workitem/?tab={tab}")
    page.wait_for_selector("tr[data-row]")
    acts = page.locator("tr[data-row] >> nth=0 >> .sol-row-acts > *")
    boxes = [acts.nth(place).bounding_box() for place in range(acts.count())]
    assert len(boxes) == 3  # call, claim, more
    assert len({box["y"] for box in boxes}) == 1
    assert max(box["x"] + box["width"] for box in boxes) <= 1024
    assert page.evaluate("document.documentElement.scrollWidth") <= 1024

    menu = page.locator("tr[data-row] >> nth=1 >> details.sol-more")
    menu.locator("summary").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("tr[data-row] details[open] >> text=Snooze")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    page.wait_for_selector("tr[data-row] details[open]", state="detached")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent.includes('Done')")
    page.keyboard.press("Enter")
    page.wait_for_selector("form.sol-form")
    assert "/do/done/" in page.url
