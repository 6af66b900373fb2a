"""Which way a notice takes, and what follows when it did not arrive: the next channel, then a person. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from campaigns.engine.types import CaseSnapshot, RunFact, StepSpec
from campaigns.engine.words import phrase as _
from campaigns.guard.types import Blocked, GuardSnapshot, Verdict
from campaigns.models.message import PENDING as _PENDING
from campaigns.models.message import MessageStatus
from campaigns.models.task import Task
from customers.models import Channel

GuardCheck = Callable[[GuardSnapshot, str, datetime], Verdict]

#: Blocks by rules of these kinds concern one channel only: another may do. All others forbid every contact.
_OF_ONE_CHANNEL = ("address.", "template.", "consent.", "opt_out.", "channel.")

#: Not handed over yet.
PENDING = frozenset(map(str, _PENDING))
#: Waits for a person to print it.
TO_PRINT = MessageStatus.TO_PRINT.value
#: One that may have arrived is for a person to find out: another channel would say it twice.
_MAYBE_HEARD = MessageStatus.AMBIGUOUS.value
_NOT_HEARD = frozenset({MessageStatus.FAILED.value, MessageStatus.BOUNCED.value, _MAYBE_HEARD})
_CANCELLED = MessageStatus.CANCELLED.value
_CLOSED = frozenset({Task.Status.DONE.value, Task.Status.CANCELLED.value})


class Notice(NamedTuple):
    """The newest rung taken that had a message, or went to a person in its place."""

    rung: StepSpec
    run: RunFact


def of_one_channel(rule: str) -> bool:
    """True for a rule of the guard that forbids a channel, not the contact."""
    return rule.startswith(_OF_ONE_CHANNEL)


def ways(step: StepSpec) -> tuple[str, ...]:
    """The step's channels in the order they are tried."""
    if not step.fallback_channels:
        return (step.channel,)
    return tuple(dict.fromkeys((step.channel, *step.fallback_channels)))


class Way(NamedTuple):
    """The channel a notice takes, the guard's word on it, and why those before it do not do, in words."""

    channel: str
    verdict: Verdict
    passed_over: str = ""


def choose(case: CaseSnapshot, step: StepSpec, channels: Sequence[str], now: datetime, guard: GuardCheck) -> Way:
    """The first of `channels` nothing of its own forbids, and the guard's word on it; the first one's where all
    are forbidden. A channel that is only put off is waited for: hours are no reason to go another way."""
    passed: list[tuple[str, Blocked]] = []
    for channel in channels:
        if not step.has_text or channel in step.mute:
            verdict: Verdict = Blocked("template.missing", _("The template has no published text for this channel."))
        else:
            verdict = guard(case.guard, channel, now)
        if not (isinstance(verdict, Blocked) and of_one_channel(verdict.rule)):
            return Way(channel, verdict, " ".join(_not_by(name, why) for name, why in passed))
        passed.append((channel, verdict))
    return Way(*passed[0])


def _not_by(channel: str, why: Blocked) -> str:
    return _("Not by %(channel)s: %(why)s") % {"channel": Channel(channel).label, "why": why.reason}


def last_notice(case: CaseSnapshot) -> Notice | None:
    """The newest rung taken in this round that had a message, or that a person was asked to bring over."""
    if case.runs:
        for rung in reversed(case.ladder.steps):
            run = case.runs.get(rung.id) if rung.position <= case.position else None
            if run is not None and (run.message_status or run.task_status):
                return Notice(rung, run)
    return None


def is_lost(notice: Notice) -> bool:
    """True if it did not arrive, or may not have, and nobody has stepped in for it yet.

    A message the guard cancelled for the contact's sake was stopped for a reason that is checked again with the
    step that is due; one cancelled for its channel's sake was not heard.
    """
    status = notice.run.message_status
    gone = not status or status in _NOT_HEARD or (status == _CANCELLED and of_one_channel(notice.run.message_rule))
    return gone and notice.run.task_status not in _CLOSED


def ways_left(notice: Notice) -> tuple[str, ...]:
    """Channels of the rung that have not been tried yet; none where the notice may have arrived after all."""
    if notice.run.message_status == _MAYBE_HEARD or notice.run.task_status:
        return ()
    tried = notice.run.channels or (notice.rung.channel,)
    return tuple(channel for channel in ways(notice.rung) if channel not in tried)


def stepped_in(run: RunFact | None) -> bool:
    """True if a person has closed the task that asked them to step in for the step."""
    return run is not None and run.task_status in _CLOSED
