"""Random lives of one invoice: whatever breaks, its money is taken once and adds up (invariants 3, 4 and 5)."""

import contextlib
import json
from collections import Counter
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import F, Sum
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from billing import attempts, charge_path
from billing.charging import charge_due, charge_now, resolve_unknown
from billing.gateways.stripe_charges import moment
from billing.matching import ChargeFact
from billing.models import (
    Allocation,
    AttemptStatus,
    InboxEvent,
    Invoice,
    InvoicePaymentLink,
    InvoiceStatus,
    Payment,
    PaymentAttempt,
    ProcessorAccount,
    RetryState,
)
from billing.outcomes import charge_record
from billing.retries.loop import plan_retries
from customers.errors import SollecitoError
from customers.models import Customer
from dunning_site.embedded.stripe_sandbox import control
from dunning_site.embedded.stripe_sandbox.errors import ApiError
from dunning_site.embedded.stripe_sandbox.ledger import report
from tests.factories import NOW
from tests.stripe_world import StripeWorld

FAULTS = ["timeout_before", "timeout_after", "reset", "reset_after", "server_error", "server_error_after"]
FAULTS += ["rate_limit"]
REFUSALS = {"in_flight", "not_collectible", "limit_reached", "processor_unavailable", "no_method"}


class Killed(BaseException):
    """The process dies here."""


class Charges(RuleBasedStateMachine):
    """The world is shared by all examples of the test; each begins with a customer of its own."""

    world: StripeWorld

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.world.server.faults.clear()
        ProcessorAccount.objects.update(paused_until=None, consecutive_failures=0)
        card = {"metadata": {"issuer_profile": "do_not_honor", "issuer_ok": "0.3", "issuer_ok_night": "0.3"}}
        self.invoice = self.world.owing(card)

    @rule(hours=st.sampled_from([0.02, 0.1, 1, 30]))
    def time_passes(self, hours: float) -> None:
        self.now += timedelta(hours=hours)
        self.world.server.world.virtual_now = int(self.now.timestamp())

    @rule(kind=st.sampled_from(FAULTS))
    def something_breaks(self, kind: str) -> None:
        self.world.fault(kind, seconds=0.2)

    @rule(dies=st.booleans(), fault=st.sampled_from([*FAULTS, *FAULTS, None]))
    def a_retry_is_due(self, dies: bool, fault: str | None) -> None:
        if fault is not None:
            self.world.fault(fault, seconds=0.2)
        with transaction.atomic():
            fresh = Invoice.objects.select_for_update().get(pk=self.invoice.pk)
            active = fresh.attempts.filter(status__in=["planned", "in_flight", "unknown"])
            if fresh.status == InvoiceStatus.OPEN and not active.exists():
                PaymentAttempt.objects.create(
                    invoice=fresh,
                    number=attempts.next_number(fresh.pk),
                    status=AttemptStatus.PLANNED,
                    origin="retry",
                    payment_method=fresh.customer.payment_methods.get(),
                    amount=fresh.balance,
                    currency=fresh.currency,
                    scheduled_for=self.now,
                    idempotency_key=attempts.new_key(),
                )
        with pytest.MonkeyPatch.context() as patch:
            if dies:
                patch.setattr(charge_path, "record_result", self._die)
            with contextlib.suppress(Killed):
                charge_due(now=self.now, limit=10)

    def _die(self, *_args: object) -> None:
        raise Killed

    @rule()
    def the_loops_run(self) -> None:
        resolve_unknown(now=self.now, limit=10)
        plan_retries(now=self.now, limit=10)
        charge_due(now=self.now, limit=10)

    @rule(origin=st.sampled_from(["portal", "staff"]))
    def somebody_pays_now(self, origin: str) -> None:
        try:
            charge_now(invoice_id=self.invoice.pk, origin=origin, now=self.now)
        except SollecitoError as error:
            if error.code not in REFUSALS:
                raise

    @rule()
    def webhooks_come_again_and_in_disorder(self) -> None:
        world = self.world.server.world
        for charge in reversed(world.tables["charge"].all(customer=self.invoice.customer.external_id)):
            outcome = charge["outcome"]
            method = self.invoice.customer.payment_methods.get()
            fact = ChargeFact(
                charge_id=charge["id"],
                succeeded=charge["paid"],
                amount=charge["amount"],
                currency="EUR",
                at=moment(charge["created"]),
                payment_method_id=method.pk if charge["payment_method"] == method.external_id else None,
                decline_code=outcome["reason"] or "",
            )
            charge_record(invoice_id=self.invoice.pk, fact=fact, now=self.now)

    @rule()
    def the_customer_pays_on_the_hosted_page(self) -> None:
        try:
            control.handle(self.world.server, "POST", f"/_sandbox/pay/{self.invoice.external_id}", {}, {})
        except ApiError as error:
            if error.body["code"] != "invoice_already_paid":
                raise

    @rule()
    def a_dispute_begins(self) -> None:
        Invoice.objects.filter(pk=self.invoice.pk).update(disputed_at=self.now)

    @rule()
    def a_dispute_ends(self) -> None:
        Invoice.objects.filter(pk=self.invoice.pk, status="open").update(
            disputed_at=None, retry_state=RetryState.NEEDS_PLAN
        )

    @invariant()
    def money_is_taken_once(self) -> None:
        assert report(self.world.server.world)["double_charges"] == []
        assert len(self.world.charged(self.invoice)) <= 1

    @invariant()
    def each_attempt_is_one_charge(self) -> None:
        """The bank is asked at most once for one attempt, declines included, and only under keys that are stored.

        Counting charges against attempts would not do: an attempt whose call never arrived would hide a repetition.
        """
        asked = Counter(self._keys_of_charges())
        stored = set(self.invoice.attempts.filter(claimed_at__isnull=False).values_list("idempotency_key", flat=True))
        assert set(asked) <= stored
        assert set(asked.values()) <= {1}

    def _keys_of_charges(self) -> list[str]:
        """Idempotency keys of the charges we asked for, from the sandbox's own events."""
        events = self.world.server.world.events.values()
        told = [json.loads(e["raw"]) for e in events if e["type"] in ("charge.succeeded", "charge.failed")]
        holder = self.invoice.customer.external_id
        return [
            key for e in told if e["data"]["object"]["customer"] == holder and (key := e["request"]["idempotency_key"])
        ]

    @invariant()
    def one_charge_at_a_time(self) -> None:
        assert self.invoice.attempts.filter(status__in=["in_flight", "unknown"]).count() <= 1
        assert self.invoice.attempts.filter(status="planned").count() <= 1
        numbers = list(self.invoice.attempts.order_by("number").values_list("number", flat=True))
        assert numbers == list(range(1, len(numbers) + 1))

    @invariant()
    def money_adds_up(self) -> None:
        fresh = Invoice.objects.get(pk=self.invoice.pk)
        allocated = Allocation.objects.filter(invoice=fresh).aggregate(sum=Sum("amount"))["sum"] or 0
        assert allocated == fresh.amount_paid <= fresh.amount_due
        assert (fresh.status == InvoiceStatus.PAID) == (fresh.balance == 0)
        assert not Payment.objects.exclude(currency="EUR").exists()
        assert not Payment.objects.filter(allocated__gt=F("amount")).exists()
        assert fresh.amount_paid <= sum(self.world.charged(fresh))

    def teardown(self) -> None:
        """However it was left, it comes to rest: everything is resolved, and both sides agree."""
        self.world.server.faults.clear()
        for _hour in range(4):
            self.now += timedelta(hours=1)
            self.world.server.world.virtual_now = int(self.now.timestamp())
            resolve_unknown(now=self.now, limit=10)
        self.each_attempt_is_one_charge()
        assert not self.invoice.attempts.filter(status__in=["in_flight", "unknown"]).exists()
        self.webhooks_come_again_and_in_disorder()
        fresh = Invoice.objects.get(pk=self.invoice.pk)
        assert fresh.amount_paid == sum(self.world.charged(fresh))
        self.money_is_taken_once()
        self.money_adds_up()
        for model in (InboxEvent, InvoicePaymentLink, Customer):
            model.objects.all().delete()


@pytest.mark.django_db
@pytest.mark.slow
def test_whatever_breaks_money_is_taken_once_and_adds_up(stripe_world, settings_for_speed):
    Charges.world = stripe_world
    run_state_machine_as_test(
        Charges,
        settings=settings(
            max_examples=25,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            # Shortening a failure runs it hundreds of times; it is told at once instead.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def settings_for_speed(settings, stripe_world):
    """A time-out costs this many seconds per fault."""
    settings.STRIPE_TIMEOUT = 0.1
