"""Plays the demo: two hours at a time on a virtual clock, through real loops, real HTTP and real SMTP."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from random import Random
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections

from campaigns import tasks as campaigns
from customers import clock
from customers.wake import asleep
from dunning_site.demo import loops, people, web, world
from dunning_site.demo.inhabitant import Town
from dunning_site.demo.mailbox import Mailbox
from dunning_site.demo.network import Network
from dunning_site.demo.office import Office
from dunning_site.demo.practice import practice_case
from dunning_site.demo.summary import summary
from dunning_site.embedded.installation import demo_users
from dunning_site.embedded.sandbox_control import SandboxControl

CUSTOMERS = 400
DAYS = 60
#: Time passes in steps of this; what falls due in between happens at the end of its step.
_STEP = timedelta(hours=2)


class Told:
    """Whoever wants to know how far the demo is; as it stands, nobody does."""

    def stage(self, words: str) -> None:
        """Another part begins."""

    def until(self, at: datetime) -> None:
        """The demo's clock shows `at` (aware UTC)."""


def midnight(moment: datetime) -> datetime:
    """The start of that UTC day."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def play(
    *,
    seed: int,
    until: datetime,
    customers: int = CUSTOMERS,
    days: int = DAYS,
    told: Told | None = None,
) -> dict[str, Any]:
    """Builds the demo's company and lives its last `days` days up to `until` (aware UTC).

    Everything that happens depends on the arguments alone: in each step the sandbox moves its clock, its webhooks
    arrive over HTTP, every loop runs until idle, mail and texts go out, customers who read theirs act or answer,
    and the staff work their tasks.

    Returns the summary as of `until`: from then on the sandbox's clock is the machine's, by which it goes on
    charging, and the practice case, which nobody lived, is there. `told` is kept up to date on the way.
    """
    told = told or Told()
    sandbox = SandboxControl(settings.STRIPE_API_BASE)
    start = until - timedelta(days=days)
    rng = Random(seed)
    at = start
    with in_a_hurry(), clock.running_on(lambda: at), asleep(), web.site():
        told.stage(f"Founding a company with {customers} customers")
        sandbox.reset(seed)
        sandbox.settings(delivery="hold", record=True, events_kept=200_000)
        sandbox.set_clock(start)
        accounts = world.build(sandbox, people.draw(rng, customers), start, rng)
        told.stage("Bringing them in from the processor")
        call_command("stripe_backfill", verbosity=0, stdout=StringIO())
        network = Network()
        town = Town(accounts, sandbox, network, seed)
        mailbox = Mailbox()
        demo_users()
        office = Office(start)
        office.set_up()
        told.stage(f"Living {days} days")
        while at < until:
            at += _STEP
            sandbox.set_clock(at)
            network.set_clock(at)
            settle(sandbox)
            town.read(mailbox.fetch(), at)
            acted = town.act(at)
            if office.work(at) or acted:
                settle(sandbox)
            told.until(at)
        told.stage("Counting, looking ahead, ranking the worklist")
        office.look_ahead(at)
        day = until.date().isoformat()
        counted = summary(seed=seed, until=day, days=days, ledger=sandbox.ledger(), mails=mailbox.count())
        practice_case(at)
        # Ranked once, not at every step of sixty days: nobody looks at the list before the demo is served.
        campaigns.count_chances()
        campaigns.refresh_work()
        network.set_clock(None)
        sandbox.settings(delivery="auto", record=False)
        sandbox.wall_clock()
    return counted


@contextmanager
def in_a_hurry() -> Iterator[None]:
    """Trades what only a real company needs for time: commits that outlive a power cut, connections tried before
    each request, frequent collections.

    A demo that breaks off is played again from its start.
    """
    before, thresholds = os.environ.get("PGOPTIONS"), gc.get_threshold()
    database = connections.settings[DEFAULT_DB_ALIAS]
    checks, database["CONN_HEALTH_CHECKS"] = database["CONN_HEALTH_CHECKS"], False
    # Read by every connection made from here on, the site's threads' too.
    os.environ["PGOPTIONS"] = f"{before or ''} -c synchronous_commit=off"
    connections.close_all()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        yield
    finally:
        database["CONN_HEALTH_CHECKS"] = checks
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        if before is None:
            del os.environ["PGOPTIONS"]
        else:
            os.environ["PGOPTIONS"] = before
        connections.close_all()


def settle(sandbox: SandboxControl) -> None:
    """Delivers webhooks and runs the loops until the sandbox has nothing left to tell."""
    sandbox.deliver()
    loops.turn()
    while sandbox.deliver():
        loops.turn()
