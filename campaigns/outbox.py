"""Owns the rows of the outbox: claiming what is due, the mark made before the wire, and what became of it.

At most once (docs/decisions/0007-at-most-once-mail.md): a message's text is stored when, and only when, it is
about to be handed to its channel. So a claim found without text was never sent and goes back to the queue; one
found with text may have been, and only a person may send it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils.translation import gettext as _

from campaigns.engine.answers import task_key
from campaigns.engine.nudge import cases_nudge
from campaigns.models import Message, MessageStatus, Task
from campaigns.models.message import TRANSITIONS
from campaigns.worklist.marks import work_mark
from customers.addresses import normalise
from customers.log import Entry, record, record_many
from customers.models import Direction
from customers.services import customers_reassess

#: Waits before the next try of a message its channel would not take now.
BACKOFF = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
MAX_TRIES = len(BACKOFF) + 1


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of a claimed message that is not sent now. `send_at` is set for those that wait."""

    message: Message
    status: str
    reason: str
    rule: str = ""
    send_at: datetime | None = None
    #: False where the try does not count: the message itself was not at fault.
    counts: bool = False
    #: Empty: nothing to tell (the message goes on as it was).
    kind: str = ""
    task: str = ""
    #: Set for those that wait because their channel is out of reach: since when.
    outage_since: datetime | None = None


# Plain SQL: asked every few seconds, mostly in vain.
_CLAIM = """
    UPDATE campaigns_message m SET status = 'sending', claimed_at = %s, attempts = attempts + 1
      FROM (SELECT id FROM campaigns_message
             WHERE status = 'queued' AND send_at <= %s
             ORDER BY send_at, id LIMIT %s
               FOR UPDATE SKIP LOCKED) due
     WHERE m.id = due.id
    RETURNING m.id, m.send_at
"""


def claim(now: datetime, limit: int) -> list[int]:
    """Takes up to `limit` due messages for this worker: `sending`, `claimed_at` = now, one try more.

    Rows another worker is taking are passed over, so that two workers never hold the same message.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [now, now, limit])
        return [pk for pk, _send_at in sorted(cursor.fetchall(), key=lambda row: (row[1], row[0]))]


# Plain SQL, because it runs once a message: composing the same by the ORM costs more than the statement itself.
_HAND_OVER = """
    UPDATE campaigns_message m
       SET subject = %s, html = %s, text = %s, language = %s, recipient = %s, contact_id = %s
     WHERE m.id = %s AND m.status = 'sending' AND m.claimed_at = %s
       AND NOT EXISTS (
           SELECT 1
             FROM customers_suppression s
            WHERE s.channel = m.channel AND s.address = %s AND s.lifted_at IS NULL)
       AND EXISTS (
           SELECT 1
             FROM customers_customer c
             JOIN campaigns_case k ON k.id = m.case_id
            WHERE c.id = m.customer_id AND NOT c.do_not_contact AND c.deleted_at IS NULL
              AND (m.purpose = 'receipt' OR (
                  k.state = 'open'
                  AND NOT (c.no_dunning OR c.legal_hold OR c.bankrupt OR c.vulnerable)
                  AND (k.trigger NOT IN ('invoice_due', 'card_expiring', 'renewal_upcoming')
                       OR k.anchor_at > m.claimed_at)
                  AND (k.trigger IN ('card_expiring', 'renewal_upcoming') OR EXISTS (
                      SELECT 1
                        FROM campaigns_caseinvoice ci
                        JOIN billing_invoice i ON i.id = ci.invoice_id
                       WHERE ci.case_id = m.case_id AND ci.left_at IS NULL AND i.status = 'open'
                         AND i.balance > 0 AND i.disputed_at IS NULL AND NOT i.in_plan))
                  AND NOT EXISTS (
                      SELECT 1
                        FROM campaigns_caseinvoice ci
                        JOIN billing_invoice i ON i.id = ci.invoice_id
                        JOIN billing_paymentattempt a ON a.invoice_id = i.id
                       WHERE ci.case_id = m.case_id AND ci.left_at IS NULL AND i.status = 'open' AND i.balance > 0
                         AND a.status IN ('in_flight', 'unknown'))
                  AND NOT EXISTS (
                      SELECT 1
                        FROM billing_promise p
                       WHERE p.customer_id = m.customer_id AND p.brand_id = m.brand_id
                         AND p.status = 'open' AND p.expires_at > m.claimed_at))))
"""


def hand_over(message: Message, *, subject: str, html: str, text: str, language: str) -> bool:
    """Stores text and recipient as they are about to leave, if nothing has come between since the batch was loaded.

    False: the claim was swept, or a payment, a charge, a promise, pause, exclusion, bounce or opt-out arrived in
    these seconds.
    One statement, so that what it checks holds at the very moment of sending.
    """
    address = normalise(message.channel, message.recipient, message.customer.country)
    with connection.cursor() as cursor:
        whom = [message.recipient, message.contact_id]
        where = [message.pk, message.claimed_at, address]
        cursor.execute(_HAND_OVER, [subject[:500], html, text, language, *whom, *where])
        return bool(cursor.rowcount == 1)


_TOUCH_CASE = "UPDATE campaigns_case SET last_contact_at = GREATEST(last_contact_at, %s) WHERE id = %s"
_SENT = """
    UPDATE campaigns_message
       SET status = CASE WHEN status = ANY(%s) THEN 'sent' ELSE status END,
           sent_at = %s, provider_id = %s, segments = %s, send_at = NULL, reason = '', rule = ''
     WHERE id = %s
"""
#: A callback may have been quicker than our own note of it: its word is the stronger one and stays.
_BECOMES_SENT = [str(status) for status, targets in TRANSITIONS.items() if MessageStatus.SENT in targets]


def record_sent(message: Message, *, subject: str, provider_id: str, now: datetime, segments: int = 0) -> None:
    """The channel took it, in so many `segments` where it is billed by parts."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_TOUCH_CASE, [now, message.case_id])
            cursor.execute(_SENT, [_BECOMES_SENT, now, provider_id[:255], segments, message.pk])
        values = {"subject": subject, "recipient": recipient_words(message)}
        words = _("“%(subject)s” sent to %(recipient)s.") if subject else _("Sent to %(recipient)s.")
        record(_entry(message, now, "message.sent", words % values, outcome=MessageStatus.SENT))


def record_waiting(message: Message, *, provider_id: str, now: datetime) -> None:
    """The channel has it ready for a person to send: not a contact yet."""
    with transaction.atomic():
        Message.objects.filter(pk=message.pk, status=MessageStatus.SENDING).update(
            status=MessageStatus.TO_PRINT, provider_id=provider_id[:255], send_at=None, reason="", rule=""
        )
        words = _("Letter to %(recipient)s ready to be printed.") % {"recipient": recipient_words(message)}
        record(_entry(message, now, "message.to_print", words, outcome=MessageStatus.TO_PRINT))


def recipient_words(message: Message) -> str:
    """Whom a message is for, on one line."""
    return ", ".join(message.recipient.split("\n")) or str(message.customer)


# One statement however many: reasons and moments differ from row to row.
_SETTLE = """
    UPDATE campaigns_message m
       SET status = u.status, reason = u.reason, rule = u.rule, send_at = u.send_at,
           attempts = m.attempts - u.uncounted,
           outage_since = CASE WHEN u.uncounted = 0 THEN NULL ELSE COALESCE(u.outage_since, m.outage_since) END,
           claimed_at = CASE WHEN u.status = 'queued' THEN NULL ELSE m.claimed_at END,
           subject = CASE WHEN u.status = 'queued' THEN '' ELSE m.subject END,
           html = CASE WHEN u.status = 'queued' THEN '' ELSE m.html END,
           text = CASE WHEN u.status = 'queued' THEN '' ELSE m.text END
      FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::int[],
                  %s::timestamptz[])
           AS u(id, claimed_at, status, reason, rule, send_at, uncounted, outage_since)
     WHERE m.id = u.id AND m.status = 'sending' AND m.claimed_at = u.claimed_at
    RETURNING m.id
"""


def settle(rows: Sequence[Settled], now: datetime) -> set[int]:
    """Records what becomes of claimed messages that were not sent; returns the ids of those still claimed.

    Cancelled and failed ones have the engine look at the customer again: a rung whose notice never left is not
    taken.
    """
    if not rows:
        return set()
    columns = [
        (
            r.message.pk,
            r.message.claimed_at,
            str(r.status),
            r.reason[:500],
            r.rule,
            r.send_at,
            0 if r.counts else 1,
            r.outage_since,
        )
        for r in rows
    ]
    with transaction.atomic():
        # Customers before messages, the order in which the engine takes its locks.
        lost = {r.message.customer_id for r in rows if r.status in (MessageStatus.CANCELLED, MessageStatus.FAILED)}
        customers_reassess(lost, now)
        cases_nudge({r.message.case_id for r in rows if r.message.customer_id in lost}, now)
        with connection.cursor() as cursor:
            cursor.execute(_SETTLE, [list(column) for column in zip(*columns, strict=True)])
            done = {pk for (pk,) in cursor.fetchall()}
        told = [row for row in rows if row.message.pk in done]
        record_many(
            _entry(row.message, now, row.kind, row.reason, outcome=row.status, rule=row.rule)
            for row in told
            if row.kind
        )
        _tasks([(row.message, row.task, row.reason) for row in told if row.task and _for_a_person(row)], now)
    return done


def _for_a_person(row: Settled) -> bool:
    # What may have been sent is never said again by another channel.
    return row.status == MessageStatus.AMBIGUOUS or not has_ways_left(row.message)


def ambiguous(message: Message, why: str) -> Settled:
    """It may have been sent: never again by itself."""
    return Settled(
        message,
        MessageStatus.AMBIGUOUS,
        _("Perhaps sent: %(why)s") % {"why": why},
        counts=True,
        kind="message.ambiguous",
        task=_("Find out whether a message was sent"),
    )


def _entry(message: Message, now: datetime, kind: str, summary: str, *, outcome: str, rule: str = "") -> Entry:
    left = kind in ("message.sent", "message.ambiguous")
    return Entry(
        customer_id=message.customer_id,
        at=now,
        kind=kind,
        summary=summary,
        direction=Direction.OUT if left else Direction.INTERNAL,
        channel=message.channel,
        outcome=str(outcome),
        subject=f"message:{message.pk}",
        data={"case": message.case_id, "purpose": message.purpose} | ({"rule": rule} if rule else {}),
    )


def task_key_of(message: Message) -> str:
    """Key of the task that asks a person about a message: the one the engine waits for before it goes on."""
    run = message.step_run
    return task_key(message.case_id, run.step_id, run.round) if run else f"message:{message.pk}"


def has_ways_left(message: Message) -> bool:
    """True if its step names a further channel that was not tried: the engine goes on with it before it asks anybody.

    Reads the step (select_related("step_run__step") in bulk) and, if it has others at all, the channels tried.
    """
    run = message.step_run
    others = set(run.step.fallback_channels) if run is not None else set()
    if not others:
        return False
    return bool(others - set(Message.objects.filter(step_run=run).values_list("channel", flat=True)))


def _tasks(wanted: Sequence[tuple[Message, str, str]], now: datetime) -> None:
    Task.objects.bulk_create(
        [
            Task(
                customer_id=message.customer_id,
                case_id=message.case_id,
                kind=Task.Kind.REVIEW,
                title=title,
                notes=f"{message.recipient}\n{why}",
                due_at=now,
                created_at=now,
                key=task_key_of(message),
            )
            for message, title, why in wanted
        ],
        ignore_conflicts=True,
    )
    work_mark({message.customer_id for message, _title, _why in wanted}, now)
