"""Words for what a simulation tells: badges of the kinds of its events, names of its channels."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from campaigns.models import SimulationRun
from campaigns.simulator.types import Kind
from customers.models import Channel

STATUS = {"queued": "info", "running": "primary", "done": "success", "failed": "danger"}
#: Title and colour of each kind of event.
KIND: Mapping[str, tuple[Any, str]] = {
    Kind.OPENED: (_("Case opens"), "info"),
    Kind.JOINED: (_("Invoice joins"), ""),
    Kind.REANCHORED: (_("Counts anew"), ""),
    Kind.RESTED: (_("Rests"), "primary"),
    Kind.WOKEN: (_("Goes on"), ""),
    Kind.SENT: (_("Message"), "success"),
    Kind.RECEIPT: (_("Thank-you"), "success"),
    Kind.TASK: (_("Task for staff"), "info"),
    Kind.ACTED: (_("Action"), "info"),
    Kind.STARTED: (_("Other ladder"), "info"),
    Kind.DEFERRED: (_("Put off"), "warning"),
    Kind.BLOCKED: (_("Not allowed"), "danger"),
    Kind.SKIPPED: (_("Skipped"), ""),
    Kind.SUPERSEDED: (_("Left out"), ""),
    Kind.RETRY: (_("Charge"), "primary"),
    Kind.PAID: (_("Paid"), "success"),
    Kind.PROMISE_BROKEN: (_("Promise broken"), "danger"),
    Kind.RECOVERED: (_("Recovered"), "success"),
    Kind.CANCELLED: (_("Closed"), ""),
    Kind.ENDED: (_("Ladder ends"), "danger"),
}


def waits(run: SimulationRun) -> bool:
    """Whether its result is still to come: asked for, or being played."""
    return run.status in (SimulationRun.Status.QUEUED, SimulationRun.Status.RUNNING)


def channel_name(name: str, count: int = 1) -> str:
    """What people call a channel, or what else a day of the calendar counts, of which there are `count`."""
    extra = {
        "receipt": ngettext("thank-you", "thank-yous", count),
        "task": ngettext("task", "tasks", count),
        "retry": ngettext("charge", "charges", count),
    }
    return extra.get(name) or (str(Channel(name).label) if name in Channel.values else name)
