"""What steps do besides writing, each once; other channels where the first reaches nobody; other ladders."""

import pytest

from billing.models import AttemptStatus, Fee, ProcessorCommand
from campaigns.engine.decide import decide
from campaigns.engine.run import escalate_all, escalate_due
from campaigns.engine.types import Outcome, RunFact
from campaigns.guard.types import Allowed, Blocked, Deferred
from campaigns.models import Case, Message, StepRun, Task
from customers.models import Interaction
from tests import factories
from tests.campaigns.engine.snapshots import DAY, HOUR, START, allow, case, guard, invoice, ladder, step
from tests.factories import NOW

# Pure


def only(*channels, late=()):
    """A guard that lets these channels pass, puts `late` ones off and has no address for the others."""

    def check(snapshot, channel, now):
        if channel in late:
            return Deferred(now + HOUR, "quiet.x", "At night.")
        return Allowed() if channel in channels else Blocked("address.missing")

    return check


EVERY_WAY = step(1, 0, fallback_channels=("sms", "call"))


@pytest.mark.parametrize(
    ("check", "outcome", "channel"),
    [
        (only("email", "sms"), Outcome.DONE, "email"),
        (only("sms"), Outcome.DONE, "sms"),
        (only("call"), Outcome.DONE, "call"),
        (only(), Outcome.BLOCKED, ""),
        # Hours are no reason to go another way.
        (only("sms", late=("email",)), Outcome.DEFERRED, ""),
        # What forbids the contact forbids every channel.
        (lambda *_: Blocked("customer.vulnerable"), Outcome.BLOCKED, ""),
    ],
)
def test_the_first_channel_that_reaches_somebody_is_taken(check, outcome, channel):
    decision = decide(case(ladder=ladder(EVERY_WAY)), START, guard=check)
    assert (decision.outcome, decision.channel) == (outcome, channel)


def test_a_channel_without_text_is_passed_over():
    mute = step(1, 0, fallback_channels=("sms",), mute=frozenset({"email"}))
    assert decide(case(ladder=ladder(mute)), START, guard=allow).channel == "sms"


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ({"message_status": "bounced", "channels": ("email",)}, ("sms", True)),
        ({"message_status": "failed", "channels": ("email", "sms")}, ("call", True)),
        ({"message_status": "cancelled", "message_rule": "address.suppressed", "channels": ("email",)}, ("sms", True)),
        # Stopped for the contact's sake, perhaps sent, or with a person already: no other way.
        ({"message_status": "cancelled", "message_rule": "customer.vulnerable", "channels": ("email",)}, ("", False)),
        ({"message_status": "ambiguous", "channels": ("email",)}, ("", False)),
        ({"message_status": "bounced", "channels": ("email",), "task_status": "open"}, ("", False)),
        ({"message_status": "delivered", "channels": ("email",)}, ("", False)),
        ({"message_status": "failed", "channels": ("email", "sms", "call")}, ("", False)),
    ],
)
def test_a_notice_that_did_not_arrive_goes_its_next_way(run, expected):
    spec = ladder(EVERY_WAY, step(2, 3))
    told = case(ladder=spec, position=1, runs={1: RunFact(1, "done", START, **run)})
    decision = decide(told, START + HOUR, guard=allow)
    assert (decision.channel, decision.again) == expected
    assert decision.runs == ()
    assert decision.position == 1


def test_when_no_way_is_left_a_person_is_asked_at_once():
    lost = {1: RunFact(1, "done", START, message_status="failed", channels=("email", "sms", "call"))}
    decision = decide(case(ladder=ladder(EVERY_WAY, step(2, 3)), position=1, runs=lost), START + HOUR, guard=allow)
    assert decision.tasks
    assert decision.act is None


def test_nobody_climbs_before_the_call_in_place_of_a_message_was_made():
    spec = ladder(EVERY_WAY, step(2, 3))
    called = case(ladder=spec, position=1, runs={1: RunFact(1, "done", START, task_status="open")})
    later = START + 4 * DAY
    assert decide(called, later, guard=allow).runs[0].rule == "heard.failed"
    made = called._replace(runs={1: RunFact(1, "done", START, task_status="done")})
    assert decide(made, later, guard=allow).act == spec.steps[1]


@pytest.mark.parametrize(
    ("action", "flag", "acts"),
    [
        ("late_fee", "legal_hold", False),
        ("suspend_service", "bankrupt", False),
        ("cancel_subscription", "vulnerable", False),
        ("retry_now", "vulnerable", True),
        ("retry_now", "no_dunning", False),
        ("tag", "legal_hold", True),
        ("call_task", "bankrupt", True),
    ],
)
def test_money_and_pressure_stop_at_exclusions(action, flag, acts):
    params = {"tag": "x"} if action == "tag" else {}
    rung = step(1, 0, action=action, channel="", params=params)
    decision = decide(case(ladder=ladder(rung), guard=guard(**{flag: True})), START, guard=allow)
    assert (decision.act is not None) is acts
    assert bool(decision.tasks) is not acts


def test_no_retry_is_ordered_on_a_card_that_was_refused_for_good():
    rung = step(1, 0, action="retry_now", channel="")
    decision = decide(case(ladder=ladder(rung), invoices=(invoice(asks_for="new_card"),)), START, guard=allow)
    assert (decision.act, decision.runs[0].rule) == (None, "one_clock.new_card")


def test_the_silent_phase_is_silent_while_the_card_may_still_be_charged():
    quiet = ladder(step(1, 0), step(2, 3), silent_hours=48)
    trying = (invoice(retry_at=START + 20 * HOUR),)
    decision = decide(case(ladder=quiet, invoices=trying), START, guard=allow)
    assert decision.runs[0].rule == "one_clock.silent"
    assert decide(case(ladder=quiet), START, guard=allow).act is not None, "nothing is tried: silence helps nobody"
    assert decide(case(ladder=quiet, invoices=trying), START + 48 * HOUR, guard=allow).act is not None


def test_a_case_handed_to_an_agency_waits_for_nobody_here():
    rung = step(1, 0, action="hand_to_agency", channel="")
    decision = decide(case(ladder=ladder(rung, step(2, 3))), START, guard=allow)
    assert (decision.state, decision.next_action_at) == ("agency", None)


# With the database


@pytest.fixture
def tick(db):
    def run(at=NOW):
        Case.objects.filter(closed_at=None, state="open").update(next_action_at=at)
        result = escalate_due(now=at)
        list(escalate_all(now=at))
        return result

    return run


def act(action, **fields):
    return {"offset": 0, "action": action, "channel": ""} | fields


def test_an_sms_where_there_is_no_mail_address(tick):
    version = factories.ladder(steps=[{"offset": 0, "fallback_channels": ["sms"]}])
    factories.text(factories.template(), channel="sms")
    factories.case(factories.customer(email="", phone="+390612345678"), ladder_version=version)
    tick()
    message = Message.objects.get()
    assert (message.channel, message.recipient) == ("sms", "+390612345678")
    assert StepRun.objects.get().reason == "Not by E-mail: There is no address for this channel."


def test_each_action_is_done_once_however_often_it_is_looked_at(tick):
    version = factories.ladder(
        steps=[
            act("tag", params={"tag": "late"}),
            act("suspend_service"),
            act("cancel_subscription"),
            act("late_fee"),
            act("notify_staff", params={"notes": "Look here."}),
            {"offset": 90},
        ]
    )
    customer = factories.customer(kind="business")
    subscription = factories.subscription(customer)
    bills = [factories.invoice(customer, subscription=subscription) for _ in range(2)]
    factories.case(customer, invoices=bills, ladder_version=version)
    for _ in range(12):
        tick(NOW + DAY)
    customer.refresh_from_db()
    assert customer.tags == ["late"]
    assert Interaction.objects.filter(kind="service.suspend").count() == 1
    assert list(ProcessorCommand.objects.values_list("kind", "subscription")) == [
        ("cancel_subscription", subscription.pk)
    ]
    assert sorted(Fee.objects.values_list("invoice", "amount", "currency")) == [
        (bill.pk, 4000, "EUR") for bill in sorted(bills, key=lambda bill: bill.pk)
    ]
    assert Task.objects.get().notes == "Look here."
    assert StepRun.objects.filter(decision="done").count() == 5


def test_a_fee_no_law_allows_is_for_a_person(tick):
    version = factories.ladder(steps=[act("interest"), {"offset": 90}])
    factories.case(factories.customer(kind="consumer"), ladder_version=version)
    tick(NOW + 5 * DAY)
    assert not Fee.objects.exists()
    assert "consumer" in Task.objects.get().notes


def test_retry_now_brings_the_planned_charge_forward_but_not_before_its_wait(tick):
    version = factories.ladder(steps=[act("retry_now"), {"offset": 90}])
    for code, category in (("insufficient_funds", "insufficient_funds"), ("lost_card", "lost_stolen")):
        customer = factories.customer()
        bill = factories.invoice(customer, last_decline_category=category, last_decline_code=code)
        factories.attempt(bill, at=NOW - 5 * DAY, decline_code=code, decline_category=category)
        factories.attempt(
            bill, status=AttemptStatus.PLANNED, origin="retry", at=None, scheduled_for=NOW + 9 * DAY, decline_code=""
        )
        factories.case(customer, invoices=[bill], ladder_version=version)
    tick()
    planned = {
        row.invoice.last_decline_category: row.scheduled_for
        for row in bill.attempts.model.objects.filter(status="planned").select_related("invoice")
    }
    assert planned == {"insufficient_funds": NOW, "lost_stolen": NOW + 9 * DAY}


def test_a_case_goes_over_to_another_ladder_and_begins_it(tick):
    other = factories.ladder(code="gentle", steps=[{"offset": 0, "key": "hello-again"}, {"offset": 5}])
    version = factories.ladder(
        steps=[{"offset": 0}],
        end_after_hours=1,
        end_actions=["start_ladder"],
        end_params={"start_ladder": {"ladder": "gentle"}},
    )
    row = factories.case(factories.customer(), ladder_version=version)
    tick()
    Message.objects.update(status="sent")
    tick(NOW + 2 * HOUR)
    row.refresh_from_db()
    assert (row.state, row.ladder_version, row.round) == ("open", other, 2)
    tick(NOW + 2 * DAY)
    assert [message.step_run.step.key for message in Message.objects.order_by("id")] == ["step-1", "hello-again"]
    assert not Interaction.objects.filter(kind__in=["case.lost", "case.exhausted"]).exists()


def test_the_end_at_an_agency_is_no_loss_yet(tick):
    version = factories.ladder(steps=[{"offset": 0}], end_after_hours=1, end_actions=["hand_to_agency"])
    row = factories.case(factories.customer(), ladder_version=version)
    tick()
    Message.objects.update(status="sent")
    for hours in (2, 3, 4):
        tick(NOW + hours * HOUR)
    row.refresh_from_db()
    assert (row.state, row.closed_at) == ("agency", None)
    assert Interaction.objects.filter(kind="case.handed_over").count() == 1
    assert Interaction.objects.get(kind="case.exhausted").data["balances"] == {"EUR": 4900}


@pytest.mark.parametrize("action", ["tag", "late_fee", "write_off", "suspend_service", "cancel_subscription"])
def test_actions_cost_as_many_queries_for_one_case_as_for_many(action, db):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    params = {"tag": "x"} if action == "tag" else {}
    version = factories.ladder(steps=[act(action, params=params), {"offset": 90}])

    def queries(count):
        for _ in range(count):
            customer = factories.customer(kind="business")
            bill = factories.invoice(customer, subscription=factories.subscription(customer), due_at=NOW - 3 * DAY)
            factories.case(customer, invoices=[bill], ladder_version=version)
        with CaptureQueriesContext(connection) as captured:
            assert escalate_due(now=NOW).done == count
        return len(captured)

    queries(1)  # caches
    assert queries(2) == queries(30)
