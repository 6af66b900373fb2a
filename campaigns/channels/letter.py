"""Owns letters: typeset and laid ready for the printer, or handed to a postal service's API."""

import base64
from typing import Self

import requests
from django.conf import settings

from campaigns import typeset
from campaigns.channels.base import ChannelError, Fate, Outgoing, SendResult
from campaigns.models import Letter


class PrintedLetterChannel:
    """Sets the letter and stores its PDF; it counts as sent when a person has printed it (services.prints)."""

    @staticmethod
    def missing() -> str:
        """Always set up; see campaigns.channels.base.Channel."""
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def send(self, outgoing: Outgoing) -> SendResult:
        """Lays one letter ready; see campaigns.channels.base.Channel. A repetition finds the first one."""
        sheet = typeset.letter(outgoing)
        row, _created = Letter.objects.get_or_create(
            message_id=outgoing.message_id,
            defaults={"pdf": sheet.pdf, "pages": sheet.pages, "created_at": outgoing.at},
        )
        return SendResult(provider_id=f"letter:{row.pk}", waits=True)


class PostalApiChannel:
    """Posts the PDF to a postal service: `POST settings.POSTAL_API_URL` with a bearer token and JSON.

    Request: `reference`, `recipient` (name, lines, country), `sender`, `pages`, `pdf` (base64). The header
    Idempotency-Key is the message's key. Answer: 2xx with `{"id": "…"}`, or an error with `{"error": "…"}`; 422 says
    that the address cannot be delivered to. A service with another protocol gets a class of its own beside this one.
    """

    def __init__(self) -> None:
        self._session: requests.Session | None = None

    @staticmethod
    def missing() -> str:
        """See campaigns.channels.base.Channel."""
        return "" if settings.POSTAL_API_URL else "POSTAL_API_URL"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def send(self, outgoing: Outgoing) -> SendResult:
        """Hands one letter over; see campaigns.channels.base.Channel."""
        sheet = typeset.letter(outgoing)
        self._session = self._session or requests.Session()
        try:
            answer = self._session.post(
                settings.POSTAL_API_URL,
                json={
                    "reference": outgoing.key,
                    "recipient": {
                        "name": outgoing.recipient_name,
                        "lines": typeset.address_lines(outgoing.recipient_name, outgoing.recipient),
                        "country": outgoing.country,
                    },
                    "sender": {"name": outgoing.from_name, "address": outgoing.from_address},
                    "pages": sheet.pages,
                    "pdf": base64.b64encode(sheet.pdf).decode(),
                },
                headers={
                    "Authorization": f"Bearer {settings.POSTAL_API_KEY}",
                    "Idempotency-Key": outgoing.key,
                },
                timeout=settings.POSTAL_API_TIMEOUT,
                allow_redirects=False,
            )
        except requests.ConnectTimeout as error:
            raise _lost(error, Fate.OUTAGE) from error
        except requests.RequestException as error:
            # Under the same key the service posts it once: asking again is safe.
            raise _lost(error, Fate.TEMPORARY) from error
        return self._read(answer)

    def _read(self, answer: requests.Response) -> SendResult:
        status = answer.status_code
        try:
            body = answer.json()
        except ValueError:
            body = {}
        body = body if isinstance(body, dict) else {}
        if 200 <= status < 300 and body.get("id"):
            return SendResult(provider_id=f"post:{body['id']}"[:255])
        words = f"{status} {body.get('error', '')}".strip()[:400]
        if status == 422:
            raise ChannelError(words, fate=Fate.PERMANENT, code="http_422", dead_address=True)
        if status in (401, 403, 404):
            raise ChannelError(words, fate=Fate.OUTAGE, code=f"http_{status}")
        if status == 429 or status >= 500 or status < 300:
            raise ChannelError(words, fate=Fate.TEMPORARY, code=f"http_{status}")
        raise ChannelError(words, fate=Fate.PERMANENT, code=f"http_{status}")


def _lost(error: Exception, fate: Fate) -> ChannelError:
    return ChannelError(f"{type(error).__name__}: {error}"[:400], fate=fate, code="postal_connection_lost")
