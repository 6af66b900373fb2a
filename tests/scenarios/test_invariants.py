"""Random lives of two customers through all loops at once: the invariants hold whatever happens, in any order.

The database, the sandbox and the mail server are real; what outsiders saw is noted by `witness` at the moment they
saw it. Each example begins with customers of its own and is wiped by one TRUNCATE.
"""

import contextlib
import json
import random
from datetime import timedelta
from itertools import zip_longest

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import Count, F, Sum
from django.db.models.functions import Coalesce
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from billing import charge_path
from billing.charging import charge_due, charge_now, resolve_unknown
from billing.ingest import process
from billing.ingest.inbox import store
from billing.ingest.process import process_inbox
from billing.ingest.state import canonical_state, differences
from billing.locks import lock_invoice
from billing.models import (
    Dispute,
    InboxEvent,
    Invoice,
    Payment,
    PaymentAttempt,
    PaymentMethod,
    ProcessorAccount,
    Promise,
    RetryState,
)
from billing.retries.loop import plan_retries
from campaigns import delivery, letter, outbox, sweeping
from campaigns.engine.assess import assess_all
from campaigns.engine.run import escalate_all
from campaigns.models import Case, Message
from campaigns.models.case import LIVE_STATES
from campaigns.services.case_moves import cases_migrate
from campaigns.services.cases import case_pause, case_resume
from campaigns.services.promises import promise_record
from customers.errors import SollecitoError
from customers.models import Customer
from customers.services import customers_reassess
from dunning_site.embedded.stripe_sandbox import clock, control, invoice_calls, methods, money_back, seeding
from dunning_site.embedded.stripe_sandbox.ledger import report
from dunning_site.embedded.stripe_sandbox.params import Params
from tests import factories
from tests.factories import NOW
from tests.scenarios.witness import Witness
from tests.stripe_world import StripeWorld

DAY = timedelta(days=1)
FAULTS = ["timeout_before", "timeout_after", "reset_after", "server_error_after", "server_error", "rate_limit"]
#: Where a worker may die, and the loop that comes by there.
DEATHS = {
    "after the claim of a charge": (charge_path, "pay"),
    "before its record": (charge_path, "record_result"),
    "before facts are written": (process, "run_unit"),
    "before a mail is handed over": (outbox, "hand_over"),
    "before it is noted as sent": (outbox, "record_sent"),
}
FLAGS = ["do_not_contact", "no_dunning", "legal_hold", "vulnerable"]
whom = st.integers(0, 1)
seeds = st.integers(0, 1000)


class Killed(BaseException):
    """The process dies here."""


def _die(*_args, **_more):
    raise Killed


class Lives(RuleBasedStateMachine):
    """Two customers with a weekly subscription each, on cards that are refused two times out of three."""

    world: StripeWorld
    witness: Witness
    staff: int

    def __init__(self):
        super().__init__()
        server = self.world.server
        server.reset(seed=1)
        self.sandbox = server.world
        self.witness.forget()
        self.backlog, self.seen, self.disputes = [], 0, []
        self.sandbox.virtual_now = int(NOW.timestamp())
        self.now = NOW
        factories.account()
        retry, tag = ({"action": action, "channel": ""} for action in ("retry_now", "tag"))
        usual = [
            {"offset": 0},
            {"offset": 1} | retry,
            {"offset": 2},
            {"offset": 4} | tag,
            {"offset": 4},
            {"offset": 9},
        ]
        usual[3]["params"] = {"tag": "late"}
        # A broken promise has a ladder of its own; staff move cases to and fro between the two.
        self.ladders = [
            factories.ladder(steps=usual).pk,
            factories.ladder(
                steps=[{"offset": 0}, {"offset": 3}, usual[3] | {"offset": 5}], trigger="promise_broken"
            ).pk,
        ]
        factories.template("payment_received")
        self.holders = [self._subscriber(currency) for currency in ("eur", "usd")]
        # Past the first renewal, which is where it begins.
        self._forward(7 * DAY + timedelta(hours=2))
        self._deliver(self._told())

    def _subscriber(self, currency):
        card = {"issuer_profile": "do_not_honor", "issuer_ok": "0.3", "issuer_ok_night": "0.3"}
        card["issuer_from"] = str(int(NOW.timestamp()) + 3600)
        with self.sandbox.lock:
            (product,) = seeding.seed(self.sandbox, {"products": [{"name": "Team"}]})["products"]
            weekly = {"interval": "week"}
            price = {"unit_amount": 4900, "currency": currency, "recurring": weekly, "product": product}
            (price_id,) = seeding.seed(self.sandbox, {"prices": [price]})["prices"]
            holder = {"email": f"{currency}@example.com", "address": {"country": "IT"}, "cards": [{"metadata": card}]}
            holder["subscriptions"] = [{"price": price_id}]
            return seeding.seed(self.sandbox, {"customers": [holder]})["customers"][0]["id"]

    # Time and the loops

    def _forward(self, by):
        self.now += by
        with self.world.server.keys.lock:
            for answer in self.world.server.keys.answers.values():
                answer["at"] -= by.total_seconds()
        with self.sandbox.lock:
            self.sandbox.request = {"id": None, "idempotency_key": None}
            clock.set_clock(self.sandbox, int(self.now.timestamp()))

    @rule(hours=st.sampled_from([0.05, 0.3, 2, 26, 74]))
    def time_passes(self, hours):
        self._forward(timedelta(hours=hours))

    @rule()
    def the_loops_run(self):
        self._loops()

    def _loops(self):
        self._ingest()
        resolve_unknown(now=self.now, limit=50)
        plan_retries(now=self.now, limit=50)
        charge_due(now=self.now, limit=50)
        plan_retries(now=self.now, limit=50)
        for _result in assess_all(now=self.now):
            pass
        for _result in escalate_all(now=self.now):
            pass
        sweeping.sweep(now=self.now)
        delivery.deliver_due(now=self.now)

    def _ingest(self):
        # A failure that heals at the next try is one all the same: nothing that is read here ever breaks.
        while (result := process_inbox(now=self.now)).claimed:
            assert not result.failed, InboxEvent.objects.exclude(error="").values_list("type", "error").first()

    @rule(fault=st.sampled_from(FAULTS), minutes=st.sampled_from([0, 2, 15]))
    def a_charge_breaks(self, fault, minutes):
        """Whatever retry is planned next falls due now, its call suffers this, and it is asked about later."""
        plan_retries(now=self.now, limit=50)
        first = PaymentAttempt.objects.filter(status="planned").order_by("scheduled_for").first()
        if first is not None and first.scheduled_for > self.now:
            self._forward(first.scheduled_for - self.now)
        self.world.fault(fault, seconds=0.2)
        charge_due(now=self.now, limit=50)
        self._ask_later(minutes)

    def _ask_later(self, minutes):
        """Without a webhook in between, which would tell the outcome before anybody asks."""
        self.world.server.faults.clear()
        if minutes:
            self._forward(timedelta(minutes=minutes))
            resolve_unknown(now=self.now, limit=50)

    @rule(where=st.sampled_from(sorted(DEATHS)), minutes=st.sampled_from([1, 15]))
    def a_worker_dies(self, where, minutes):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(*DEATHS[where], _die)
            with contextlib.suppress(Killed):
                self._loops()
        self._forward(timedelta(minutes=minutes))
        self._loops()

    # Webhooks

    def _told(self):
        fresh = list(self.sandbox.event_order)[self.seen :]
        self.seen += len(fresh)
        return [json.loads(self.sandbox.events[event_id]["raw"]) for event_id in fresh]

    def _deliver(self, events):
        for event in events:
            store(source="stripe", event=event, now=self.now)
        self._ingest()

    @rule()
    def webhooks_come(self):
        late, self.backlog = self.backlog, []
        self._deliver([*late, *self._told()])

    @rule(seed=seeds)
    def webhooks_come_late_twice_and_in_disorder(self, seed):
        dice = random.Random(seed)
        waiting = [*self.backlog, *self._told()]
        dice.shuffle(waiting)
        self.backlog = waiting[: len(waiting) // 3]
        now = waiting[len(waiting) // 3 :]
        again = [event | {"id": f"{event['id']}_again{seed}"} for event in now if dice.random() < 0.3]
        self._deliver([*now, *again])

    # What customers do

    def _owed(self, who):
        with self.sandbox.lock:
            return [
                i["id"]
                for i in self.sandbox.tables["invoice"].all(customer=self.holders[who])
                if i["status"] == "open"
            ]

    def _customer(self, who):
        return Customer.objects.get(external_id=self.holders[who])

    @rule(who=whom, good=st.booleans())
    def a_card_is_replaced(self, who, good):
        with self.sandbox.lock:
            self.sandbox.request = {"id": None, "idempotency_key": None}
            holder = self.sandbox.get("customer", self.holders[who])
            profile = {"issuer_profile": "always_ok"} if good else {"issuer_profile": "decline_charges"}
            methods.set_default(self.sandbox, holder, seeding.add_card(self.sandbox, holder, {"metadata": profile}))

    @rule(who=whom, told=st.sampled_from(["later", "in order", "backwards"]))
    def the_customer_pays_on_the_hosted_page(self, who, told):
        self._pay(who)
        if told == "in order":
            self._deliver(self._told())
        elif told == "backwards":
            # One by one, so that the invoice is known as paid before any charge is.
            for event in reversed(self._told()):
                self._deliver([event])

    def _pay(self, who):
        for invoice in self._owed(who)[:1]:
            control.handle(self.world.server, "POST", f"/_sandbox/pay/{invoice}", {}, {})

    @rule(who=whom, fault=st.sampled_from([None, *FAULTS]), minutes=st.sampled_from([0, 2, 15]))
    def the_customer_pays_in_the_portal(self, who, fault, minutes):
        for invoice in Invoice.objects.filter(customer__external_id=self.holders[who], status="open")[:1]:
            if fault:
                self.world.fault(fault, seconds=0.2)
            with contextlib.suppress(SollecitoError):
                charge_now(invoice_id=invoice.pk, origin="portal", now=self.now)
            self._ask_later(minutes)

    @rule(who=whom, days=st.integers(0, 10))
    def a_promise_is_made(self, who, days):
        self._promise(who, days)

    def _promise(self, who, days):
        owed = Invoice.objects.filter(customer__external_id=self.holders[who], status="open").first()
        if owed is not None:
            with contextlib.suppress(SollecitoError):
                promise_record(
                    customer_id=owed.customer_id, brand_id=owed.brand_id, amount=owed.balance, currency=owed.currency,
                    promised_on=self.now.date() + timedelta(days=days), now=self.now,
                )  # fmt: skip

    @rule(who=whom)
    def a_paid_charge_is_disputed(self, who):
        with self.sandbox.lock:
            self.sandbox.request = {"id": None, "idempotency_key": None}
            charges = self.sandbox.tables["charge"].all(customer=self.holders[who])
            for charge in [c for c in charges if c["paid"] and not c["disputed"]][:1]:
                self.disputes.append(money_back.open_dispute(self.sandbox, {"charge": charge["id"]})["id"])

    @rule(won=st.booleans())
    def the_bank_decides_a_dispute(self, won):
        if self.disputes:
            with self.sandbox.lock:
                money_back.close_dispute(self.sandbox, self.disputes.pop(), won=won)

    # What staff do

    @rule(who=whom, close=st.sampled_from([invoice_calls.void, invoice_calls.mark_uncollectible]))
    def an_invoice_is_given_up(self, who, close):
        for invoice in self._owed(who)[:1]:
            with self.sandbox.lock:
                self.sandbox.request = {"id": None, "idempotency_key": None}
                close(self.sandbox, Params({}), invoice)

    @rule(who=whom, days=st.sampled_from([None, 1, 5]))
    def a_case_is_paused(self, who, days):
        self._pause(who, days)

    def _pause(self, who, days):
        for case in Case.objects.filter(customer__external_id=self.holders[who], state__in=LIVE_STATES):
            until = self.now + days * DAY if days else None
            with contextlib.suppress(SollecitoError):
                case_pause(case_id=case.pk, until=until, reason="x", actor_id=self.staff, now=self.now)

    @rule(who=whom)
    def a_case_is_resumed(self, who):
        for case in Case.objects.filter(customer__external_id=self.holders[who], state="paused"):
            case_resume(case_id=case.pk, actor_id=self.staff, now=self.now)

    @rule(who=whom, to=st.integers(0, 1))
    def a_case_is_moved_to_another_ladder(self, who, to):
        cases = Case.objects.filter(customer__external_id=self.holders[who]).values_list("pk", flat=True)
        cases_migrate(case_ids=list(cases), version_id=self.ladders[to], actor_id=self.staff, now=self.now)

    @rule(who=whom, flag=st.sampled_from(FLAGS), on=st.booleans())
    def a_flag_is_set(self, who, flag, on):
        self._flag(who, flag, on)

    def _flag(self, who, flag, on):
        with transaction.atomic():
            customer = self._customer(who)
            Customer.objects.filter(pk=customer.pk).update(**{flag: on})
            customers_reassess([customer.pk], self.now)

    @rule(who=whom)
    def an_open_invoice_is_contested(self, who):
        self._contest(who)

    def _contest(self, who):
        self._rest(who, "open", {})

    @rule(who=whom)
    def it_is_contested_no_longer(self, who):
        for dispute in Dispute.objects.filter(
            source="manual", status="open", invoice__customer__external_id=self.holders[who]
        ):
            with transaction.atomic():
                invoice = lock_invoice(dispute.invoice_id)
                Dispute.objects.filter(pk=dispute.pk).update(status=Dispute.Status.WITHDRAWN, closed_at=self.now)
                values = {"retry_state": RetryState.NEEDS_PLAN} if invoice.status == "open" else {}
                others = invoice.disputes.filter(status="open").order_by("opened_at").first()
                Invoice.objects.filter(pk=invoice.pk).update(
                    disputed_at=others.opened_at if others else None, **values
                )
                customers_reassess([invoice.customer_id], self.now)

    @rule(who=whom, on=st.booleans())
    def a_plan_is_agreed_or_ended(self, who, on):
        self._rest(who, None, {"in_plan": on})

    def _rest(self, who, dispute, values):
        with transaction.atomic():
            for pk in Invoice.objects.filter(customer__external_id=self.holders[who], status="open").values_list(
                "pk", flat=True
            )[:1]:
                invoice = lock_invoice(pk)
                if dispute:
                    row, _made = Dispute.objects.get_or_create(
                        invoice=invoice, source="manual", status="open",
                        defaults={"amount": invoice.balance, "currency": invoice.currency, "opened_at": self.now},
                    )  # fmt: skip
                    values = {"disputed_at": row.opened_at}
                Invoice.objects.filter(pk=pk).update(**values)
                customers_reassess([invoice.customer_id], self.now)

    @rule(what=st.sampled_from(["pause", "promise", "pay", "contest", *FLAGS]), hours=st.sampled_from([0, 26]))
    def something_comes_between_writing_and_sending(self, what, hours):
        """The customer of a mail does this while its text is being written."""
        write = letter.write

        def busy(sending, links, now):
            text = write(sending, links, now)
            who = self.holders.index(sending.message.customer.external_id)
            acts = {
                "pause": lambda: self._pause(who, 5),
                "promise": lambda: self._promise(who, 5),
                "pay": lambda: self._pay_all(who),
                "contest": lambda: self._contest_all(who),
            }
            acts.get(what, lambda: self._flag(who, what, True))()
            return text

        self._forward(timedelta(hours=hours))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(letter, "write", busy)
            self._loops()

    def _pay_all(self, who):
        while self._owed(who):
            self._pay(who)
        self._deliver(self._told())

    def _contest_all(self, who):
        for _invoice in range(Invoice.objects.filter(customer__external_id=self.holders[who], status="open").count()):
            self._contest(who)

    # What holds

    @invariant()
    def it_holds(self):
        self.nobody_outside_saw_what_must_not_be()
        self.one_live_case_and_each_step_once()
        self.one_charge_in_flight()
        self.money_is_conserved()

    def nobody_outside_saw_what_must_not_be(self):
        assert self.witness.wrong == []

    def one_live_case_and_each_step_once(self):
        live = Case.objects.filter(state__in=LIVE_STATES).values("customer", "brand").annotate(n=Count("id"))
        assert not live.filter(n__gt=1).exists()
        runs = Message.objects.filter(step_run__isnull=False).values("step_run").annotate(n=Count("id"))
        assert not runs.filter(n__gt=1).exists()
        # Whatever ladders the case has followed meanwhile: what is called the same is said once.
        said = Message.objects.filter(step_run__isnull=False).values("case", "step_run__round", "step_run__step__key")
        assert not said.annotate(n=Count("id")).filter(n__gt=1).exists()

    def one_charge_in_flight(self):
        for statuses in (["in_flight", "unknown"], ["planned"]):
            rows = PaymentAttempt.objects.filter(status__in=statuses).values("invoice").annotate(n=Count("id"))
            assert not rows.filter(n__gt=1).exists()

    def money_is_conserved(self):
        total = Coalesce(Sum("allocations__amount"), 0)
        for invoice in Invoice.objects.annotate(given=total):
            # An invoice may be told paid before the charge that paid it; never the other way round.
            assert invoice.given <= invoice.amount_paid <= invoice.amount_due
            assert (invoice.status == "paid") == (invoice.balance == 0 and invoice.status != "void")
        for payment in Payment.objects.annotate(given=total):
            assert payment.given == payment.allocated <= payment.amount
        mixed = Payment.objects.exclude(allocations__invoice__currency=F("currency"))
        assert not mixed.filter(allocations__isnull=False).exists()
        assert report(self.sandbox)["double_charges"] == []

    # How it ends

    def teardown(self):
        try:
            self._settle()
            self._compare()
        finally:
            _wipe()

    def _settle(self):
        self.world.server.faults.clear()
        for hours in (1, 2, 2):
            self._forward(timedelta(hours=hours))
            ProcessorAccount.objects.update(paused_until=None)
            self._deliver([*self.backlog, *self._told()])
            self.backlog = []
            self._loops()
        self._deliver(self._told())
        self._loops()
        self._deliver(self._told())

    def _compare(self):
        self.it_holds()
        assert not InboxEvent.objects.filter(status__in=["pending", "failed"]).exists()
        assert not PaymentAttempt.objects.filter(status__in=["in_flight", "unknown"]).exists()
        tables = {name: self.sandbox.tables[name].objects.values() for name in ("invoice", "charge", "payment_method")}
        theirs = {i["id"]: (i["status"], i["amount_due"], i["amount_paid"]) for i in tables["invoice"]}
        ours = Invoice.objects.values_list("external_id", "status", "amount_due", "amount_paid")
        assert {name: facts for name, *facts in map(list, ours)} == {n: list(f) for n, f in theirs.items()}
        charges = {c["id"]: (c["amount"], c["paid"]) for c in tables["charge"]}
        attempts = PaymentAttempt.objects.filter(status__in=["succeeded", "declined"])
        told = [(a.external_id, (a.amount, a.status == "succeeded")) for a in attempts]
        assert dict(told) == charges
        assert len(told) == len(charges)
        paid = {charge: amount for charge, (amount, paid) in charges.items() if paid}
        assert dict(Payment.objects.values_list("external_id", "amount")) == paid
        cards = {m["id"] for m in tables["payment_method"] if m["customer"]}
        stored = PaymentMethod.objects.filter(detached_at__isnull=True, attached_at__isnull=False)
        assert set(stored.values_list("external_id", flat=True)) == cards
        allocated = Sum("allocations__amount")
        assert not Invoice.objects.annotate(given=Coalesce(allocated, 0)).exclude(given=F("amount_paid")).exists()
        self._cases_agree()
        self._told_again_changes_nothing()

    def _cases_agree(self):
        """Nobody is dunned who owes nothing, and nobody who owes is forgotten."""
        for customer in Customer.objects.all():
            owed = customer.invoices.filter(status="open", first_failed_at__isnull=False)
            case = customer.cases.filter(state__in=LIVE_STATES).first()
            if customer.no_dunning or not owed.exists():
                assert case is None
                continue
            pressed = owed.filter(disputed_at=None, in_plan=False)
            ended = customer.cases.filter(close_reason__in=["exhausted", "staff"]).exists()
            assert case is not None or ended or not pressed.exists()
            promised = Promise.objects.filter(customer=customer, status="open").exists()
            if case is not None and case.state == "open":
                assert pressed.exists()
                assert not promised
                assert case.next_action_at is not None

    def _told_again_changes_nothing(self):
        before = _facts()
        events = [json.loads(event["raw"]) for event in self.sandbox.events.values()]
        random.Random(len(events)).shuffle(events)
        self._deliver([event | {"id": event["id"] + "_told_again"} for event in events])
        after = _facts()
        if differences(before, after):
            pytest.fail(_fields(before, after))


def _facts():
    """What outsiders told: without our own plans, and how the retries of a disputed invoice came to rest."""
    state = canonical_state()
    state["attempts"] = [attempt for attempt in state["attempts"] if attempt["external_id"]]
    for attempt in state["attempts"]:
        del attempt["number"]
    for invoice in state["invoices"]:
        if invoice["disputed_at"]:
            del invoice["retry_state"], invoice["retry_reason"]
    return state


def _fields(before, after):
    """What changed, field by field."""
    pairs = [(table, *rows) for table in before for rows in zip_longest(before[table], after[table], fillvalue={})]
    return "\n".join(
        f"{table} {one.get('external_id')}: {name} {one.get(name)!r} -> {two.get(name)!r}"
        for table, one, two in pairs
        for name in {**one, **two}
        if one.get(name) != two.get(name)
    )


def _wipe():
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE customers_brand, customers_customer, campaigns_ladder, campaigns_template, billing_inboxevent,"
            " billing_invoicepaymentlink CASCADE"
        )


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_invariants_hold_whatever_happens(stripe_world, smtp_sink, settings):
    settings.STRIPE_TIMEOUT = 0.1
    Lives.world, Lives.witness = stripe_world, Witness(stripe_world.server, smtp_sink)
    Lives.staff = get_user_model().objects.create_user("ada", is_staff=True).pk
    try:
        run_state_machine_as_test(Lives, settings=_budget())
    finally:
        Lives.witness.close()


def _budget():
    """As the profile says: the suite's is repeatable and short, `--hypothesis-profile=search` looks further."""
    short = settings.default.derandomize
    return settings(
        max_examples=12 if short else settings.default.max_examples,
        stateful_step_count=22 if short else 50,
        # Shortening a failure runs it hundreds of times, a second each: the search does that, not the suite.
        phases=[Phase.generate] if short else tuple(Phase),
        suppress_health_check=list(HealthCheck),
    )
