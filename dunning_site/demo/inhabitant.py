"""How the demo's customers behave: they read their mail, and some fix it, in the portal or elsewhere."""

import heapq
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import requests
from django.conf import settings

from billing.models import Invoice, InvoiceStatus
from dunning_site.demo.world import Account, card_number
from dunning_site.embedded.sandbox_control import SandboxControl

_CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_PORTAL_LINK = re.compile(r"https?://[^\s\"'<>]+/p/[A-Za-z0-9_-]+/")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it lay in the customer's inbox."""

    recipient: str
    text: str


@dataclass(order=True)
class _Intent:
    at: datetime
    serial: int
    account: Account = field(compare=False)
    link: str = field(compare=False)


class Town:
    """All customers and what they mean to do next."""

    def __init__(self, accounts: list[Account], sandbox: SandboxControl, seed: int) -> None:
        self._by_email = {account.person.email: account for account in accounts}
        self._sandbox = sandbox
        self._seed = seed
        self._intents: list[_Intent] = []
        self._busy: set[int] = set()
        self._mails_read: dict[int, int] = {}
        self._serial = 0

    def read(self, mails: list[Mail], now: datetime) -> None:
        """Hands out mail; whoever decides to act will, some hours later."""
        for mail in sorted(mails, key=lambda m: m.recipient):
            account = self._by_email.get(mail.recipient)
            link = _PORTAL_LINK.search(mail.text)
            if account is None or link is None or account.person.index in self._busy:
                continue
            person = account.person
            nth = self._mails_read[person.index] = self._mails_read.get(person.index, 0) + 1
            # A draw of its own for each person and mail: how one behaves depends on nobody else.
            rng = Random(f"{self._seed}/{person.index}/{nth}")
            if rng.random() < person.responds:
                self._serial += 1
                at = now + timedelta(hours=person.hours * rng.uniform(0.3, 1.7))
                heapq.heappush(self._intents, _Intent(at, self._serial, account, link.group()))
                self._busy.add(person.index)

    def act(self, now: datetime) -> int:
        """Lets everyone act whose moment has come; returns how many did."""
        acted = 0
        while self._intents and self._intents[0].at <= now:
            intent = heapq.heappop(self._intents)
            self._busy.discard(intent.account.person.index)
            if intent.account.person.prefers_portal:
                self._use_portal(intent)
            else:
                self._pay_on_the_processors_page(intent.account)
            acted += 1
        return acted

    def _pay_on_the_processors_page(self, account: Account) -> None:
        open_invoices = Invoice.objects.filter(
            customer__external_id=account.customer, status=InvoiceStatus.OPEN, balance__gt=0
        ).order_by("issued_at", "external_id")
        for external_id in open_invoices.values_list("external_id", flat=True):
            self._sandbox.pay(str(external_id), number=card_number(500_000 + account.person.index))

    def _use_portal(self, intent: _Intent) -> None:
        browser = Browser()
        if browser.get(intent.link).status_code == 200:
            browser.new_card(intent.link, card_number(900_000 + intent.account.person.index))


class Browser:
    """A customer's browser; what the page's and the processor's scripts would post is posted by hand."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, url: str) -> requests.Response:
        return self._session.get(url, timeout=60)

    def new_card(self, portal: str, number: str) -> bool:
        """Walks the card form as the page's script does; True when the portal took the card over."""
        page = self.get(f"{portal}card/")
        token = _CSRF.search(page.text)
        if page.status_code != 200 or token is None:
            return False
        form = {"csrfmiddlewaretoken": token.group(1)}
        intent = self._session.post(f"{portal}card/intent/", data=form, timeout=60)
        if intent.status_code != 200:
            return False
        confirmed = self._confirm(intent.json()["client_secret"], number)
        if confirmed.get("status") != "succeeded":
            return False
        done = self._session.post(f"{portal}card/done/", data=form | {"setup_intent": confirmed["id"]}, timeout=60)
        return done.status_code == 200

    def _confirm(self, client_secret: str, number: str) -> dict[str, Any]:
        setup_intent = client_secret.split("_secret_")[0]
        answer = self._session.post(
            f"{settings.STRIPE_API_BASE}/v1/setup_intents/{setup_intent}/confirm",
            headers={"Authorization": f"Bearer {settings.STRIPE_PUBLISHABLE_KEY}"},
            data={
                "client_secret": client_secret,
                "payment_method_data[type]": "card",
                "payment_method_data[card][number]": number,
                "payment_method_data[card][exp_month]": "12",
                "payment_method_data[card][exp_year]": "2034",
                "payment_method_data[card][cvc]": "123",
            },
            timeout=60,
        )
        body: dict[str, Any] = answer.json()
        return body
