"""Owns messages that confirm what a customer agreed to by themselves: by the outbox, to the address mails go to."""

from collections.abc import Sequence
from datetime import datetime

from django.utils.html import escape

from campaigns.engine.load import load_cases
from campaigns.models import Case, Message, MessagePurpose, MessageStatus, TemplateVersion
from campaigns.models.case import LIVE_STATES
from customers.models import Channel
from customers.wake import wake

#: The mail whose frame, sender and footer a confirmation has; the words are its own.
FRAME = "payment_received"
_LIQUID = str.maketrans({"{": "(", "}": ")"})


def confirmation_queue(
    *, customer_id: int, brand_id: int, key: str, subject: str, paragraphs: Sequence[str], language: str, now: datetime
) -> Message | None:
    """Queues a mail with these words (plain, in `language`) and the way to the payment page; `now` is aware UTC.

    `key` makes it one message. As every confirmation it leaves although the case rests, and only to an address that
    may be used. None where there is no case, template or address: the page has said the same.
    """
    live = Case.objects.filter(customer_id=customer_id, brand_id=brand_id, state__in=LIVE_STATES)
    case = live.order_by("-opened_at", "-pk").first()
    version = TemplateVersion.objects.filter(
        template__code=FRAME, status=TemplateVersion.Status.PUBLISHED, texts__channel=Channel.EMAIL
    ).first()
    if case is None or version is None:
        return None
    loaded = load_cases([case.pk], now).cases
    who = loaded[0].addressees.get(Channel.EMAIL.value) if loaded else None
    if who is None:
        return None
    words = [_plain(each) for each in paragraphs]
    # Liquid of our own, behind words that are none.
    words.append('<a href="{{ links.portal }}">{{ links.portal }}</a>')
    message, made = Message.objects.get_or_create(
        key=f"confirm:{key}",
        defaults={
            "customer_id": customer_id,
            "brand_id": brand_id,
            "case": case,
            "contact_id": who.contact_id,
            "purpose": MessagePurpose.RECEIPT,
            "channel": Channel.EMAIL,
            "template_version": version,
            "language": language,
            "recipient": who.address,
            "own_subject": subject.translate(_LIQUID)[:500],
            "own_text": "\n\n".join(words),
            "status": MessageStatus.QUEUED,
            "queued_at": now,
            "send_at": now,
        },
    )
    if made:
        wake("campaigns.tasks.deliver_due")
    return message


def _plain(words: str) -> str:
    """Words as they stand in a mail's source: neither markup nor Liquid, lines kept."""
    return escape(words.translate(_LIQUID)).replace("\n", "<br/>")
