"""Owns sending SMS and WhatsApp messages through Twilio's own client.

Twilio has no idempotency key for messages, so a time-out is ambiguous; the status callback, which carries our key in
its signed address, then proves that the message was taken.
"""

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self
from urllib.parse import urlencode

import phonenumbers
from django.conf import settings
from django.urls import reverse
from twilio.base.exceptions import TwilioException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from campaigns.channels.base import ChannelError, Fate, Outgoing, SendResult
from campaigns.channels.segments import segments
from campaigns.channels.twilio_errors import classify

#: Twilio refuses longer bodies (21617).
MOST_CHARACTERS = 1600


def client() -> Client:
    """Twilio's client as settings name it."""
    key, secret = _credentials()
    made = Client(
        key,
        secret,
        settings.TWILIO_ACCOUNT_SID,
        http_client=TwilioHttpClient(timeout=settings.TWILIO_TIMEOUT, max_retries=0),
        # Not the process's environment: what is not in our settings must not steer where messages go.
        environment={"none": ""},
    )
    made.api.base_url = settings.TWILIO_API_BASE
    return made


def _credentials() -> tuple[str, str]:
    if settings.TWILIO_API_KEY:
        return settings.TWILIO_API_KEY, settings.TWILIO_API_SECRET
    return settings.TWILIO_ACCOUNT_SID, next(iter(settings.TWILIO_AUTH_TOKENS), "")


def callback_url(key: str) -> str:
    """Where Twilio reports on the message of that key; its signature covers the whole address."""
    return f"{settings.BASE_URL}{reverse('twilio-status')}?{urlencode({'key': key})}"


def number_of(address: str, *, mobile: bool, country: str = "") -> str:
    """The number in E.164; `country` (two letters) reads one written without its country's code.

    Raises ChannelError for one that cannot exist, or, with `mobile`, takes no texts.
    """
    try:
        number = phonenumbers.parse(address, country.upper() or None)
    except phonenumbers.NumberParseException as error:
        raise _no_number(address) from error
    kind = phonenumbers.number_type(number)
    fixed = phonenumbers.PhoneNumberType.FIXED_LINE
    if not phonenumbers.is_valid_number(number) or (mobile and kind == fixed):
        raise _no_number(address)
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _no_number(address: str) -> ChannelError:
    return ChannelError(
        f"{address!r} is no number that takes messages.",
        fate=Fate.PERMANENT,
        code="number_invalid",
        dead_address=True,
    )


class _Session:
    """One pooled HTTPS connection per batch, opened with its first message."""

    def __init__(self) -> None:
        self._client: Client | None = None

    def create(self, **message: Any) -> Any:
        """Orders one message. Raises ChannelError."""
        self._client = self._client or client()
        try:
            return self._client.messages.create(**message)
        except (TwilioException, OSError) as error:  # requests' errors are OSErrors
            raise classify(error) from error

    def close(self) -> None:
        made, self._client = self._client, None
        session = getattr(made.http_client, "session", None) if made is not None else None
        if session is not None:
            session.close()


class _TwilioChannel(ABC):
    """What text messages and WhatsApp have in common: the account, the session, the callback."""

    #: The setting that names the sender, and what Twilio writes before a number.
    sender: ClassVar[str]
    prefix: ClassVar[str] = ""
    mobile: ClassVar[bool] = False

    def __init__(self) -> None:
        self._session = _Session()

    @classmethod
    def missing(cls) -> str:
        """See campaigns.channels.base.Channel."""
        wanted = {
            "TWILIO_ACCOUNT_SID": settings.TWILIO_ACCOUNT_SID,
            "TWILIO_API_SECRET" if settings.TWILIO_API_KEY else "TWILIO_AUTH_TOKENS": _credentials()[1],
            cls.sender: getattr(settings, cls.sender),
        }
        return ", ".join(name for name, value in wanted.items() if not value)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._session.close()

    def send(self, outgoing: Outgoing) -> SendResult:
        """Hands over one message; see campaigns.channels.base.Channel."""
        to = self.prefix + number_of(outgoing.recipient, mobile=self.mobile, country=outgoing.country)
        taken = self._session.create(
            **self._content(outgoing), **self._from(), to=to, status_callback=callback_url(outgoing.key)
        )
        return SendResult(provider_id=str(taken.sid), segments=self._segments(taken, outgoing))

    def _from(self) -> dict[str, str]:
        sender = getattr(settings, self.sender)
        if sender.startswith("MG"):
            return {"messaging_service_sid": sender}
        return {"from_": f"{self.prefix}{sender}"}

    @abstractmethod
    def _content(self, outgoing: Outgoing) -> dict[str, Any]:
        """What is said, as Twilio's parameters. Raises ChannelError where it cannot be said."""

    @abstractmethod
    def _segments(self, taken: Any, outgoing: Outgoing) -> int:
        """Parts it is billed in."""


def _body(outgoing: Outgoing) -> dict[str, Any]:
    body = outgoing.text.strip()
    if not body or len(body) > MOST_CHARACTERS:
        raise ChannelError(
            f"A message has 1 to {MOST_CHARACTERS} characters; this one has {len(body)}.",
            fate=Fate.PERMANENT,
            code="message_length",
        )
    return {"body": body}


class SmsChannel(_TwilioChannel):
    """Text messages from a number, an alphanumeric sender or a messaging service (MG…)."""

    sender = "TWILIO_SMS_FROM"
    mobile = True

    def _content(self, outgoing: Outgoing) -> dict[str, Any]:
        return _body(outgoing)

    def _segments(self, taken: Any, outgoing: Outgoing) -> int:
        # Twilio's own count is 0 while a messaging service has not chosen a sender yet.
        return int(taken.num_segments or 0) or segments(outgoing.text.strip()).count


class WhatsAppChannel(_TwilioChannel):
    """WhatsApp. Outside the 24 hours after a customer's own message Meta takes approved templates only:
    settings.TWILIO_WHATSAPP_CONTENT names their ContentSid by `template.language` or `template`; variables are
    1 the name, 2 the amount, 3 the link to pay, 4 our text."""

    sender = "TWILIO_WHATSAPP_FROM"
    prefix = "whatsapp:"

    def _content(self, outgoing: Outgoing) -> dict[str, Any]:
        approved = settings.TWILIO_WHATSAPP_CONTENT
        sid = approved.get(f"{outgoing.template}.{outgoing.language}") or approved.get(outgoing.template)
        if not sid:
            return _body(outgoing)
        values = (outgoing.recipient_name, outgoing.amount, outgoing.link, " ".join(outgoing.text.split()))
        variables = {str(place): value for place, value in enumerate(values, start=1)}
        return {"content_sid": sid, "content_variables": json.dumps(variables, ensure_ascii=False)}

    def _segments(self, taken: Any, outgoing: Outgoing) -> int:
        return 0  # billed by the conversation
