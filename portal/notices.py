"""Owns notices shown inside the merchant's product and on the payment page: which, seen, put away."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from anymail.signals import EventType
from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.models import Message, MessagePurpose
from campaigns.models.case import CaseState
from campaigns.models.message import STRENGTH
from campaigns.tracking import Told, delivery_event_record
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind, Channel, Direction
from portal.links import REDACTED

#: A link into the customer's pages as it is stored, without its secret, and the words that lead to it: dead here,
#: where a button stands beside the notice.
_SECRET_LINK = re.compile(rf"(?:\b[^\n.:!?]{{0,40}}:[ \t]*)?\S*/p/{REDACTED}\S*")
#: Notices of one answer; a ladder has a handful.
MOST = 20


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice as it is shown. `text` is plain, without secret links."""

    id: int
    subject: str
    text: str
    language: str
    at: datetime
    seen: bool


def notices_of(*, customer_id: int, brand_id: int | None = None) -> Sequence[Notice]:
    """What the customer has not put away, newest first. A demand is shown while its case is open: it goes when the
    case ends, and is silent while a promise, a plan, a dispute or a pause lets it rest."""
    rows = (
        Message.objects.filter(
            customer_id=customer_id, channel=Channel.IN_APP, status__in=STRENGTH, dismissed_at__isnull=True
        )
        .select_related("case")
        .order_by("-sent_at", "-id")
    )
    if brand_id is not None:
        rows = rows.filter(brand_id=brand_id)
    return [
        Notice(
            id=row.pk,
            subject=row.subject,
            text=_SECRET_LINK.sub("", row.text).strip(),
            language=row.language,
            at=row.sent_at or row.queued_at,
            seen=row.first_opened_at is not None,
        )
        for row in rows[:MOST]
        if row.purpose == MessagePurpose.RECEIPT or row.case.state == CaseState.OPEN
    ]


def notice_seen(*, notice_id: int, customer_id: int, now: datetime) -> bool:
    """Notes that a notice was shown to its customer; False if it was noted before.

    Raises SollecitoError if the customer has no such notice.
    """
    message = _own(notice_id, customer_id)
    return delivery_event_record(
        told=Told(kind=EventType.OPENED, at=now, external_id=f"notice:{message.pk}:seen", message_key=message.key),
        now=now,
    )


def notice_dismiss(*, notice_id: int, customer_id: int, now: datetime) -> bool:
    """Puts a notice away for good; False if it was already. Raises as notice_seen."""
    message = _own(notice_id, customer_id)
    with transaction.atomic():
        if not Message.objects.filter(pk=message.pk, dismissed_at__isnull=True).update(dismissed_at=now):
            return False
        record(
            Entry(
                customer_id=customer_id,
                at=now,
                kind="notice.dismissed",
                summary=_("Put away the notice “%(subject)s”.") % {"subject": message.subject},
                direction=Direction.IN,
                channel=Channel.IN_APP,
                actor_kind=ActorKind.CUSTOMER,
                subject=f"message:{message.pk}",
                data={"case": message.case_id},
            )
        )
    return True


def _own(notice_id: int, customer_id: int) -> Message:
    message = Message.objects.filter(
        pk=notice_id, customer_id=customer_id, channel=Channel.IN_APP, status__in=STRENGTH
    ).first()
    if message is None:
        raise SollecitoError(_("There is no such notice."), code="no_such_notice")
    return message
