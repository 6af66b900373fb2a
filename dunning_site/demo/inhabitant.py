"""How the demo's customers behave: some pay, in the portal or elsewhere, some answer, some want no more of it."""

import heapq
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from billing.models import CollectionMethod, Invoice, InvoiceStatus
from dunning_site.demo.answers import AWAY, PROMISES, QUESTIONS, STOP
from dunning_site.demo.browser import Browser
from dunning_site.demo.mailbox import Mail
from dunning_site.demo.network import Network
from dunning_site.demo.world import Account, card_number
from dunning_site.embedded.sandbox_control import SandboxControl

_PORTAL_LINK = re.compile(r"https?://[^\s\"'<>]+/p/[A-Za-z0-9_-]+/")
#: Of companies on net terms that forgot: the chance that a reminder makes them pay.
_TERMS_RESPOND = 0.35


@dataclass(order=True)
class _Intent:
    at: datetime
    serial: int
    account: Account = field(compare=False)
    link: str = field(compare=False)
    mail: Mail | None = field(compare=False, default=None)


class Town:
    """All customers and what they mean to do next."""

    def __init__(self, accounts: list[Account], sandbox: SandboxControl, network: Network, seed: int) -> None:
        self._by_address = {a.person.email: a for a in accounts} | {a.person.phone: a for a in accounts}
        self._by_customer = {account.customer: account for account in accounts}
        self._sandbox = sandbox
        self._network = network
        self._seed = seed
        self._intents: list[_Intent] = []
        self._busy: set[int] = set()
        self._mails_read: dict[int, int] = {}
        self._bills_seen = 0
        self._serial = 0

    def read(self, mails: list[Mail], now: datetime) -> None:
        """Hands out mails and texts; whoever decides to act or answer will, some hours later."""
        for mail in sorted(mails, key=lambda m: (m.recipient, m.subject)):
            account = self._by_address.get(mail.recipient)
            if account is None:
                continue
            person = account.person
            nth = self._mails_read[person.index] = self._mails_read.get(person.index, 0) + 1
            # A draw of its own for each person and mail: how one behaves depends on nobody else.
            rng = Random(f"{self._seed}/{person.index}/{nth}")
            acts = rng.random() < (person.responds if person.terms is None else _TERMS_RESPOND)
            hours = person.hours * rng.uniform(0.3, 1.7)
            if mail.is_text:
                self._network.text_delivered(mail)
            else:
                self._network.event("delivered", mail, now)
                if acts or rng.random() < 0.5:
                    self._network.event("opened", mail, now)
            link = _PORTAL_LINK.search(mail.text)
            if link is not None and acts and person.index not in self._busy:
                self._mean(now + timedelta(hours=hours), account, link.group(), mail)
                self._busy.add(person.index)
            elif not acts:
                self._answer(mail, account, now, rng)
        self._network.flush()

    def act(self, now: datetime) -> int:
        """Lets everyone act whose moment has come; returns how many did."""
        self._look_at_bills(now)
        acted = 0
        while self._intents and self._intents[0].at <= now:
            intent = heapq.heappop(self._intents)
            person = intent.account.person
            self._busy.discard(person.index)
            if intent.mail is not None and not intent.mail.is_text:
                self._network.event("clicked", intent.mail, now)
            if person.prefers_portal and person.terms is None:
                self._use_portal(intent)
            else:
                self._pay_on_the_processors_page(intent.account)
            acted += 1
        self._network.flush()
        return acted

    def _mean(self, at: datetime, account: Account, link: str = "", mail: Mail | None = None) -> None:
        self._serial += 1
        heapq.heappush(self._intents, _Intent(at, self._serial, account, link, mail))

    def _look_at_bills(self, now: datetime) -> None:
        """Companies on net terms put a new bill down for the day they pay."""
        new = Invoice.objects.filter(
            pk__gt=self._bills_seen, collection_method=CollectionMethod.MANUAL, due_at__isnull=False
        ).order_by("pk")
        for pk, customer, due in new.values_list("pk", "customer__external_id", "due_at"):
            self._bills_seen = pk
            account = self._by_customer.get(str(customer))
            if account is not None and account.person.pays_after is not None and due is not None:
                self._mean(max(due + timedelta(days=account.person.pays_after), now), account)

    def _answer(self, mail: Mail, account: Account, now: datetime, rng: Random) -> None:
        """What those do who do not pay: most nothing, a few write, a few want no more of it."""
        language = account.person.country.locale
        draw = rng.random()
        if mail.is_text:
            if draw < 0.12:
                self._network.text_back(mail, STOP)
            elif draw < 0.25:
                self._network.text_back(mail, rng.choice(QUESTIONS[language]))
            return
        if not mail.reply_to:
            return
        if draw < 0.03:
            self._network.mail_back(mail, rng.choice(QUESTIONS[language]), now)
        elif draw < 0.06:
            self._network.mail_back(mail, PROMISES[language], now)
        elif draw < 0.075:
            self._network.mail_back(mail, AWAY[language], now, Auto_Submitted="auto-replied")
        elif draw < 0.085:
            self._network.event("complained", mail, now)

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
