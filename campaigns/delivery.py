"""Owns the deliver loop: claim what is due, ask the guard again, write, hand over, record.

At most once: see campaigns.outbox. Nothing is sent while a transaction is open. The guard is asked with facts read
after the claim, and the last statement before the wire checks once more that nothing came between.
"""

import logging
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime

from babel.dates import format_date
from django.conf import settings
from django.utils.translation import gettext as _

from billing.money import display, totals
from campaigns import letter, outbox
from campaigns.channels.base import Channel, ChannelError, Fate, Outgoing, channel
from campaigns.context import Sending, load
from campaigns.guard import texts
from campaigns.guard.check import check, policy_of
from campaigns.guard.types import Allowed, Contacted, Deferred
from campaigns.guard.zones import zone
from campaigns.links import LinkRequest, MailLinks, link_maker
from campaigns.models import MessagePurpose, MessageStatus
from campaigns.models.ladder import PRE_DUNNING
from campaigns.outbox import Settled
from campaigns.refusals import failed, out_of_reach, refused
from campaigns.rendering import gsm
from campaigns.rendering.render import SMS, Rendered
from customers.errors import SollecitoError

log = logging.getLogger(__name__)

#: How long (seconds of real time) a batch may take before it gives the rest back; well under the sweep's limit,
#: so that a slow mail server never has its claims swept from under a living worker.
BATCH_SECONDS = 60
_QUEUED = MessageStatus.QUEUED
#: Blocks after which nobody will reach the customer unless a person does.
_UNREACHABLE = frozenset(
    {"address.missing", "address.suppressed", "consent.missing", "customer.vulnerable", "channel.not_configured"}
)


@dataclass(frozen=True, slots=True)
class DeliverResult:
    """What became of one batch."""

    claimed: int = 0
    sent: int = 0
    #: Back in the queue for later: by the guard, by a channel that would not take it now, or for lack of time.
    deferred: int = 0
    retried: int = 0
    released: int = 0
    cancelled: int = 0
    failed: int = 0
    ambiguous: int = 0


def deliver_due(*, now: datetime, limit: int | None = None) -> DeliverResult:
    """Delivers up to `limit` due messages (settings.BATCH_SIZE_DELIVER unless told); `now` is aware UTC.

    Safe with any number of workers. A message that cannot be written or sent is settled and the next one taken.
    """
    ids = outbox.claim(now, limit or settings.BATCH_SIZE_DELIVER)
    if not ids:
        return DeliverResult()
    started = time.monotonic()
    counts: Counter[str] = Counter()
    allowed, settled = _judge(load(ids, now), now)
    outbox.settle(settled, now)
    counts.update(_counted(row) for row in settled)
    if allowed:
        counts.update(_send(allowed, now, until=started + BATCH_SECONDS))
    return DeliverResult(claimed=len(ids), **counts)


def _counted(row: Settled) -> str:
    return "deferred" if row.status == MessageStatus.QUEUED else str(row.status)


def _judge(batch: list[Sending], now: datetime) -> tuple[list[Sending], list[Settled]]:
    """Sorts a batch into what may leave now and what becomes of the others."""
    allowed: list[Sending] = []
    settled: list[Settled] = []
    # Two messages to one customer in one batch: the second must see the first as made.
    made: dict[int, list[Contacted]] = {}
    for sending in batch:
        message = sending.message
        fresh = tuple(made.get(message.customer_id, ()))
        snapshot = sending.snapshot._replace(contacts=fresh + sending.snapshot.contacts)
        verdict = check(snapshot, message.channel, now)
        if isinstance(verdict, Allowed) and (other := _held_back(sending, now)) is not None:
            settled.append(other)
        elif isinstance(verdict, Allowed):
            allowed.append(sending)
            if message.purpose != MessagePurpose.RECEIPT:
                made.setdefault(message.customer_id, []).append(Contacted(message.channel, now))
        elif isinstance(verdict, Deferred):
            settled.append(
                Settled(
                    message,
                    MessageStatus.QUEUED,
                    verdict.reason,
                    verdict.rule,
                    send_at=verdict.until,
                    kind="message.deferred",
                )
            )
        else:
            settled.append(
                Settled(
                    message,
                    MessageStatus.CANCELLED,
                    verdict.reason,
                    verdict.rule,
                    kind="message.cancelled",
                    task=_("No way to reach the customer") if verdict.rule in _UNREACHABLE else "",
                )
            )
    return allowed, settled


def _held_back(sending: Sending, now: datetime) -> Settled | None:
    """What stops a message the guard lets pass; the log is told once per reason."""
    message, hold = sending.message, sending.hold
    case = message.case
    if message.purpose == MessagePurpose.DUNNING and case.trigger in PRE_DUNNING and case.anchor_at <= now:
        words = _("The day it speaks of has come.")
        return Settled(message, MessageStatus.CANCELLED, words, "case.day_come", kind="message.cancelled")
    if hold is None:
        return None
    kind = "" if message.rule == hold.rule else "message.deferred"
    return Settled(message, MessageStatus.QUEUED, hold.why, hold.rule, send_at=hold.until, kind=kind)


def _send(batch: list[Sending], now: datetime, *, until: float) -> Counter[str]:
    """Writes and hands over one message after the other; `until` is a moment of time.monotonic()."""
    letter.prepare({sending.message.template_version_id for sending in batch})
    links = link_maker()([LinkRequest(s.message.pk, s.message.customer_id, s.message.brand_id) for s in batch], now)
    counts: Counter[str] = Counter()
    #: Channels out of reach, with why: their other messages need not knock as well.
    down: dict[str, str] = {}
    left: list[Settled] = []
    with ExitStack() as stack:
        channels: dict[str, Channel] = {}
        for sending in batch:
            message = sending.message
            if message.channel in down or time.monotonic() > until:
                why = down.get(message.channel)
                row = out_of_reach(message, why, now) if why else Settled(message, _QUEUED, "", send_at=now)
                left.append(row)
                counts["released" if row.status == _QUEUED else str(row.status)] += 1
                continue
            if message.channel not in channels:
                channels[message.channel] = stack.enter_context(channel(message.channel))
            outcome, outage = _one(sending, channels[message.channel], links[message.pk], now)
            counts[outcome] += 1
            if outage:
                down[message.channel] = outage
        outbox.settle(left, now)
    return counts


def _one(sending: Sending, way: Channel, links: MailLinks, now: datetime) -> tuple[str, str]:
    """Delivers one message; returns what it counts as and, if its channel is out of reach, why."""
    message = sending.message
    try:
        rendered, language = letter.write(sending, links, now)
        rendered = _with_what_it_must_carry(sending, rendered, language, links, now)
    except Exception as error:  # whatever is wrong with one message, the next one is not to suffer for it
        if not isinstance(error, SollecitoError):
            log.exception("message %s could not be written", message.pk)
        words = _("It could not be written: %(error)s") % {"error": error}
        return _settled(failed(message, words, _("A message could not be written")), now), ""
    stored = (links.redact(part) for part in (rendered.subject, rendered.html, rendered.text))
    subject, html, text = stored
    if not outbox.hand_over(message, subject=subject, html=html, text=text, language=language):
        # Something changed in these seconds: the next batch reads it afresh and says what.
        outbox.settle([Settled(message, _QUEUED, "", send_at=now)], now)
        return "released", ""
    try:
        result = way.send(_outgoing(sending, rendered, language, links, now))
    except ChannelError as error:
        return _settled(refused(message, error, now), now), error.message if error.fate is Fate.OUTAGE else ""
    except Exception as error:  # an outcome nobody foresaw is no outcome: a person looks
        log.exception("message %s: unforeseen error while sending", message.pk)
        return _settled(outbox.ambiguous(message, f"{type(error).__name__}: {error}"), now), ""
    if result.waits:
        outbox.record_waiting(message, provider_id=result.provider_id, now=now)
    else:
        outbox.record_sent(message, subject=subject, provider_id=result.provider_id, now=now, segments=result.segments)
    return "sent", ""


def _with_what_it_must_carry(
    sending: Sending, rendered: Rendered, language: str, links: MailLinks, now: datetime
) -> Rendered:
    """The message with the words that the contact rules ask for and its template does not say."""
    message, brand = sending.message, sending.message.brand
    required = policy_of(sending.snapshot, now).rules(message.channel).texts
    if not required:
        return rendered
    sender = texts.Sender(brand.name, brand.postal_address, (links.unsubscribe, links.preferences))
    lines = texts.missing(required, rendered.text, message.channel, sender, language)
    text = texts.add_to_text(rendered.text, lines)
    return Rendered(
        rendered.subject,
        texts.add_to_html(rendered.html, lines, sender.ways_out),
        gsm.spell(text) if message.channel == SMS else text,
    )


def _outgoing(sending: Sending, rendered: Rendered, language: str, links: MailLinks, now: datetime) -> Outgoing:
    message = sending.message
    brand = message.brand
    contact = message.contact
    sums = totals((row.balance, row.currency) for row in sending.invoices)
    return Outgoing(
        message_id=message.pk,
        key=message.key,
        recipient=message.recipient,
        recipient_name=(contact.name if contact else "") or message.customer.name,
        from_email=brand.from_email,
        from_name=brand.from_name or brand.name,
        reply_to=brand.reply_to,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        language=language,
        at=now,
        unsubscribe_url=links.unsubscribe if policy_of(sending.snapshot, now).rules(message.channel).one_click else "",
        template=message.template_version.template.code,
        amount=", ".join(display(amount, currency, language) for currency, amount in sums.items()),
        link=links.pay,
        from_address=brand.postal_address,
        color=brand.color,
        country=message.customer.country,
        date_words=format_date(
            now.astimezone(zone(sending.snapshot.zone)).date(), "long", locale=language.replace("-", "_")
        ),
        tags=(message.purpose, brand.code),
        metadata={"case": str(message.case_id)},
    )


def _settled(row: Settled, now: datetime) -> str:
    outbox.settle([row], now)
    return "retried" if row.status == MessageStatus.QUEUED else str(row.status)
