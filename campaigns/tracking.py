"""Owns what providers tell about sent mail: each event stored once, the message's status, suppression, the log.

Events come late, out of order and more than once. The state they leave does not depend on that: the status is the
strongest word told (campaigns.models.message.stronger), moments are the earliest told, and everything else hangs
on the event being new.
"""

import hashlib
import logging
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from anymail.signals import AnymailTrackingEvent, EventType, RejectReason, tracking
from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Coalesce, Least
from django.dispatch import receiver
from django.utils.translation import gettext as _

from campaigns.engine.nudge import cases_nudge
from campaigns.models import DeliveryEvent, Message, MessageStatus, Task
from campaigns.models.message import stronger
from campaigns.outbox import has_ways_left, recipient_words, task_key_of
from campaigns.worklist.marks import work_mark
from customers import clock
from customers.consent import Evidence, Source, opt_out_record
from customers.log import Entry, record
from customers.models import ActorKind, Direction, Suppression
from customers.services import customers_reassess, suppression_add
from customers.wake import wake

log = logging.getLogger(__name__)

#: What an event makes of the message; kinds not named are stored and change nothing.
_STATUS = {
    EventType.SENT: MessageStatus.SENT,
    EventType.DELIVERED: MessageStatus.DELIVERED,
    EventType.OPENED: MessageStatus.OPENED,
    EventType.CLICKED: MessageStatus.CLICKED,
    EventType.BOUNCED: MessageStatus.BOUNCED,
    # Accepted by the provider and then not sent by it: to the customer the same as bounced.
    EventType.REJECTED: MessageStatus.BOUNCED,
    EventType.FAILED: MessageStatus.BOUNCED,
    EventType.COMPLAINED: MessageStatus.COMPLAINED,
}
#: A bounce for one of these says nothing against the address: the receiver was slow or disliked this mail.
_NOT_THE_ADDRESS = frozenset({RejectReason.TIMED_OUT, RejectReason.BLOCKED, RejectReason.SPAM, RejectReason.OTHER})
#: The provider sends nothing to somebody who reported an earlier mail.
_ONCE_A_COMPLAINT = (EventType.REJECTED, RejectReason.SPAM)
_BY_CUSTOMER = frozenset({EventType.OPENED, EventType.CLICKED, EventType.COMPLAINED, EventType.UNSUBSCRIBED})
_TOLD = _BY_CUSTOMER | {EventType.DELIVERED, EventType.BOUNCED, EventType.REJECTED, EventType.FAILED}


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a provider about one message. `at` is aware UTC; `external_id` names the event."""

    kind: str
    at: datetime
    external_id: str
    message_key: str = ""
    provider_id: str = ""
    recipient: str = ""
    reject_reason: str = ""
    detail: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@receiver(tracking, dispatch_uid="campaigns.tracking")
def _on_tracking(sender: object, event: AnymailTrackingEvent, esp_name: str, **kwargs: object) -> None:
    delivery_event_record(told=read(event, esp_name), now=clock.now())


def read(event: AnymailTrackingEvent, esp_name: str) -> Told:
    """An Anymail event in our words; those without an id of their own are named by what they say."""
    at = event.timestamp or clock.now()
    parts = (event.event_type, event.message_id, event.recipient, event.timestamp, event.click_url)
    name = event.event_id or hashlib.sha256(repr(parts).encode()).hexdigest()
    detail = event.mta_response or event.description or event.click_url or ""
    reason = event.reject_reason or ""
    return Told(
        kind=event.event_type,
        at=at,
        external_id=f"{esp_name}:{event.event_type}:{name}"[:255],
        message_key=str((event.metadata or {}).get("message_key", "")),
        provider_id=str(event.message_id or ""),
        recipient=str(event.recipient or ""),
        reject_reason=RejectReason.TIMED_OUT if is_soft(event) else reason,
        detail=str(detail)[:500],
    )


#: Where a provider says that a bounce was a passing one. Anymail tells these like the lasting ones.
_SOFT: tuple[tuple[str, frozenset[str]], ...] = (
    ("Type", frozenset({"SoftBounce"})),  # Postmark
    ("event", frozenset({"soft_bounce"})),  # Brevo
    ("type", frozenset({"blocked", "expired"})),  # SendGrid
    ("bounce_class", frozenset({"20", "21", "22", "23", "24", "40", "70"})),  # SparkPost
)
_ENHANCED = re.compile(r"\b([245])\.(\d{1,3})\.\d{1,3}\b")


def is_soft(event: AnymailTrackingEvent) -> bool:
    """Whether a bounce says nothing lasting against the address: a full mailbox, a busy server, a blocked sender."""
    if event.event_type != EventType.BOUNCED:
        return False
    raw = event.esp_event if isinstance(event.esp_event, dict) else {}
    raw = next(iter(raw.get("msys", {}).values()), raw)  # SparkPost wraps its events
    if any(str(raw.get(name)) in values for name, values in _SOFT):
        return True
    if "hard_bounce" in raw:  # Mailjet
        return not raw["hard_bounce"]
    if raw.get("bounce", {}).get("bounceType") in ("Transient", "Undetermined"):  # Amazon SES
        return True
    found = _ENHANCED.search(str(event.mta_response or ""))
    # 4.x.x passes; 5.2.2 is a full mailbox, 5.7.x a policy against the sender or the text.
    return found is not None and (found[1] == "4" or found[0].startswith(("5.2.2", "5.7.")))


def delivery_event_record(*, told: Told, now: datetime) -> bool:
    """Stores one event and what follows from it; False if it was known or is about no message of ours."""
    message = _find(told)
    if message is None:
        log.info("tracking: %s event about no message of ours", told.kind)
        return False
    lost = _STATUS.get(told.kind) in (MessageStatus.BOUNCED, MessageStatus.COMPLAINED)
    with transaction.atomic():
        if lost or told.kind == EventType.UNSUBSCRIBED:
            wake("campaigns.tasks.assess_customers")
            # Before the message: the order in which the engine takes its locks.
            customers_reassess([message.customer_id], now)
            cases_nudge([message.case_id], now)
        message = Message.objects.select_for_update(of=("self",)).select_related("step_run__step", "customer").get(
            pk=message.pk
        )  # fmt: skip
        _event, new = DeliveryEvent.objects.get_or_create(
            message=message,
            external_id=told.external_id,
            defaults={"kind": told.kind[:30], "at": told.at, "detail": told.detail, "data": told.data},
        )
        if not new:
            return False
        _apply(message, told)
        if told.kind in _TOLD:
            _tell(message, told)
        _suppress(message, told, now)
        if lost and (told.kind == EventType.COMPLAINED or not has_ways_left(message)):
            _ask_a_person(message, told, now)
    return True


def _find(told: Told) -> Message | None:
    # By our own key first: the provider's id may reach us before we have noted it.
    if told.message_key:
        found = Message.objects.filter(key=told.message_key).first()
        if found is not None:
            return found
    return Message.objects.filter(provider_id=told.provider_id).first() if told.provider_id else None


def _apply(message: Message, told: Told) -> None:
    status = _STATUS.get(told.kind)
    if status is None:
        return
    at = Value(told.at)
    changes: dict[str, Any] = {"status": stronger(message.status, status)}
    if changes["status"] != message.status and message.status in (MessageStatus.QUEUED, MessageStatus.FAILED):
        changes["send_at"] = None  # it did leave: no further try
    if message.status not in (MessageStatus.SENDING, MessageStatus.CANCELLED):
        changes["sent_at"] = Coalesce("sent_at", "claimed_at", at)
    if told.kind in (EventType.OPENED, EventType.CLICKED):
        changes["first_opened_at"] = Least(Coalesce("first_opened_at", at), at)
    if told.kind == EventType.CLICKED:
        changes["first_clicked_at"] = Least(Coalesce("first_clicked_at", at), at)
    Message.objects.filter(pk=message.pk).update(**changes)


def _tell(message: Message, told: Told) -> None:
    by_customer = told.kind in _BY_CUSTOMER
    words = {
        EventType.DELIVERED: _("Delivered to %(to)s."),
        EventType.OPENED: _("Opened by %(to)s."),
        EventType.CLICKED: _("A link was followed by %(to)s."),
        EventType.COMPLAINED: _("Reported as spam by %(to)s."),
        EventType.UNSUBSCRIBED: _("%(to)s asked for no more mail."),
    }.get(told.kind, _("Did not reach %(to)s."))
    record(
        Entry(
            customer_id=message.customer_id,
            at=told.at,
            kind=f"message.{told.kind}",
            summary=words % {"to": recipient_words(message)},
            body=told.detail,
            direction=Direction.IN if by_customer else Direction.INTERNAL,
            channel=message.channel,
            actor_kind=ActorKind.CUSTOMER if by_customer else ActorKind.SYSTEM,
            outcome=told.kind,
            subject=f"message:{message.pk}",
            data={"case": message.case_id},
            key=f"delivery:{message.pk}:{told.external_id}"[:200],
        )
    )


def _suppress(message: Message, told: Told, now: datetime) -> None:
    reason = None
    if told.kind == EventType.COMPLAINED or (told.kind, told.reject_reason) == _ONCE_A_COMPLAINT:
        reason = Suppression.Reason.COMPLAINT
    elif told.kind == EventType.UNSUBSCRIBED or told.reject_reason == RejectReason.UNSUBSCRIBED:
        reason = Suppression.Reason.OPT_OUT
    elif _refused(told) and told.reject_reason not in _NOT_THE_ADDRESS:
        reason = Suppression.Reason.HARD_BOUNCE
    evidence = f"{told.kind} {told.reject_reason} {told.detail}".strip()
    if reason == Suppression.Reason.OPT_OUT:
        opt_out_record(
            channel=message.channel,
            address=message.recipient,
            country=message.customer.country,
            customer_id=message.customer_id,
            contact_id=message.contact_id,
            evidence=Evidence(
                source=Source.PROVIDER,
                text=evidence,
                message_ref=message.key,
                key=f"delivery:{message.pk}:{told.external_id}"[:200],
            ),
            now=now,
            at=told.at,
        )
    elif reason is not None:
        suppression_add(
            channel=message.channel,
            address=message.recipient,
            country=message.customer.country,
            reason=reason,
            evidence=evidence,
            now=told.at,
        )


def _refused(told: Told) -> bool:
    return told.kind in (EventType.BOUNCED, EventType.REJECTED)


def _ask_a_person(message: Message, told: Told, now: datetime) -> None:
    complained = told.kind == EventType.COMPLAINED
    Task.objects.bulk_create(
        [
            Task(
                customer_id=message.customer_id,
                case_id=message.case_id,
                kind=Task.Kind.REVIEW,
                title=_("A customer reported our mail as spam") if complained else _("A message did not arrive"),
                notes=f"{message.recipient}\n{told.detail}".strip(),
                due_at=now,
                created_at=now,
                key=f"message:{message.pk}:complained" if complained else task_key_of(message),
            )
        ],
        ignore_conflicts=True,
    )
    work_mark([message.customer_id], now)
