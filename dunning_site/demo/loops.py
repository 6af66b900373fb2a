"""One turn of every loop of the product, in process, on a given clock."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from billing import charging, commands
from billing.ingest import process
from billing.retries import loop
from campaigns import delivery
from campaigns.engine import assess, run

#: In the order news travels. Each is called until it finds nothing more to do.
LOOPS: tuple[Callable[..., Any], ...] = (
    process.process_inbox,
    loop.plan_retries,
    charging.charge_due,
    charging.resolve_unknown,
    commands.run_commands,
    assess.assess_customers,
    run.escalate_due,
    delivery.deliver_due,
)
_LIMIT = 500


def turn(now: datetime) -> int:
    """Runs every loop once at `now` until it is idle; returns how many rows were worked on."""
    worked = 0
    for step in LOOPS:
        while (result := step(now=now, limit=_LIMIT)).total:
            worked += result.total
            if result.total < _LIMIT:
                break
    return worked
