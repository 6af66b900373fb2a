"""Owns sending SMS and WhatsApp messages through Twilio's own client.

Twilio has no idempotency key for messages, so a time-out is ambiguous; the status callback, which carries our key in
its signed address, then proves that the message was taken.
"""

import json
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
    """Twilio's client as settings name it. Raises ChannelError (an outage) if it has no credentials."""
    key = settings.TWILIO_API_KEY or settings.TWILIO_ACCOUNT_SID
    secret = settings.TWILIO_API_SECRET if settings.TWILIO_API_KEY else next(iter(settings.TWILIO_AUTH_TOKENS), "")
    if not (settings.TWILIO_ACCOUNT_SID and key and secret):
        raise ChannelError("Twilio's credentials are not set.", fate=Fate.OUTAGE, code="twilio_not_configured")
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


class _TwilioChannel:
    """One pooled HTTPS connection per batch."""

    #: What Twilio writes before the number.
    prefix: ClassVar[str] = ""
    mobile: ClassVar[bool] = False

    def __init__(self) -> None:
        self._client: Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        made, self._client = self._client, None
        session = getattr(made.http_client, "session", None) if made is not None else None
        if session is not None:
            session.close()

    def send(self, outgoing: Outgoing) -> SendResult:
        """Hands over one message; see campaigns.channels.base.Channel."""
        to = self.prefix + number_of(outgoing.recipient, mobile=self.mobile, country=outgoing.country)
        content = self._content(outgoing)
        if self._client is None:
            self._client = client()
        try:
            taken = self._client.messages.create(
                to=to, **self._sender(), status_callback=callback_url(outgoing.key), **content
            )
        except (TwilioException, OSError) as error:  # requests' errors are OSErrors
            raise classify(error) from error
        return SendResult(provider_id=str(taken.sid), segments=self._segments(taken, outgoing))

    def _sender(self) -> dict[str, str]:
        raise NotImplementedError

    def _content(self, outgoing: Outgoing) -> dict[str, Any]:
        body = outgoing.text.strip()
        if not body or len(body) > MOST_CHARACTERS:
            raise ChannelError(
                f"A message has 1 to {MOST_CHARACTERS} characters; this one has {len(body)}.",
                fate=Fate.PERMANENT,
                code="message_length",
            )
        return {"body": body}

    def _segments(self, taken: Any, outgoing: Outgoing) -> int:
        return 0


class SmsChannel(_TwilioChannel):
    """Text messages from a number, an alphanumeric sender or a messaging service (MG…)."""

    mobile = True

    def _sender(self) -> dict[str, str]:
        sender = settings.TWILIO_SMS_FROM
        if not sender:
            raise ChannelError("TWILIO_SMS_FROM is not set.", fate=Fate.OUTAGE, code="twilio_not_configured")
        return {"messaging_service_sid": sender} if sender.startswith("MG") else {"from_": sender}

    def _segments(self, taken: Any, outgoing: Outgoing) -> int:
        # Twilio's own count is 0 while a messaging service has not chosen a sender yet.
        return int(taken.num_segments or 0) or segments(outgoing.text.strip()).count


class WhatsAppChannel(_TwilioChannel):
    """WhatsApp. Outside the 24 hours after a customer's own message Meta takes approved templates only:
    settings.TWILIO_WHATSAPP_CONTENT names their ContentSid by `template.language` or `template`; variables are
    1 the name, 2 the amount, 3 the link to pay, 4 our text."""

    prefix = "whatsapp:"

    def _sender(self) -> dict[str, str]:
        sender = settings.TWILIO_WHATSAPP_FROM
        if not sender:
            raise ChannelError("TWILIO_WHATSAPP_FROM is not set.", fate=Fate.OUTAGE, code="twilio_not_configured")
        return {"messaging_service_sid": sender} if sender.startswith("MG") else {"from_": f"whatsapp:{sender}"}

    def _content(self, outgoing: Outgoing) -> dict[str, Any]:
        approved = settings.TWILIO_WHATSAPP_CONTENT
        sid = approved.get(f"{outgoing.template}.{outgoing.language}") or approved.get(outgoing.template)
        if not sid:
            return super()._content(outgoing)
        values = (outgoing.recipient_name, outgoing.amount, outgoing.link, " ".join(outgoing.text.split()))
        variables = {str(place): value for place, value in enumerate(values, start=1)}
        return {"content_sid": sid, "content_variables": json.dumps(variables, ensure_ascii=False)}
