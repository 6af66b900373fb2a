"""Experiments are played as they are in the product: the same lot, the same treatment, totals per arm."""

from datetime import time, timedelta

import pytest

from campaigns.engine.assess import assess_customers
from campaigns.engine.run import escalate_due
from campaigns.experiments.services import experiment_start
from campaigns.models import Case, Message, SimulationRun
from campaigns.services.simulations import simulation_start, simulations_run
from campaigns.simulator import arms, ladders, open_cases, past
from campaigns.simulator.run import simulate
from campaigns.simulator.types import Costs
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
STEPS = [{"offset": 0}, {"offset": 3}, {"offset": 5}]


def started(**fields):
    return experiment_start(experiment_id=f.experiment(**fields).pk, actor_id=None, now=NOW)


def debtors(count):
    for number in range(count):
        customer = f.customer(name=f"C{number}", reassess_at=NOW)
        f.invoice(customer, first_failed_at=NOW)


def play(lives, version):
    candidate = ladders.of_version(version)
    lives, drawn = arms.on_ladder(lives, candidate.spec, NOW)
    played = simulate(lives, candidate.offers, start=NOW, until=NOW + 30 * DAY)
    return lives, played, arms.arm_figures(lives, drawn, played, Costs())


def sent(lives, played):
    customers = {life.key: life.customer_id for life in lives}
    return sorted((customers[e.life], e.step, e.template_id) for e in played.events if e.kind == "sent")


def really_sent():
    assess_customers(now=NOW)
    for day in (0, 3, 5, 9):
        escalate_due(now=NOW + day * DAY)
        Message.objects.filter(status="queued").update(status="sent", sent_at=NOW + day * DAY)
    rows = Message.objects.filter(purpose="dunning")
    return sorted(rows.values_list("customer_id", "step_run__step__key", "template_version__template_id"))


def test_a_comparison_of_versions_and_no_contact_goes_as_it_was_foreseen():
    old, new = f.ladder(steps=STEPS), f.ladder(steps=[{"offset": 0, "key": "only"}], active=False)
    arms_wanted = [{"name": "old", "share": 40}, {"name": "new", "ladder_version": new, "share": 30},
                   {"name": "none", "holdout": True, "share": 30}]  # fmt: skip
    started(ladder=old.ladder, arms=arms_wanted, name="Less")
    debtors(20)
    found = past.lives(NOW.date(), NOW.date(), trigger="payment_failed", most=100)
    lives, played, told = play(found, old)
    assert sent(lives, played) == really_sent()
    assert [(arm["experiment"], arm["arm"]) for arm in told] == [("Less", "old"), ("Less", "new"), ("Less", "none")]
    assert sum(arm["opened"] for arm in told) == played.figures.opened == 20
    by_name = {arm["arm"]: arm for arm in told}
    assert by_name["none"]["reminders"] == 0 < by_name["none"]["lives"]
    assert by_name["old"]["reminders"] == 3 * by_name["old"]["lives"]
    assert by_name["new"]["reminders"] == by_name["new"]["lives"]


def test_texts_are_varied_in_cases_that_are_open():
    version = f.ladder(steps=STEPS)
    varied, other = version.steps.first().template, f.template()
    for number in range(12):
        f.case(f.customer(name=f"C{number}"), ladder_version=version)
    started(kind="template", ladder=None, template=varied, arms=[{"name": "a"}, {"name": "b", "template": other}])
    lives, played, told = play(open_cases.lives(open_cases.sample(50), NOW), version)
    assert sent(lives, played) == really_sent()
    assert {template for _customer, step, template in sent(lives, played) if step == "step-1"} == {
        varied.pk, other.pk,
    }  # fmt: skip
    assert sum(arm["lives"] for arm in told) == 12


def test_cases_opened_before_the_start_are_in_no_lot_of_versions():
    version = f.ladder(steps=STEPS)
    debtors(6)
    assess_customers(now=NOW)
    started(ladder=version.ladder)
    lives, played, told = play(open_cases.lives(open_cases.sample(50), NOW), version)
    assert told == []
    assert played.figures.reminders == 18


def test_hours_are_kept_by_their_arm_and_the_page_is_told_the_arms():
    version = f.ladder(steps=STEPS)
    for number in range(10):
        f.case(f.customer(name=f"C{number}", timezone="Europe/Rome"), ladder_version=version)
    late = {"name": "late", "send_from": time(18), "send_to": time(20)}
    started(kind="send_time", ladder=version.ladder, arms=[{"name": "ever"}, late])
    run = simulation_start(version_id=version.pk, source="open_cases", now=NOW, actor_id=None)
    simulations_run(now=NOW)
    (told,) = SimulationRun.objects.get(pk=run.pk).result["versions"]
    assert [arm["arm"] for arm in told["arms"]] == ["ever", "late"]
    assert sum(arm["opened"] for arm in told["arms"]) == Case.objects.count() == 10
    assert sum(arm["reminders"] for arm in told["arms"]) == told["figures"]["reminders"]
    assert told["figures"]["by_rule"].get("step.window")
