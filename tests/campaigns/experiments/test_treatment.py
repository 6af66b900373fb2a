"""From the draw to the case: each arm gets its treatment, its first meeting is written once, holdouts hear nothing."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import RetryState
from campaigns.engine.assess import assess_customers
from campaigns.engine.run import escalate_due
from campaigns.experiments.assignment import assign
from campaigns.experiments.services import experiment_start, experiment_stop
from campaigns.experiments.treatment import Arm, Trial, draw
from campaigns.models import Case, Experiment, ExperimentArm, ExperimentExposure, Message, Segment, StepRun, Task
from customers.models import Customer
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def started(**fields: Any) -> Experiment:
    experiment = f.experiment(**fields)
    return experiment_start(experiment_id=experiment.pk, actor_id=None, now=NOW)


def debtors(count: int, **fields: Any) -> list[Customer]:
    people = [f.customer(reassess_at=NOW, **fields) for _ in range(count)]
    for customer in people:
        f.invoice(customer)
    return people


def drawn(experiment: Experiment, customer: Customer) -> ExperimentArm:
    return assign(experiment.code, list(experiment.arms.order_by("position")), customer.pk)


def test_new_cases_follow_the_version_of_their_arm() -> None:
    old, new = f.ladder(), f.ladder(active=False)
    experiment = started(ladder=old.ladder, arms=[{"name": "old"}, {"name": "new", "ladder_version": new}])
    people = debtors(24)
    assess_customers(now=NOW)
    for customer in people:
        arm = drawn(experiment, customer)
        case = Case.objects.get(customer=customer)
        assert case.ladder_version == (new if arm.name == "new" else old)
        exposure = ExperimentExposure.objects.get(customer=customer)
        assert (exposure.arm, exposure.case, exposure.at) == (arm, case, NOW)
    assert {exposure.arm.name for exposure in ExperimentExposure.objects.all()} == {"old", "new"}


def test_holdouts_hear_nothing_to_the_end_and_the_others_go_on() -> None:
    version = f.ladder(steps=[{"offset": 0}, {"offset": 3, "action": "call_task"}, {"offset": 5}])
    experiment = started(ladder=version.ladder)
    people = debtors(16)
    assess_customers(now=NOW)
    for day in (0, 3, 5, 9):
        escalate_due(now=NOW + day * DAY)
    held = {customer.pk for customer in people if drawn(experiment, customer).holdout}
    assert 0 < len(held) < 16
    assert not Message.objects.filter(customer__in=held).exists()
    assert not Task.objects.filter(customer__in=held, kind="call").exclude(key__startswith="end").exists()
    assert Message.objects.exclude(customer__in=held).count() >= 16 - len(held)
    runs = StepRun.objects.filter(case__customer__in=held)
    assert {run.decision for run in runs} == {"skipped"}
    assert all("without contact" in run.reason for run in runs)
    # The ladder ends for them when it ends for the others, so that both are judged on the same day.
    assert not Case.objects.filter(customer__in=held, closed_at__isnull=True).exists()


def test_a_stop_has_the_held_out_written_to_again() -> None:
    version = f.ladder(steps=[{"offset": 0}, {"offset": 3}])
    experiment = started(ladder=version.ladder)
    people = debtors(12)
    assess_customers(now=NOW)
    escalate_due(now=NOW)
    experiment_stop(experiment_id=experiment.pk, actor_id=None, reason="enough", now=NOW + DAY)
    escalate_due(now=NOW + 3 * DAY)
    held = [customer for customer in people if drawn(experiment, customer).holdout]
    assert Message.objects.filter(customer__in=held).count() == len(held) > 0


def test_cases_under_way_at_the_start_are_no_holdouts() -> None:
    version = f.ladder(steps=[{"offset": 0}, {"offset": 3}])
    people = debtors(8)
    assess_customers(now=NOW)
    started(ladder=version.ladder)
    escalate_due(now=NOW)
    assert Message.objects.filter(customer__in=people).count() == 8
    assert not ExperimentExposure.objects.exists()


def test_retries_of_a_holdout_without_retries_are_stopped_and_resumed() -> None:
    version = f.ladder()
    arms = [{"name": "as ever"}, {"name": "alone", "holdout": True, "retries": False}]
    experiment = started(ladder=version.ladder, arms=arms)
    people = debtors(10)
    for customer in people:
        invoice = customer.invoices.get()
        invoice.retry_state = RetryState.PLANNED
        invoice.save(update_fields=["retry_state"])
        f.attempt(invoice, status="planned", at=None, scheduled_for=NOW + DAY, decline_code="", decline_category="")
    assess_customers(now=NOW)
    alone = [customer for customer in people if not drawn(experiment, customer).retries]
    assert 0 < len(alone) < 10
    for customer in people:
        state = customer.invoices.get().retry_state
        assert state == (RetryState.STOPPED if customer in alone else RetryState.PLANNED)
    # What joins later is held as well.
    late = f.invoice(alone[0], retry_state=RetryState.NEEDS_PLAN)
    Customer.objects.filter(pk=alone[0].pk).update(reassess_at=NOW)
    assess_customers(now=NOW)
    late.refresh_from_db()
    assert late.retry_state == RetryState.STOPPED
    experiment_stop(experiment_id=experiment.pk, actor_id=None, reason="enough", now=NOW)
    assert {customer.invoices.first().retry_state for customer in alone} == {RetryState.NEEDS_PLAN}


def test_texts_are_varied_and_met_when_the_message_is_queued() -> None:
    base, other = f.template("base"), f.template("other")
    f.ladder(steps=[{"offset": 0, "template": base}, {"offset": 3, "template": f.template("untouched")}])
    experiment = started(kind="template", template=base, arms=[{"name": "base"}, {"name": "other", "template": other}])
    people = debtors(12)
    assess_customers(now=NOW)
    assert not ExperimentExposure.objects.exists()
    escalate_due(now=NOW)
    for customer in people:
        message = Message.objects.get(customer=customer)
        arm = drawn(experiment, customer)
        assert message.template_version.template == (other if arm.name == "other" else base)
        assert ExperimentExposure.objects.get(customer=customer).arm == arm
    escalate_due(now=NOW + 3 * DAY)
    assert ExperimentExposure.objects.count() == 12


def test_hours_are_varied() -> None:
    version = f.ladder(steps=[{"offset": 0}])
    experiment = started(
        ladder=version.ladder,
        kind="send_time",
        arms=[{"name": "any"}, {"name": "evening", "send_from": time(18), "send_to": time(20)}],
    )
    people = debtors(12)
    assess_customers(now=NOW)
    # Noon in UTC is one o'clock in Rome.
    escalate_due(now=NOW)
    evening = {customer.pk for customer in people if drawn(experiment, customer).name == "evening"}
    assert 0 < len(evening) < 12
    assert set(Message.objects.values_list("customer_id", flat=True)) == {row.pk for row in people} - evening
    due = Case.objects.filter(customer__in=evening).values_list("next_action_at", flat=True)
    assert set(due) == {NOW.replace(hour=17)}
    # Those whose hour is still to come have met their arm too: who pays until then is missing from neither.
    met = dict(ExperimentExposure.objects.values_list("customer_id", "arm__name"))
    assert met == {customer.pk: "evening" if customer.pk in evening else "any" for customer in people}
    escalate_due(now=NOW.replace(hour=17))
    assert Message.objects.count() == 12


def test_only_the_segment_takes_part() -> None:
    version = f.ladder()
    segment = Segment.objects.create(code="pl", name="Poland", query='country = "PL"')
    started(ladder=version.ladder, segment=segment)
    polish, others = debtors(6, country="PL"), debtors(6)
    assess_customers(now=NOW)
    assert set(ExperimentExposure.objects.values_list("customer_id", flat=True)) == {row.pk for row in polish}
    assert Case.objects.filter(customer__in=others).count() == 6


def test_a_customer_is_met_once_and_stays_in_their_arm() -> None:
    trial = Trial(1, "x", "X", "ladder", (Arm(7, 50), Arm(8, 50)), segment_id=3)
    for customer_id in range(50):
        first = draw(trial, customer_id, frozenset(), frozenset({3}))
        assert first is not None
        # Whatever becomes of the segment and of the shares.
        moved = Trial(1, "x", "X", "ladder", (Arm(7, 1), Arm(8, 99)), segment_id=3)
        again = draw(moved, customer_id, frozenset({first.id}), frozenset())
        assert again is not None
        assert again.id == first.id
        assert draw(moved, customer_id, frozenset(), frozenset()) is None


def test_queries_do_not_grow_with_customers_while_experiments_run() -> None:
    version = f.ladder()
    segment = Segment.objects.create(code="all", name="All", query='country != ""')
    started(ladder=version.ladder, segment=segment)
    started(ladder=version.ladder, kind="send_time", arms=[{}, {"send_from": time(0), "send_to": time(23)}])
    counts = []
    for size in (2, 30):
        debtors(size)
        with CaptureQueriesContext(
            connection,
        ) as found:
            assess_customers(now=NOW)
            escalate_due(now=NOW)
        counts.append(len(found))
    assert counts[1] <= counts[0]


def test_shares_broken_behind_our_back_stop_nobody(caplog: pytest.LogCaptureFixture) -> None:
    version = f.ladder()
    experiment = started(ladder=version.ladder, kind="send_time", arms=[{}, {}])
    experiment.arms.update(share=20)
    debtors(2)
    assess_customers(now=NOW)
    assert escalate_due(now=NOW).done == 2
    assert "shares do not add up" in caplog.text
    assert not ExperimentExposure.objects.exists()
