"""What the mail provider and the telephone network tell the product: signed posts to its real webhooks."""

from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

import requests
from django.conf import settings
from twilio.request_validator import RequestValidator

from dunning_site.demo.mailbox import Mail
from dunning_site.embedded.twilio_sink import CLOCK

#: Our word → SparkPost's group and event.
_EVENTS = {
    "delivered": ("message_event", "delivery"),
    "opened": ("track_event", "open"),
    "clicked": ("track_event", "click"),
    "complained": ("message_event", "spam_complaint"),
}


class Network:
    """Speaks for a mail provider (SparkPost's format) and for Twilio. Nothing is posted twice."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._answers = 0
        self._events: list[dict[str, Any]] = []

    def set_clock(self, now: datetime | None) -> None:
        """Dates texts taken in from here on `now` (aware UTC); None: by the machine's clock."""
        data = {"now": now.isoformat() if now else ""}
        self._session.post(settings.TWILIO_API_BASE + CLOCK, data=data, timeout=60).raise_for_status()

    def event(self, word: str, mail: Mail, at: datetime) -> None:
        """Notes what became of a mail; told with `flush`."""
        group, name = _EVENTS[word]
        body = {
            "type": name,
            "event_id": f"{mail.key}-{word}",
            "timestamp": str(int(at.timestamp())),
            "transmission_id": mail.message_id,
            "raw_rcpt_to": mail.recipient,
            "rcpt_meta": {"message_key": mail.key},
        }
        self._events.append({"msys": {group: body}})

    def flush(self) -> None:
        """Posts the noted events in one call, as a provider does."""
        events, self._events = self._events, []
        if events:
            self._mail_provider("tracking", events)

    def mail_back(self, mail: Mail, text: str, at: datetime, **headers: str) -> None:
        """The reader of `mail` answers it."""
        self._answers += 1
        answer = EmailMessage()
        answer["From"], answer["To"] = mail.recipient, mail.reply_to
        answer["Subject"] = f"Re: {mail.subject}"
        answer["Date"] = format_datetime(at)
        answer["Message-ID"] = f"<demo-{self._answers}@example.com>"
        answer["In-Reply-To"] = mail.message_id
        for name, value in headers.items():
            answer[name.replace("_", "-")] = value
        answer.set_content(text)
        content = {"email_rfc822": answer.as_string(), "email_rfc822_is_base64": False}
        relay = {"protocol": "smtp", "msg_from": mail.recipient, "rcpt_to": mail.reply_to, "content": content}
        self._mail_provider("inbound", [{"msys": {"relay_message": relay}}])

    def text_delivered(self, text: Mail) -> None:
        """The handset has taken a text."""
        fields = {"MessageSid": text.message_id, "MessageStatus": "delivered", "To": text.recipient}
        self._twilio(text.callback, fields)

    def text_back(self, text: Mail, body: str) -> None:
        """The reader of a text answers it."""
        self._answers += 1
        self._twilio(
            f"{settings.BASE_URL}/webhooks/twilio/inbound/",
            {
                "MessageSid": f"SMdemo{self._answers:028d}",
                "From": text.recipient,
                "To": settings.TWILIO_SMS_FROM,
                "Body": body,
                "NumMedia": "0",
            },
        )

    def _mail_provider(self, kind: str, body: list[dict[str, Any]]) -> None:
        name, _, password = settings.ANYMAIL["WEBHOOK_SECRET"].partition(":")
        self._session.post(
            f"{settings.BASE_URL}/anymail/sparkpost/{kind}/", json=body,
            auth=(name, password), timeout=60,
        ).raise_for_status()  # fmt: skip

    def _twilio(self, url: str, fields: dict[str, str]) -> None:
        signed = {"AccountSid": settings.TWILIO_ACCOUNT_SID, **fields}
        signature = RequestValidator(settings.TWILIO_AUTH_TOKENS[0]).compute_signature(url, signed)
        self._session.post(url, data=signed, headers={"X-Twilio-Signature": signature}, timeout=60).raise_for_status()
