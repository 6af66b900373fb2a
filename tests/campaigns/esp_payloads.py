"""What e-mail providers post, built from the formats Anymail documents, for its real webhook views.

Each provider answers for two functions: `tracking(kind, message)` and `inbound(mail)`, giving path and arguments for
Django's test client with the provider's own proof of origin.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from campaigns.models import Message
from tests.factories import NOW

MAILGUN_KEY = "mailgun-signing-key"
#: tests.settings: ANYMAIL_WEBHOOK_SECRET
BASIC = {"Authorization": "Basic " + base64.b64encode(b"name:secret").decode()}
STAMP = int(NOW.timestamp()) + 3600


@dataclass
class Mail:
    """A mail that comes in, whatever brings it."""

    text: str
    sender: str = "anna@example.com"
    to: str = "billing@acme.example"
    subject: str = "Re: Your payment"
    html: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    message_id: str = "<reply-1@mail.example.com>"
    attachments: list[tuple[str, str, bytes]] = field(default_factory=list)

    def all_headers(self) -> list[tuple[str, str]]:
        own = [
            ("From", f"Anna Bianchi <{self.sender}>"), ("To", self.to), ("Subject", self.subject),
            ("Date", format_datetime(NOW)), ("Message-ID", self.message_id),
        ]  # fmt: skip
        return own + list(self.headers.items())

    def raw(self) -> str:
        mail = EmailMessage()
        for name, value in self.all_headers():
            mail[name] = value
        mail.set_content(self.text)
        if self.html:
            mail.add_alternative(self.html, subtype="html")
        for name, content_type, content in self.attachments:
            main, _, sub = content_type.partition("/")
            mail.add_attachment(content, maintype=main, subtype=sub, filename=name)
        return mail.as_string()


Post = tuple[str, dict[str, Any]]


def _json(path: str, body: Any) -> Post:
    return f"/anymail/{path}/", {"data": json.dumps(body), "content_type": "application/json", "headers": dict(BASIC)}


def _mailgun_signature(token: str = "tok" * 16) -> dict[str, str]:
    signed = hmac.new(MAILGUN_KEY.encode(), f"{STAMP}{token}".encode(), hashlib.sha256).hexdigest()
    return {"timestamp": str(STAMP), "token": token, "signature": signed}


class Mailgun:
    @staticmethod
    def tracking(kind: str, message: Message) -> Post:
        event: dict[str, Any] = {
            "event": {"bounced": "failed", "soft": "failed"}.get(kind, kind),
            "id": "CPgfbmQMTCKtHW6uIWtuVe",
            "timestamp": float(STAMP),
            "recipient": message.recipient,
            "message": {"headers": {"message-id": message.provider_id.strip("<>"), "to": message.recipient}},
            "user-variables": {"message_key": message.key},
            "tags": ["dunning"],
        }
        if kind in ("bounced", "soft"):
            event |= {
                "severity": "permanent" if kind == "bounced" else "temporary",
                "reason": "bounce",
                "delivery-status": {"code": 550, "message": "5.1.1 No such user", "description": ""},
            }
        return _json("mailgun/tracking", {"signature": _mailgun_signature(), "event-data": event})

    @staticmethod
    def inbound(mail: Mail) -> Post:
        data = _mailgun_signature() | {
            "recipient": mail.to, "sender": mail.sender, "from": mail.sender, "subject": mail.subject,
            "body-mime": mail.raw(),
        }  # fmt: skip
        return "/anymail/mailgun/inbound_mime/", {"data": data, "headers": dict(BASIC)}


class Postmark:
    @staticmethod
    def tracking(kind: str, message: Message) -> Post:
        record = {
            "delivered": "Delivery", "opened": "Open", "clicked": "Click", "bounced": "Bounce", "soft": "Bounce",
            "complained": "SpamComplaint",
        }[kind]  # fmt: skip
        body: dict[str, Any] = {
            "RecordType": record,
            "MessageID": message.provider_id,
            "Recipient": message.recipient,
            "Metadata": {"message_key": message.key},
            "DeliveredAt": "2026-03-10T13:00:00Z",
        }
        if record in ("Bounce", "SpamComplaint"):
            body |= {
                "ID": 692560173,
                "Type": {"bounced": "HardBounce", "soft": "SoftBounce"}.get(kind, "SpamComplaint"),
                "Email": message.recipient,
                "BouncedAt": "2026-03-10T13:00:00Z",
                "Details": "smtp;550 5.1.1 The email account does not exist.",
            }
            del body["Recipient"], body["DeliveredAt"]
        if kind == "clicked":
            body["OriginalLink"] = "https://pay.example.com/"
        return _json("postmark/tracking", body)

    @staticmethod
    def inbound(mail: Mail) -> Post:
        headers = [{"Name": "Return-Path", "Value": f"<{mail.sender}>"}]
        headers += [{"Name": n, "Value": v} for n, v in mail.all_headers() if n not in ("From", "To", "Subject")]
        return _json(
            "postmark/inbound",
            {
                "FromFull": {"Email": mail.sender, "Name": "Anna Bianchi"},
                "ToFull": [{"Email": mail.to, "Name": ""}],
                "OriginalRecipient": mail.to,
                "Subject": mail.subject,
                "MessageID": "73e6d360-66eb-11e1-8e72-a8904824019b",
                "TextBody": mail.text,
                "HtmlBody": mail.html,
                "Headers": headers,
                "Attachments": [
                    {"Name": n, "ContentType": t, "Content": base64.b64encode(c).decode(), "ContentLength": len(c)}
                    for n, t, c in mail.attachments
                ],
            },
        )


class Brevo:
    @staticmethod
    def tracking(kind: str, message: Message) -> Post:
        event = {
            "delivered": "delivered", "opened": "unique_opened", "clicked": "click", "bounced": "hard_bounce",
            "soft": "soft_bounce", "complained": "spam",
        }[kind]  # fmt: skip
        body = {
            "event": event,
            "email": message.recipient,
            "id": 1,
            "ts_epoch": STAMP * 1000,
            "message-id": message.provider_id,
            "X-Mailin-custom": json.dumps({"message_key": message.key}),
            "tags": ["dunning"],
        }
        if "bounce" in event:
            body["reason"] = "550 5.1.1 no such user" if kind == "bounced" else "452 4.2.2 over quota"
        if kind == "clicked":
            body["link"] = "https://pay.example.com/"
        return _json("brevo/tracking", body)

    @staticmethod
    def inbound(mail: Mail) -> Post:
        headers: dict[str, Any] = dict(mail.all_headers())
        headers |= {"Return-Path": f"<{mail.sender}>", "Delivered-To": mail.to}
        item = {
            "Uuid": ["27341d0a-0000-4a0d-8b8e-8b0a8b0a8b0a"],
            "MessageId": mail.message_id,
            "Headers": headers,
            "RawTextBody": mail.text,
            "RawHtmlBody": mail.html,
            "Attachments": [],
        }
        return _json("brevo/inbound", {"items": [item]})


class Mailjet:
    @staticmethod
    def tracking(kind: str, message: Message) -> Post:
        event = {
            "delivered": "sent", "opened": "open", "clicked": "click", "bounced": "bounce", "soft": "bounce",
            "complained": "spam",
        }[kind]  # fmt: skip
        body: dict[str, Any] = {
            "event": event,
            "time": STAMP,
            "MessageID": 19421777835146490,
            "email": message.recipient,
            "Payload": json.dumps({"message_key": message.key}),
        }
        if event == "bounce":
            body |= {
                "hard_bounce": kind == "bounced",
                "error_related_to": "recipient",
                "error": "user unknown" if kind == "bounced" else "quota exceeded",
            }
        if kind == "clicked":
            body["url"] = "https://pay.example.com/"
        return _json("mailjet/tracking", [body])

    @staticmethod
    def inbound(mail: Mail) -> Post:
        body: dict[str, Any] = {
            "Sender": mail.sender,
            "Recipient": mail.to,
            "Headers": dict(mail.all_headers()),
            "Text-part": mail.text,
            "Html-part": mail.html,
            "Parts": [],
            "SpamAssassinScore": "0.1",
        }
        for number, (name, content_type, content) in enumerate(mail.attachments, start=1):
            body[f"Attachment{number}"] = base64.b64encode(content).decode()
            part = {"Content-Type": content_type, "Content-Disposition": f'attachment; filename="{name}"'}
            body["Parts"].append({"Headers": part, "ContentRef": f"Attachment{number}"})
        return _json("mailjet/inbound", body)


class SparkPost:
    @staticmethod
    def tracking(kind: str, message: Message) -> Post:
        group, event = {
            "delivered": ("message_event", "delivery"), "opened": ("track_event", "open"),
            "clicked": ("track_event", "click"), "bounced": ("message_event", "bounce"),
            "soft": ("message_event", "bounce"), "complained": ("message_event", "spam_complaint"),
        }[kind]  # fmt: skip
        body: dict[str, Any] = {
            "type": event,
            "event_id": "92356927693813856",
            "timestamp": str(STAMP),
            "transmission_id": message.provider_id,
            "raw_rcpt_to": message.recipient,
            "rcpt_meta": {"message_key": message.key},
        }
        if event == "bounce":
            body |= {"bounce_class": "10" if kind == "bounced" else "22", "raw_reason": "550 5.1.1 no"}
        if kind == "clicked":
            body["target_link_url"] = "https://pay.example.com/"
        return _json("sparkpost/tracking", [{"msys": {group: body}}])

    @staticmethod
    def inbound(mail: Mail) -> Post:
        content = {"email_rfc822": mail.raw(), "email_rfc822_is_base64": False}
        relay = {"protocol": "smtp", "msg_from": mail.sender, "rcpt_to": mail.to, "content": content}
        return _json("sparkpost/inbound", [{"msys": {"relay_message": relay}}])


class SendGrid:
    @staticmethod
    def tracking(kind: str, message: Message) -> Post:
        event = {
            "delivered": "delivered", "opened": "open", "clicked": "click", "bounced": "bounce", "soft": "bounce",
            "complained": "spamreport",
        }[kind]  # fmt: skip
        body: dict[str, Any] = {
            "event": event,
            "email": message.recipient,
            "timestamp": STAMP,
            "anymail_id": message.provider_id,
            "message_key": message.key,
            "sg_event_id": "ZGVsaXZlcmVkLTA",
            "sg_message_id": "14c5d75ce93.dfd.64b469.filter",
            "category": ["dunning"],
        }
        if event == "bounce":
            body |= {"type": "bounce" if kind == "bounced" else "blocked", "reason": "550 5.1.1 unknown user"}
        if kind == "clicked":
            body["url"] = "https://pay.example.com/"
        return _json("sendgrid/tracking", [body])

    @staticmethod
    def inbound(mail: Mail) -> Post:
        data = {
            "headers": "\n".join(f"{name}: {value}" for name, value in mail.all_headers()),
            "text": mail.text,
            "html": mail.html,
            "envelope": json.dumps({"to": [mail.to], "from": mail.sender}),
            "charsets": json.dumps({"text": "utf-8", "html": "utf-8"}),
        }
        return "/anymail/sendgrid/inbound/", {"data": data, "headers": dict(BASIC)}


ESPS: dict[str, Any] = {
    "Mailgun": Mailgun, "Postmark": Postmark, "Brevo": Brevo, "Mailjet": Mailjet, "SparkPost": SparkPost,
    "SendGrid": SendGrid,
}  # fmt: skip
