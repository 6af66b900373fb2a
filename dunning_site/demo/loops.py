"""One turn of every loop of the product: the tasks the workers run, called in this process."""

from collections.abc import Callable

from billing import tasks as billing
from campaigns import tasks as campaigns

#: In the order news travels. Each works until it finds nothing more due.
LOOPS: tuple[Callable[[], object], ...] = (
    billing.process_inbox,
    billing.plan_retries,
    billing.plan_instalments,
    billing.charge_due,
    billing.resolve_unknown,
    billing.run_commands,
    campaigns.assess_customers,
    campaigns.escalate_due,
    campaigns.deliver_due,
)


def turn() -> None:
    """Runs every loop once until it is idle, at the moment `customers.clock` shows."""
    for loop in LOOPS:
        loop()
