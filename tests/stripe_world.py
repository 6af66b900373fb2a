"""A Stripe for one test: the sandbox over HTTP, and our rows for what is in it."""

import json
from collections.abc import Container
from datetime import datetime
from typing import Any

import pytest
import requests

from billing.charging import charge_now
from billing.ingest.facts.methods import method_values
from billing.ingest.inbox import store
from billing.ingest.process import process_inbox
from billing.models import Invoice, PaymentMethod
from customers.errors import SollecitoError
from dunning_site.embedded.stripe_sandbox import collection, invoice_calls, seeding
from dunning_site.embedded.stripe_sandbox.clock import set_clock
from dunning_site.embedded.stripe_sandbox.ledger import report
from dunning_site.embedded.stripe_sandbox.params import Params
from dunning_site.embedded.stripe_sandbox.server import SandboxServer
from tests import factories


class StripeWorld:
    """Makes debts on both sides and asks the sandbox what really happened."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self.heard: set[str] = set()

    def owing(
        self, card: dict[str, Any] | None = None, *, amount: int = 4900, currency: str = "eur", **fields: Any
    ) -> Invoice:
        """An open invoice of a new customer at the sandbox and here; `card` as in the sandbox's seeds.

        The card is the customer's default; by default its bank approves everything.
        """
        world = self.server.world
        with world.lock:
            made = seeding.seed(
                world,
                {
                    "customers": [
                        {"email": "a@example.com", "cards": [card or {"metadata": {"issuer_profile": "always_ok"}}]}
                    ]
                },
            )
            (theirs,) = made["customers"]
            draft = invoice_calls.create(world, Params({"customer": theirs["id"], "currency": currency}))
            invoice_calls.add_lines(
                world, Params({"lines": [{"amount": str(amount), "description": "x"}]}), draft["id"]
            )
            opened = invoice_calls.finalize_call(world, Params({}), draft["id"])
            stored = world.get("payment_method", theirs["payment_methods"][0])
        customer = factories.customer(external_id=theirs["id"])
        factories.account()
        self.method(stored, customer)
        return factories.invoice(
            customer, external_id=opened["id"], amount_due=amount, currency=currency.upper(), **fields
        )

    def first_charge(self, invoice: Invoice) -> None:
        """The processor's own try, as at a renewal."""
        world = self.server.world
        with world.lock:
            collection.automatic(world, world.get("invoice", invoice.external_id))

    def another(self, invoice: Invoice, *, amount: int = 4900) -> Invoice:
        """One more open invoice of the same customer, at the sandbox and here."""
        world = self.server.world
        with world.lock:
            wanted = {"customer": invoice.customer.external_id, "currency": invoice.currency.lower()}
            draft = invoice_calls.create(world, Params(wanted))
            line = {"amount": str(amount), "description": "y"}
            invoice_calls.add_lines(world, Params({"lines": [line]}), draft["id"])
            opened = invoice_calls.finalize_call(world, Params({}), draft["id"])
        return factories.invoice(
            invoice.customer, external_id=opened["id"], amount_due=amount, currency=invoice.currency
        )

    def subscribed(self, number: int = 1, card: dict[str, Any] | None = None, **fields: Any) -> list[Invoice]:
        """Open invoices of one new customer, each of a subscription of its own whose first charge failed.

        `card` as in the sandbox's seeds; by default one that is declined at every charge.
        """
        world = self.server.world
        with world.lock:
            products = seeding.seed(world, {"products": [{"name": f"Plan {n + 1}"} for n in range(number)]})
            monthly = {"unit_amount": 4900, "currency": "eur", "recurring": {"interval": "month"}}
            prices = seeding.seed(world, {"prices": [monthly | {"product": row} for row in products["products"]]})
            holder = {
                "email": "giulia@example.com",
                "cards": [card or declining("generic_decline")],
                "subscriptions": [
                    {"price": price, "payment_behavior": "allow_incomplete"} for price in prices["prices"]
                ],
            }
            (theirs,) = seeding.seed(world, {"customers": [holder]})["customers"]
            stored = world.get("payment_method", theirs["payment_methods"][0])
            owed = [dict(i) for i in world.tables["invoice"].objects.values() if i["customer"] == theirs["id"]]
        customer = factories.customer(external_id=theirs["id"], **fields)
        factories.account()
        self.method(stored, customer, exp_month=stored["card"]["exp_month"], exp_year=stored["card"]["exp_year"])
        return [
            factories.invoice(
                customer,
                subscription=factories.subscription(
                    customer, external_id=subscription, status="past_due", plan_name=f"Plan {n}"
                ),
                external_id=invoice["id"],
                number=invoice["number"],
                amount_due=invoice["amount_remaining"],
                hosted_url=invoice["hosted_invoice_url"],
                pdf_url=invoice["invoice_pdf"],
                last_decline_code="generic_decline",
                last_decline_category="do_not_honor",
            )
            for n, (subscription, invoice) in enumerate(zip(theirs["subscriptions"], owed, strict=True), start=1)
        ]

    def bank_changes_its_mind(self, method: PaymentMethod) -> None:
        """From now on every charge of this card is approved."""
        self._post(f"/_sandbox/payment_methods/{method.external_id}", json={"issuer_profile": "always_ok"})

    def confirm(self, client_secret: str, *, number: str = "4242424242424242") -> str:
        """Does what Stripe's script does in the browser with a card; returns the id of the setup intent."""
        setup_intent = client_secret.split("_secret_")[0]
        card = {"number": number, "exp_month": "12", "exp_year": "2031", "cvc": "123"}
        form = {f"payment_method_data[card][{name}]": value for name, value in card.items()}
        self._post(
            f"/v1/setup_intents/{setup_intent}/confirm",
            data=form | {"payment_method_data[type]": "card", "client_secret": client_secret},
            headers={"Authorization": "Bearer pk_test_" + "a" * 24},
        )
        return setup_intent

    def _post(self, path: str, **content: Any) -> None:
        requests.post(self.server.url + path, timeout=10, **content).raise_for_status()

    def method(self, stored: dict[str, Any], customer: Any, **fields: Any) -> PaymentMethod:
        """Our row for a payment method of the sandbox."""
        if stored["type"] != "card":
            return factories.payment_method(customer, external_id=stored["id"], **(method_values(stored) | fields))
        card = stored["card"]
        return factories.payment_method(
            customer,
            external_id=stored["id"],
            brand=card["brand"],
            last4=card["last4"],
            fingerprint=card["fingerprint"],
            **fields,
        )

    def clock(self, until: datetime) -> None:
        """The sandbox's time goes on to `until`, with everything that falls due; nothing it tells is heard yet."""
        with self.server.world.lock:
            set_clock(self.server.world, int(until.timestamp()))

    def pass_time(self, until: datetime, *, lost: Container[str] = ()) -> None:
        """The same, and all it told so far is heard, once; but for events of types that get `lost`."""
        self.clock(until)
        world = self.server.world
        with world.lock:
            sent = [json.loads(world.events[pk]["raw"]) for pk in world.event_order if pk not in self.heard]
        for event in sent:
            self.heard.add(event["id"])
            if event["type"] in lost:
                continue
            store(source="stripe", event=event, now=until)
        while process_inbox(now=until, limit=100).claimed:
            pass

    def add_card(self, invoice: Invoice, **card: Any) -> PaymentMethod:
        """One more card of the invoice's customer, stored at the sandbox and here."""
        world = self.server.world
        with world.lock:
            holder = world.get("customer", invoice.customer.external_id)
            stored = world.get("payment_method", seeding.add_card(world, holder, card))
        return self.method(stored, invoice.customer, is_default=False)

    def fault(self, kind: str, **fields: Any) -> None:
        """The next charge suffers this."""
        self.server.faults.add({"kind": kind, "method": "POST", "path": "/pay$"} | fields)

    def charged(self, invoice: Invoice) -> list[int]:
        """Amounts of the charges that moved money for an invoice, as the sandbox's ledger has them."""
        entry = report(self.server.world)["invoices"].get(invoice.external_id)
        return list(entry["charges"].values()) if entry else []

    def tried(self) -> int:
        """Charges attempted, approved or not."""
        return len(self.server.world.tables["charge"])

    def only_the_customer_charges(self, invoice: Invoice, actor: Any, *, now: datetime, why: str) -> None:
        """Staff ask for a charge, with a reason and without: both times it is refused, and nothing is tried."""
        before = self.tried()
        for override in ("", "They agreed on the phone."):
            with pytest.raises(SollecitoError, match=why) as caught:
                charge_now(invoice_id=invoice.pk, origin="staff", now=now, actor_id=actor.pk, override=override)
            assert (caught.value.code, self.tried()) == ("needs_customer", before)


def declining(code: str) -> dict[str, Any]:
    """A card whose bank refuses every charge with this code."""
    return {"metadata": {"issuer_profile": "decline_charges", "issuer_code": code}}


def approving() -> dict[str, Any]:
    """A card of its own whose bank approves everything."""
    return {"metadata": {"issuer_profile": "always_ok"}}


def account(kind: str, code: str | None = None, **options: str) -> dict[str, Any]:
    """An account that can be debited; its bank returns every debit with `code`, or pays where there is none."""
    numbers = {
        "us_bank_account": {"account_number": "000123456789", "routing_number": "110000000"},
        "sepa_debit": {"iban": "DE89370400440532013000"},
        "bacs_debit": {"account_number": "00012345", "sort_code": "108800"},
    }
    bank = {"issuer_profile": "decline", "issuer_code": code} if code else {"issuer_profile": "always_ok"}
    return {"type": kind, kind: numbers[kind], "metadata": bank | options}
