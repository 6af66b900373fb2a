"""Owns what mail providers post of incoming mail (Anymail's inbound signal): replies, and bounce reports by mail."""

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.message import EmailMessage, Message
from html import unescape
from typing import Any

from anymail.inbound import AnymailInboundMessage
from anymail.signals import AnymailInboundEvent, EventType, RejectReason, inbound
from django.dispatch import receiver

from campaigns.inbound.attachments import MOST_FILES, Attached
from campaigns.inbound.classify import classify
from campaigns.inbound.receive import Incoming, inbound_record
from campaigns.models import InboundKind
from campaigns.reply_tokens import message_of
from campaigns.tracking import Told, delivery_event_record
from customers import clock
from customers.models import Channel

log = logging.getLogger(__name__)

_MESSAGE_ID = re.compile(r"<[^<>\s]{3,500}>")
#: RFC 3463 classes that say the address does not exist, as in campaigns.channels.email_errors.
_NO_SUCH_ADDRESS = re.compile(r"^5\.(1\.\d+|2\.1)$")


@receiver(inbound, dispatch_uid="campaigns.inbound")
def _on_inbound(sender: object, event: AnymailInboundEvent, esp_name: str, **kwargs: object) -> None:
    now = clock.now()
    told = read(event, esp_name, now)
    if told.kind is InboundKind.BOUNCE:
        for report in reports(event.message, now):
            delivery_event_record(told=report, now=now)
    inbound_record(told=told, now=now)


def read(event: AnymailInboundEvent, esp_name: str, now: datetime) -> Incoming:
    """An Anymail event in our words. Its moment is `now`: the Date header is the sender's word."""
    mail = event.message
    headers = _headers(mail)
    sender = _sender(mail)
    name = headers.get("message-id", "").strip()
    if not name:
        seed = (
            event.event_id
            or hashlib.sha256(
                repr((sender, mail.subject, mail.date, mail.text, mail.html)).encode("utf-8", "replace")
            ).hexdigest()
        )
        name = f"{esp_name}:{seed}"
    recipients = [str(a.addr_spec) for a in (*mail.to, *mail.cc)]
    signs = [mail.envelope_recipient or "", *recipients, headers.get("delivered-to", "")]
    return Incoming(
        channel=Channel.EMAIL,
        external_id=name,
        at=now,
        sender=sender,
        recipient=mail.envelope_recipient or next(iter(recipients), ""),
        subject=mail.subject or "",
        text=_text(mail),
        kind=classify(
            headers=headers,
            subject=mail.subject or "",
            sender=sender,
            null_sender=mail.envelope_sender == "" or headers.get("return-path", "").strip() == "<>",
        ),
        signs=tuple(sign for sign in signs if sign),
        references=_references(headers),
        attachments=tuple(_attachments(mail)),
    )


def _headers(mail: Message) -> Mapping[str, str]:
    return {name.lower(): str(value) for name, value in reversed(mail.items())}


def _sender(mail: AnymailInboundMessage) -> str:
    found: Any = mail.from_email
    if isinstance(found, list):  # legal and odd: several authors
        found = found[0]
    return str(found.addr_spec) if found is not None else (mail.envelope_sender or "")


def _references(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Message-IDs the mail answers: In-Reply-To, then References from the newest on."""
    answers = _MESSAGE_ID.findall(headers.get("in-reply-to", ""))
    thread = _MESSAGE_ID.findall(headers.get("references", ""))
    return tuple(dict.fromkeys([*answers, *reversed(thread)]))[:30]


def _text(mail: AnymailInboundMessage) -> str:
    """The plain part; of a mail without one, the words of its HTML. Markup is read, never kept."""
    text = mail.text
    return text if text and text.strip() else words_of(mail.html or "")


def _attachments(mail: AnymailInboundMessage) -> Iterator[Attached]:
    parts = [part for part in mail.walk() if part.is_attachment() or (part.is_inline() and part.get_filename())]
    for part in parts[: MOST_FILES + 1]:
        try:
            content = part.get_content_bytes() or b""
        except ValueError:  # a part that holds parts has no content of its own
            content = b""
        yield Attached(part.get_filename() or "", part.get_content_type(), content)


def reports(mail: EmailMessage, now: datetime) -> list[Told]:
    """The bounces a delivery report (RFC 3464) tells of messages of ours, one for each failed recipient.

    Only for a message whose own sign stands in the report: a stranger cannot report an address dead.
    """
    answered = message_of(_texts(mail))
    if answered is None:
        return []
    told = []
    for block in _blocks(mail):
        action = str(block.get("Action", "")).strip().lower()
        status = str(block.get("Status", "")).split(" ")[0].strip()
        if action != "failed" and not status.startswith("5."):
            continue
        recipient = str(block.get("Original-Recipient") or block.get("Final-Recipient") or "").rpartition(";")[2]
        reason = RejectReason.INVALID if _NO_SUCH_ADDRESS.match(status) else RejectReason.OTHER
        detail = str(block.get("Diagnostic-Code", "")) or status
        told.append(
            Told(
                kind=EventType.BOUNCED,
                at=now,
                external_id=f"dsn:{answered.pk}:{recipient.strip().lower()}:{status}"[:255],
                message_key=answered.key,
                recipient=recipient.strip(),
                reject_reason=reason,
                detail=" ".join(detail.split())[:500],
            )
        )
    return told


def _blocks(mail: EmailMessage) -> Iterator[Message]:
    for part in mail.walk():
        if part.get_content_type() == "message/delivery-status":
            payload = part.get_payload()
            if isinstance(payload, list):
                yield from (block for block in payload if isinstance(block, Message))


def _texts(mail: EmailMessage) -> Iterator[str]:
    """Where a report may name the message: its own headers and those of the returned mail."""
    for part in mail.walk():
        if part.get_content_type() == "text/rfc822-headers":
            payload = part.get_payload(decode=True)
            yield payload.decode("utf-8", "replace") if isinstance(payload, bytes) else str(part.get_payload())
        for name in ("Message-ID", "In-Reply-To", "References", "To", "Original-Envelope-Id", "Reply-To"):
            if part.get(name):
                yield str(part[name])


#: Characters of an HTML mail that are read.
_MOST_HTML = 500_000
_SILENT = frozenset({"script", "style", "head", "title", "template", "noscript"})
_BREAKS = frozenset({"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "blockquote", "table"})
# Neither `<` nor `>` inside a tag: reading stays in proportion to the length. The library's parser takes minutes over
# a hundred kilobytes of tags that are never closed, and strangers write this.
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)[^<>]*>|<[!?][^<>]*>", re.IGNORECASE)


def words_of(html: str) -> str:
    """The readable words of an HTML document, a line for each block."""
    source = _without_comments(html[:_MOST_HTML])
    out: list[str] = []
    silent, read = "", 0
    for tag in _TAG.finditer(source):
        if not silent:
            out.append(source[read : tag.start()])
        read = tag.end()
        closes, name = bool(tag[1]), (tag[2] or "").lower()
        if silent:
            # A head need not be closed: the body ends it.
            if (closes and name == silent) or name == "body":
                silent = ""
        elif name in _SILENT and not closes:
            silent = name
        elif name in _BREAKS:
            out.append("\n")
    if not silent:
        out.append(source[read:])
    lines = (" ".join(line.split()) for line in unescape("".join(out)).splitlines())
    return "\n".join(line for line in lines if line)


def _without_comments(html: str) -> str:
    kept: list[str] = []
    read = 0
    while (start := html.find("<!--", read)) >= 0:
        kept.append(html[read:start])
        end = html.find("-->", start)
        if end < 0:
            return "".join(kept)
        read = end + 3
    return "".join([*kept, html[read:]])
