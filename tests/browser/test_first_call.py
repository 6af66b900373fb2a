"""A new collector's first call: from the list to a promise in a few clicks; broken, it brings the customer back."""

from collections.abc import Callable, Iterator
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from billing.models import Invoice, Promise
from campaigns.engine.assess import assess_customers
from campaigns.engine.calendar import at_local
from campaigns.engine.run import escalate_due
from campaigns.guard.zones import zone
from campaigns.models import Message
from campaigns.worklist.marks import work_mark
from campaigns.worklist.refresh import work_refresh_all
from customers import clock
from customers.models import Interaction
from tests import factories as make
from tests.browser.door import enter
from tests.factories import NOW

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HANNA = "Hanna Brzęczyszczykiewicz-Konstantynopolitańczykowianka i Wspólnicy"


class Clicks:
    """Presses what the collector presses, and counts."""

    def __init__(self, page: Any) -> None:
        self.page, self.count = page, 0

    def __call__(self, selector: str) -> None:
        self.page.click(selector)
        self.count += 1


@pytest.fixture
def at() -> Iterator[Callable[[datetime], None]]:
    """Sets the clock the site and the loops read; noon in Warsaw to begin with."""
    times = [NOW]
    with clock.running_on(lambda: times[-1]):
        yield times.append


@pytest.fixture
def anna() -> User:
    return make.staff("collector", "anna")


def owing(name: str, balance: int, **fields: Any) -> Invoice:
    customer = make.customer(
        **({"name": name, "phone": "+48221234567", "country": "PL", "timezone": "Europe/Warsaw"} | fields)
    )
    late = NOW - timedelta(days=40)
    invoice = make.invoice(customer, amount_due=balance, first_failed_at=late, due_at=late)
    make.case(customer, invoices=[invoice], next_action_at=NOW + timedelta(days=1))
    work_mark([customer.pk], NOW)
    return invoice


def run_loops(now: datetime) -> None:
    """One turn of what the workers do all day."""
    assess_customers(now=now)
    escalate_due(now=now)
    for _result in work_refresh_all(now=now):
        pass


def first_name(page: Any) -> str:
    return str(page.locator("tr[data-row] th > a").first.inner_text()).strip()


def in_order(story: str, *parts: str) -> bool:
    """True if all parts stand in the story, each after the one before it."""
    places = [story.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


def test_the_first_promise_rests_the_ladder_and_its_breach_brings_the_customer_back(
    open_page: Any, live_server: Any, anna: User, at: Callable[[datetime], None]
) -> None:
    invoice = owing(HANNA, 90_000)
    dearer = owing("Caffè Torino", 80_000)
    run_loops(NOW)

    page = open_page(width=1440, height=900)
    enter(page, f"{live_server.url}/admin/", "anna")

    # She lands on the worklist: nothing is hers yet. From here on clicks are counted.
    page.wait_for_selector("text=Nothing of yours is due now.")
    click = Clicks(page)
    click("text=Take something nobody has")
    page.wait_for_selector("tr[data-row]")
    assert first_name(page) == HANNA
    click("tr[data-row] >> nth=0 >> a[data-key=c]")
    # Only what the outcome asks for is there, and the brief beside it.
    page.wait_for_selector("aside.sol-brief >> text=900")
    assert not page.is_visible("#id_promise_amount")
    click("label >> text=Promised to pay")
    assert page.is_visible("#id_promise_amount")
    assert not page.is_visible("#id_dispute_reason")
    assert page.input_value("#id_promise_amount") == "900.00"
    page.fill("#id_promise_amount", "450")
    day = (NOW + timedelta(days=5)).date()
    page.fill("#id_promised_on", day.isoformat())
    page.fill("textarea[name=text]", "Accounts payable pays half on Friday.")
    click("form.sol-form button[type=submit]")
    page.wait_for_selector("text=nobody writes until the promise is due")
    assert click.count == 4

    # Back on the list the customer is gone from it; hers now, resting, with the reason.
    assert first_name(page) == "Caffè Torino"
    page.click("nav >> text=My work")
    page.click("text=Resting and put aside")
    row = page.locator("tr[data-row]").first.inner_text()
    assert HANNA in row
    assert "A promise stands" in row

    # The ladder rests visibly on both pages.
    customer = f"{live_server.url}/admin/customers/customer/{invoice.customer_id}/change/"
    page.goto(customer)
    facts = page.inner_text(".sol-facts")
    assert "Promised" in facts
    assert "until Wed 18 Mar 2026, 00:00\nA promise to pay stands." in facts
    page.click(".sol-tabs >> text=Promises")
    assert "€450.00" in page.inner_text("#content-main section")
    page.click(".sol-facts a[href*='/campaigns/case/']")
    assert "Promised" in page.inner_text(".sol-facts")
    assert "The ladder rests until Wed 18 Mar 2026, 00:00." in page.inner_text(".sol-resting")

    # The ladder's day comes and goes in silence; the promise's day does, with its grace.
    promise = Promise.objects.get()
    at(promise.expires_at - timedelta(minutes=1))
    run_loops(clock.now())
    assert Message.objects.filter(case__customer=invoice.customer_id).count() == 0
    page.goto(f"{live_server.url}/admin/campaigns/workitem/")
    page.wait_for_selector("text=Nothing of yours is due now.")
    at(at_local(promise.expires_at.astimezone(zone("Europe/Warsaw")).date(), time(10), zone("Europe/Warsaw")))
    run_loops(clock.now())

    # It is back on top, although others owe more by now, and says why.
    Invoice.objects.filter(pk=dearer.pk).update(amount_due=5_000_000)
    work_mark([dearer.customer_id], clock.now())
    run_loops(clock.now())
    page.goto(f"{live_server.url}/admin/campaigns/workitem/?tab=team")
    row = page.locator("tr[data-row]").first.inner_text()
    assert HANNA in row
    assert "The promise to pay broke today." in row
    page.goto(f"{live_server.url}/admin/campaigns/workitem/")
    assert first_name(page) == HANNA

    # The log tells the story, newest first.
    page.goto(f"{customer}?tab=timeline")
    story = page.inner_text("#timeline")
    assert in_order(
        story,
        "The case goes on.",
        "The promise to pay was broken.",
        "A promise to pay stands.",
        "Promise to pay €450.00 by 2026-03-15.",
        "Call: Promised to pay",
    ), story
    assert "Accounts payable pays half on Friday." in story
    assert Interaction.objects.filter(kind="call.logged").count() == 1
