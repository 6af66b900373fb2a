"""Owns what becomes of a message its channel did not take: later, never, another way, or a person looks."""

from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from campaigns import outbox
from campaigns.channels.base import ChannelError, Fate
from campaigns.models import Message, MessageStatus
from campaigns.outbox import BACKOFF, MAX_TRIES, Settled
from customers.consent import Evidence, Source, opt_out_record
from customers.models import Suppression
from customers.services import suppression_add

#: A channel out of reach is asked again after this; its messages' tries are not used up by it.
OUTAGE_WAIT = timedelta(minutes=5)
#: After so long out of reach the step goes on by its next channel, or a person is asked.
OUTAGE_PATIENCE = timedelta(hours=24)


def failed(message: Message, words: str, task: str) -> Settled:
    """It will not be sent; `task` is what a person is asked if no other channel is left."""
    return Settled(message, MessageStatus.FAILED, words, counts=True, kind="message.failed", task=task)


def out_of_reach(message: Message, why: str, now: datetime) -> Settled:
    """The message waits for its channel, within bounds."""
    since = message.outage_since or now
    if now - since >= OUTAGE_PATIENCE:
        words = _("Out of reach since %(moment)s: %(why)s") % {"moment": f"{since:%Y-%m-%d %H:%M} UTC", "why": why}
        return failed(message, words, _("A message could not be delivered"))
    return Settled(
        message,
        MessageStatus.QUEUED,
        why,
        send_at=now + OUTAGE_WAIT,
        outage_since=since,
        # Asked again every few minutes: the log is told once.
        kind="message.deferred" if message.outage_since is None else "",
    )


def refused(message: Message, error: ChannelError, now: datetime) -> Settled:
    """What a channel's refusal means for the message; a dead address is suppressed on the spot."""
    if error.fate is Fate.AMBIGUOUS:
        return outbox.ambiguous(message, error.message)
    if error.fate is Fate.OUTAGE:
        return out_of_reach(message, error.message, now)
    if error.fate is Fate.TEMPORARY and message.attempts < MAX_TRIES:
        later = now + BACKOFF[message.attempts - 1]
        return Settled(
            message, MessageStatus.QUEUED, error.message, send_at=later, counts=True, kind="message.deferred"
        )
    if error.opted_out:
        opt_out_record(
            channel=message.channel,
            address=message.recipient,
            country=message.customer.country,
            customer_id=message.customer_id,
            contact_id=message.contact_id,
            evidence=Evidence(source=Source.PROVIDER, text=error.message, message_ref=message.key),
            now=now,
            unless_known=True,
        )
        return failed(message, error.message, _("No way to reach the customer"))
    if error.dead_address:
        suppression_add(
            channel=message.channel,
            address=message.recipient,
            country=message.customer.country,
            reason=Suppression.Reason.HARD_BOUNCE,
            evidence=error.message,
            now=now,
        )
        return failed(message, error.message, _("No way to reach the customer"))
    return failed(message, error.message, _("A message could not be delivered"))
