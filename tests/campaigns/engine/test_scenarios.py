"""Stories on a calendar through the real loops: what happens on which day after the first failure."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.engine.assess import assess_all
from campaigns.engine.run import escalate_all
from campaigns.models import Case, Message, StepRun
from campaigns.models.case import LIVE_STATES
from campaigns.services.cases import case_pause, case_resume
from campaigns.services.promises import promise_record
from campaigns.signals import case_exhausted
from customers.models import Interaction
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
TICK = timedelta(hours=6)


def fail(customer, at, **fields):
    customer.reassess_at = at
    customer.save(update_fields=["reassess_at"])
    return factories.invoice(customer, first_failed_at=at, **fields)


def settle(invoice, at, status="paid"):
    invoice.status, invoice.paid_at, invoice.closed_at = status, at if status == "paid" else None, at
    invoice.amount_paid = invoice.amount_due if status == "paid" else 0
    invoice.save()
    invoice.customer.reassess_at = at
    invoice.customer.save(update_fields=["reassess_at"])


def tick(at, outcome="sent"):
    list(assess_all(now=at))
    list(escalate_all(now=at))
    Message.objects.filter(status="queued").update(status=outcome, sent_at=at)


def play(events, *, days, down=()):
    """Ticks four times a day for `days` days, with events by day; returns what was done on which day."""
    for number in range(days * 4 + 1):
        at = NOW + number * TICK
        if number % 4 == 0 and (event := events.get(number // 4)) is not None:
            event(at)
        if number // 4 not in down:
            tick(at)
    runs = [
        ((run.decided_at - NOW).days, run.step.key if run.decision == "done" else f"{run.step.key} {run.decision}")
        for run in StepRun.objects.select_related("step").order_by("decided_at", "step__position")
    ]
    ends = [
        ((line.at - NOW).days, line.kind)
        for line in Interaction.objects.filter(kind__in=["case.recovered", "case.lost", "case.cancelled"])
    ]
    return runs + ends


@pytest.fixture
def customer():
    factories.ladder()
    factories.template("payment_received")
    return factories.customer()


def test_nobody_pays(customer, django_capture_on_commit_callbacks):
    exhausted = []

    def hear(**kwargs):
        exhausted.append(kwargs["balances"])

    case_exhausted.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            done = play({0: lambda at: fail(customer, at)}, days=14)
    finally:
        case_exhausted.disconnect(hear)
    assert done == [(0, "step-1"), (3, "step-2"), (7, "step-3"), (10, "case.lost")]
    assert exhausted == [{"EUR": 4900}]
    assert Interaction.objects.get(kind="case.exhausted").data["balances"] == {"EUR": 4900}


def test_paid_after_the_second_mail(customer):
    bills = []
    done = play(
        {0: lambda at: bills.append(fail(customer, at)), 4: lambda at: settle(bills[0], at)},
        days=14,
    )
    assert done == [(0, "step-1"), (3, "step-2"), (4, "case.recovered")]
    assert [message.purpose for message in Message.objects.order_by("id")] == ["dunning", "dunning", "receipt"]
    bills[0].refresh_from_db()
    assert bills[0].recovered_by == "email"


def test_a_second_failure_brings_no_second_welcome(customer):
    done = play({0: lambda at: fail(customer, at), 2: lambda at: fail(customer, at)}, days=8)
    assert done == [(0, "step-1"), (3, "step-2"), (7, "step-3")]


def test_the_oldest_is_paid_and_the_younger_goes_its_own_way(customer):
    bills = []
    done = play(
        {
            0: lambda at: bills.append(fail(customer, at)),
            4: lambda at: fail(customer, at),
            5: lambda at: settle(bills[0], at),
        },
        days=15,
    )
    # On day 5 the younger is a day old: it has earned the first rung only, and step 2 speaks for it on its day 3.
    assert done == [(0, "step-1"), (3, "step-2"), (7, "step-2"), (11, "step-3"), (14, "case.lost")]


def test_after_an_outage_the_latest_step_only(customer):
    done = play({0: lambda at: fail(customer, at)}, days=13, down=range(1, 9))
    assert done == [(0, "step-1"), (9, "step-2 superseded"), (9, "step-3"), (12, "case.lost")]
    assert Message.objects.filter(purpose="dunning").count() == 2


def test_a_promise_rests_and_the_ladder_goes_on_where_it_stood(customer):
    def promise(at):
        promise_record(
            customer_id=customer.pk, brand_id=customer.brand_id, amount=4900, currency="EUR",
            promised_on=(at + 4 * DAY).date(), now=at,
        )  # fmt: skip

    done = play({0: lambda at: fail(customer, at), 1: promise}, days=20)
    # Promised by day 5, broken two days later at midnight; step 2 follows in the morning, step 3 four days after,
    # again in the morning: at night nobody is written to.
    assert done == [(0, "step-1"), (7, "step-2"), (12, "step-3"), (15, "case.lost")]


def test_end_actions_are_ordered_once(customer):
    from billing.models import ProcessorCommand

    version = factories.ladder(
        steps=[{"offset": 0}], end_after_hours=24, end_actions=["cancel_subscription", "mark_uncollectible"]
    )
    version.ladder.priority = 1
    version.ladder.save()
    subscription = factories.subscription(customer)
    play({0: lambda at: fail(customer, at, subscription=subscription)}, days=4)
    assert list(ProcessorCommand.objects.order_by("id").values_list("kind", flat=True)) == [
        "cancel_subscription",
        "mark_uncollectible",
    ]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["fail", "fail", "pay", "void", "dispute", "undispute", "promise", "pause", "resume", "bounce", "wait"]
        ),
        st.integers(0, 20),
    ),
    max_size=14,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS)
def test_whatever_happens_one_case_each_step_once(events, django_user_model):
    """Invariants 1, 2 and the decision's half of 4, over random histories."""
    if not Case.objects.exists():
        factories.ladder(end_actions=[])
    actor = django_user_model.objects.get_or_create(username="mia")[0].pk
    customer = factories.customer()
    at = NOW
    fail(customer, at)
    queued_before = 0
    for name, number in events:
        open_ones = list(customer.invoices.filter(status="open").order_by("id"))
        live = Case.objects.filter(customer=customer, state__in=LIVE_STATES).first()
        if name == "fail":
            fail(customer, at)
        elif name in ("pay", "void") and open_ones:
            settle(open_ones[number % len(open_ones)], at, "paid" if name == "pay" else "void")
        elif name in ("dispute", "undispute") and open_ones:
            bill = open_ones[number % len(open_ones)]
            bill.disputed_at = at if name == "dispute" else None
            bill.save()
            customer.reassess_at = at
            customer.save(update_fields=["reassess_at"])
        elif name == "promise" and open_ones and not customer.promises.filter(status="open").exists():
            promise_record(
                customer_id=customer.pk, brand_id=customer.brand_id, amount=100, currency="EUR",
                promised_on=(at + timedelta(days=number)).date(), now=at,
            )  # fmt: skip
        elif name == "pause" and live is not None:
            case_pause(case_id=live.pk, until=at + timedelta(days=number + 1), reason="", actor_id=actor, now=at)
        elif name == "resume" and live is not None:
            case_resume(case_id=live.pk, actor_id=actor, now=at)
        elif name == "wait":
            at += timedelta(days=number)
        at += TICK
        list(assess_all(now=at))
        resting = set(Case.objects.filter(customer=customer).exclude(state="open").values_list("id", flat=True))
        due_pause = set(
            Case.objects.filter(customer=customer, state="paused", rests_until__lte=at).values_list("id", flat=True)
        )
        before = set(Message.objects.filter(customer=customer, purpose="dunning").values_list("id", flat=True))
        list(escalate_all(now=at))
        fresh = Message.objects.filter(customer=customer, purpose="dunning").exclude(id__in=before)
        assert not fresh.filter(case_id__in=resting - due_pause).exists()
        fresh.filter(status="queued").update(status="bounced" if name == "bounce" else "sent", sent_at=at)
        assert Case.objects.filter(customer=customer, state__in=LIVE_STATES).count() <= 1
        sends = Message.objects.filter(customer=customer, purpose="dunning").values_list(
            "case_id", "step_run__step_id", "step_run__round"
        )
        assert len(sends) == len(set(sends))
        assert len(sends) >= queued_before
        queued_before = len(sends)
        if not customer.invoices.filter(status="open").exists():
            assert not Case.objects.filter(customer=customer, state__in=LIVE_STATES).exists()
