"""Whatever is asked of the sandbox in whatever order, its money adds up and it can be put on disk and read back."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dunning_site.embedded.stripe_sandbox import clock, control, snapshot
from dunning_site.embedded.stripe_sandbox.cards import TOKENS
from dunning_site.embedded.stripe_sandbox.errors import ApiError
from dunning_site.embedded.stripe_sandbox.idempotency import IdempotencyKeys
from dunning_site.embedded.stripe_sandbox.issuers import DAY
from dunning_site.embedded.stripe_sandbox.ledger import report
from dunning_site.embedded.stripe_sandbox.money_back import close_dispute, open_dispute
from dunning_site.embedded.stripe_sandbox.params import Params
from dunning_site.embedded.stripe_sandbox.routes import dispatch
from dunning_site.embedded.stripe_sandbox.seeding import seed
from dunning_site.embedded.stripe_sandbox.world import World

TOKEN = st.sampled_from(sorted(TOKENS))


class Sandbox(RuleBasedStateMachine):
    """Calls without the HTTP in between; refusals in Stripe's form are fine, anything else is a defect."""

    @initialize(retries=st.sampled_from(["off", "smart"]), after=st.sampled_from(["past_due", "unpaid", "cancel"]))
    def begin(self, retries: str, after: str) -> None:
        self.world = World()
        clock.set_clock(self.world, 1_770_000_000)
        self.world.settings.update(retries=retries, after_retries=after)
        price: dict[str, Any] = {"id": "price_p", "product": "prod_p", "unit_amount": 1500, "currency": "eur"}
        price["recurring"] = {"interval": "week"}
        seed(self.world, {"products": [{"id": "prod_p", "name": "P"}], "prices": [price]})
        # Random choices alone leave many a run without anything to pay.
        for token in ("pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired"):
            self._begin_subscription(token, None)

    def call(self, method: str, path: str, **params: Any) -> dict[str, Any]:
        try:
            return dispatch(self.world, method, path, Params(params), public=False)
        except ApiError:
            return {}

    def some(self, kind: str, number: int) -> str:
        ids = list(self.world.tables[kind].objects)
        return ids[number % len(ids)] if ids else f"{kind}_none"

    @rule(token=TOKEN, trial=st.sampled_from([None, "10"]))
    def subscribe(self, token: str, trial: str | None) -> None:
        self._begin_subscription(token, trial)

    def _begin_subscription(self, token: str, trial: str | None) -> None:
        customer = self.call("POST", "/v1/customers", email="a@example.com")["id"]
        card = self.call("POST", f"/v1/payment_methods/{token}/attach", customer=customer)["id"]
        more = {"trial_period_days": trial} if trial else {}
        items = [{"price": "price_p"}]
        self.call("POST", "/v1/subscriptions", customer=customer, items=items, default_payment_method=card, **more)

    @rule(days=st.integers(0, 20), hours=st.integers(0, 23))
    def wait(self, days: int, hours: int) -> None:
        clock.set_clock(self.world, self.world.now() + days * DAY + hours * 3_600)

    @rule(number=st.integers(0, 50), token=TOKEN, off_session=st.booleans())
    def pay(self, number: int, token: str, off_session: bool) -> None:
        path = f"/v1/invoices/{self.some('invoice', number)}/pay"
        self.call("POST", path, payment_method=token, off_session=str(off_session).lower())

    @rule(number=st.integers(0, 50), outcome=st.sampled_from(["pass", "fail"]))
    def authenticate(self, number: int, outcome: str) -> None:
        self.call("POST", f"/v1/payment_intents/{self.some('payment_intent', number)}/_authenticate", outcome=outcome)

    @rule(
        number=st.integers(0, 50),
        verb=st.sampled_from(["void", "mark_uncollectible", "finalize", "send"]),
    )
    def settle(self, number: int, verb: str) -> None:
        self.call("POST", f"/v1/invoices/{self.some('invoice', number)}/{verb}")

    @rule(number=st.integers(0, 50))
    def pay_elsewhere(self, number: int) -> None:
        self.call("POST", f"/v1/invoices/{self.some('invoice', number)}/pay", paid_out_of_band="true")

    @rule(number=st.integers(0, 50), amount=st.integers(1, 2000))
    def refund(self, number: int, amount: int) -> None:
        self.call("POST", "/v1/refunds", charge=self.some("charge", number), amount=str(amount))

    @rule(number=st.integers(0, 50), won=st.booleans())
    @precondition(lambda self: len(self.world.tables["charge"]))
    def dispute(self, number: int, won: bool) -> None:
        with contextlib.suppress(ApiError):
            close_dispute(self.world, open_dispute(self.world, {"charge": self.some("charge", number)})["id"], won=won)

    @rule(number=st.integers(0, 50))
    def lose_a_card(self, number: int) -> None:
        self.call("POST", f"/v1/payment_methods/{self.some('payment_method', number)}/detach")

    @rule(number=st.integers(0, 50), at_end=st.booleans())
    def cancel(self, number: int, at_end: bool) -> None:
        path = f"/v1/subscriptions/{self.some('subscription', number)}"
        if at_end:
            self.call("POST", path, cancel_at_period_end="true")
        else:
            self.call("DELETE", path)

    @rule(number=st.integers(0, 50))
    def leave(self, number: int) -> None:
        self.call("DELETE", f"/v1/customers/{self.some('customer', number)}")

    @invariant()
    def money_adds_up(self) -> None:
        ledger = report(self.world)
        assert ledger["double_charges"] == []
        for invoice in self.world.tables["invoice"].objects.values():
            charged = ledger["invoices"].get(invoice["id"], {"charged": 0})["charged"]
            assert invoice["amount_due"] == invoice["amount_paid"] + invoice["amount_remaining"]
            if invoice["status"] != "paid":
                assert (charged, invoice["amount_paid"]) == (0, 0)
            elif charged:
                assert charged == invoice["amount_due"]
        succeeded = [charge for charge in self.world.tables["charge"].objects.values() if charge["paid"]]
        assert sum(charge["amount"] for charge in succeeded) == sum(
            entry["amount"] for entry in ledger["entries"] if entry["kind"] == "charge"
        )

    @invariant()
    def states_agree(self) -> None:
        invoices = self.world.tables["invoice"].objects
        for subscription in self.world.tables["subscription"].objects.values():
            latest = invoices.get(subscription["latest_invoice"])
            if subscription["status"] == "past_due":
                assert any(
                    invoice["status"] == "open" and invoice["attempted"]
                    for invoice in invoices.values()
                    if invoice["customer"] == subscription["customer"]
                ) or (latest is not None and latest["status"] in {"draft", "open"})
        for intent in self.world.tables["payment_intent"].objects.values():
            assert (intent["status"] == "succeeded") == (intent["amount_received"] == intent["amount"])

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state.json"
            snapshot.save(self.world, IdempotencyKeys(), path)
            again = World()
            assert snapshot.load(again, IdempotencyKeys(), path)
        for kind, table in self.world.tables.items():
            assert again.tables[kind].all() == table.all()
        assert control.to_json(report(again)) == control.to_json(report(self.world))
        later = self.world.now() + 40 * DAY
        for world in (self.world, again):
            clock.set_clock(world, later)
        assert again.tables["invoice"].all() == self.world.tables["invoice"].all()
        assert again.tables["subscription"].all() == self.world.tables["subscription"].all()


TestSandbox = Sandbox.TestCase
TestSandbox.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
