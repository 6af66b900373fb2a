"""A company's life on a calendar: the Stripe sandbox, the product's loops and the mail sink on one virtual clock."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from billing.ingest.inbox import receive
from billing.models import Invoice
from campaigns.services.shipped import shipped_load
from customers import clock
from customers.models import Customer
from dunning_site.demo import loops
from dunning_site.embedded.sandbox_control import SandboxControl
from dunning_site.embedded.smtp_sink import Sink
from dunning_site.embedded.stripe_sandbox.webhooks import signature
from tests import factories
from tests.factories import NOW
from tests.stripe_world import StripeWorld

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PORTAL = re.compile(r"https?://\S+/p/[A-Za-z0-9_-]{43}/")


class Life:
    """Moves the clock, delivers what Stripe has to tell, runs every loop, and reads the customers' mail."""

    def __init__(self, stripe_world: StripeWorld, sink: Sink, *, start: datetime = NOW) -> None:
        self.stripe = stripe_world
        self.control = SandboxControl(stripe_world.server.url)
        self.sink = sink
        self.now = start
        self._told = 0
        #: While True the product is down: Stripe goes on, nothing here runs.
        self.down = False
        self.webhooks_over_http = False
        factories.account()
        shipped_load(now=start)

    @contextmanager
    def running(self) -> Iterator["Life"]:
        """Puts the whole process on this life's clock."""
        with clock.running_on(lambda: self.now):
            yield self

    def subscriber(
        self,
        card: dict[str, str],
        *,
        amounts: tuple[int, ...] = (4900,),
        currency: str = "eur",
        email: str = "giulia@example.com",
        locale: str = "en",
        renews_in: tuple[timedelta, ...] = (DAY,),
        **fields: Any,
    ) -> Customer:
        """A customer of long standing; each amount is a monthly subscription that renews so long after now."""
        products = self.control.seed(products=[{"name": f"Plan {n + 1}"} for n in range(len(amounts))])["products"]
        monthly = {"currency": currency, "recurring": {"interval": "month"}}
        prices = self.control.seed(
            prices=[
                monthly | {"unit_amount": a, "product": product} for a, product in zip(amounts, products, strict=True)
            ]
        )["prices"]
        waits = renews_in * (len(prices) if len(renews_in) == 1 else 1)
        entry = {
            "name": "Giulia Ferrari",
            "email": email,
            "preferred_locales": [locale],
            "address": {"country": "IT"},
            "metadata": {"timezone": "Europe/Rome"},
            "cards": [{"number": "4000000000000341", "metadata": card}],
            "subscriptions": [
                {"price": price, "started": _a_month_before(self.now + wait)}
                for price, wait in zip(prices, waits, strict=True)
            ],
        } | fields
        (theirs,) = self.control.seed(customers=[entry])["customers"]
        self.settle()
        return Customer.objects.get(external_id=theirs["id"])

    def settle(self) -> None:
        """Delivers webhooks and runs every loop until nobody has anything left to tell."""
        if self.down:
            return
        loops.turn()
        while self.deliver():
            loops.turn()

    def deliver(self) -> int:
        """Brings the news since the last time, signed as Stripe signs; returns how many."""
        if self.webhooks_over_http:
            return self.control.deliver()
        world = self.stripe.server.world
        fresh = [world.events[event_id]["raw"] for event_id in list(world.event_order)[self._told :]]
        self._told += len(fresh)
        for raw in fresh:
            self.receive(raw)
        return len(fresh)

    def receive(self, raw: str) -> None:
        """Posts one event to the inbox."""
        signed = signature(raw.encode(), "whsec_current", int(time.time()))
        receive(source="stripe", payload=raw.encode(), signature=signed, now=self.now)

    def to(self, moment: datetime, *, step: timedelta = HOUR) -> None:
        """Lives on to `moment`."""
        while self.now < moment:
            self.now = min(moment, self.now + step)
            self.control.set_clock(self.now)
            self.settle()

    def mails(self) -> list[EmailMessage]:
        """What lies in the mailboxes, oldest first."""
        return mails(self.sink)

    def subjects(self) -> list[str]:
        """Subjects of all mails."""
        return [str(mail["Subject"]) for mail in self.mails()]

    def owed(self) -> list[Invoice]:
        """Open invoices that failed, oldest first."""
        failed = Invoice.objects.filter(first_failed_at__isnull=False, status="open")
        return list(failed.order_by("first_failed_at", "id"))


def mails(sink: Sink) -> list[EmailMessage]:
    """What a mail server has taken in, oldest first."""
    return [
        message_from_bytes(sink.reader.content(mail), policy=policy.default)  # type: ignore[arg-type]
        for mail in sink.mails()
    ]


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    """The plain or html part of a mail."""
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def link_in(mail: EmailMessage) -> str:
    """The address of the payment page in a mail's text."""
    found = PORTAL.search(text_of(mail))
    assert found is not None
    return found.group()


def _a_month_before(moment: datetime) -> int:
    previous = (
        moment.replace(month=moment.month - 1) if moment.month > 1 else moment.replace(year=moment.year - 1, month=12)
    )
    return int(previous.timestamp())
