"""Celery tasks of this app: each runs its loop batch by batch until nothing is due. Messages are wake-ups only."""

from itertools import islice

from celery import shared_task

from campaigns import delivery, sweeping
from campaigns.agencies import handovers_follow
from campaigns.engine.assess import assess_all
from campaigns.engine.run import escalate_all
from campaigns.services.simulations import simulations_run
from campaigns.worklist.chances import chances_count
from campaigns.worklist.refresh import work_refresh_all
from customers.clock import now

#: Batches one task takes at most, so that it ends well within its time limit; the next tick goes on.
MOST_BATCHES = 200


@shared_task(name="campaigns.tasks.assess_customers")
def assess_customers() -> None:
    """Opens, joins, rests, wakes and closes cases of customers whose facts changed."""
    for _result in islice(assess_all(now=now()), MOST_BATCHES):
        pass


@shared_task(name="campaigns.tasks.escalate_due")
def escalate_due() -> None:
    """Takes due cases through their next step."""
    for _result in islice(escalate_all(now=now()), MOST_BATCHES):
        pass


@shared_task(name="campaigns.tasks.deliver_due")
def deliver_due() -> None:
    """Sends what is queued and due."""
    for _batch in range(MOST_BATCHES):
        if not delivery.deliver_due(now=now()).claimed:
            break


@shared_task(name="campaigns.tasks.sweep_messages")
def sweep_messages() -> None:
    """Settles the claims of workers that died while sending."""
    for _batch in range(MOST_BATCHES):
        if not sweeping.sweep(now=now()).total:
            break


@shared_task(name="campaigns.tasks.follow_handovers")
def follow_handovers() -> None:
    """Counts what came in while agencies collect, and ends hand-overs whose cases did."""
    handovers_follow(now=now())


@shared_task(name="campaigns.tasks.run_simulations")
def run_simulations() -> None:
    """Plays the simulations staff asked for, one after the other; the next tick takes what a time limit left."""
    while simulations_run(now=now()).total:
        pass


@shared_task(name="campaigns.tasks.refresh_work")
def refresh_work() -> None:
    """Ranks the rows of the worklist whose facts changed."""
    for _result in islice(work_refresh_all(now=now()), MOST_BATCHES):
        pass


@shared_task(name="campaigns.tasks.count_chances")
def count_chances() -> None:
    """Counts anew how often money followed a talk."""
    chances_count(now=now())
