"""Owns one telling: the signed POST, the line of chat, the mail to staff."""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from email.utils import format_datetime
from smtplib import SMTPException

import certifi
import urllib3
from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.serializers.json import DjangoJSONEncoder

from customers.errors import SollecitoError
from integrations.models import Endpoint, EventDelivery
from integrations.webhooks.addresses import Target, resolve

#: Seconds to connect, and to answer.
PATIENCE = urllib3.Timeout(connect=5, read=10)
#: Of an answer nothing but its status is of interest.
_MOST_READ = 2_000


class NotHeard(SollecitoError):
    """The endpoint did not take it now; it is told again later."""

    def __init__(self, message: str) -> None:
        super().__init__(message[:400], code="not_heard", permanent=False)


def tell(delivery: EventDelivery, now: datetime) -> None:
    """Tells one event. Raises NotHeard; anything taken by the other side returns quietly."""
    endpoint = delivery.endpoint
    if endpoint.kind == Endpoint.Kind.EMAIL:
        _mail(delivery, now)
    elif endpoint.kind == Endpoint.Kind.CHAT:
        _post(endpoint.url, json.dumps({"text": chat_line(delivery)}, ensure_ascii=False).encode(), {})
    else:
        body = json.dumps(delivery.payload, cls=DjangoJSONEncoder, ensure_ascii=False, separators=(",", ":")).encode()
        _post(endpoint.url, body, signed(delivery.event_id, body, endpoint.secret, now))


def signed(event_id: str, body: bytes, secret: str, now: datetime) -> dict[str, str]:
    """Headers of the Standard Webhooks scheme: HMAC-SHA256 over id, moment and body."""
    stamp = str(int(now.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{event_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def chat_line(delivery: EventDelivery) -> str:
    """What a person reads in a chat, with the way to the customer's page."""
    payload = delivery.payload
    words = str(payload.get("summary", delivery.kind))
    # Slack's three characters of markup.
    safe = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    name = str(payload["customer"]["name"]).replace("&", "&amp;").replace("<", "‹").replace(">", "›").replace("|", "/")
    return f"<{payload['url']}|{name}>: {safe}"


def _post(url: str, body: bytes, headers: dict[str, str]) -> None:
    try:
        target = resolve(url)
        status = _call(target, body, headers)
    except SollecitoError as error:
        raise NotHeard(error.message) from error
    except (OSError, urllib3.exceptions.HTTPError) as error:
        raise NotHeard(f"{type(error).__name__}: {error}") from error
    if not 200 <= status < 300:
        raise NotHeard(f"HTTP {status}")


def _call(target: Target, body: bytes, headers: dict[str, str]) -> int:
    pool: urllib3.HTTPConnectionPool
    if target.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            target.ip,
            target.port,
            server_hostname=target.host,
            assert_hostname=target.host,
            ca_certs=certifi.where(),
            cert_reqs="CERT_REQUIRED",
            timeout=PATIENCE,
        )
    else:
        pool = urllib3.HTTPConnectionPool(target.ip, target.port, timeout=PATIENCE)
    usual = target.port in (80, 443)
    whole = {
        "Host": target.host if usual else f"{target.host}:{target.port}",
        "Content-Type": "application/json",
        "User-Agent": "Sollecito",
        **headers,
    }
    with pool:
        answer = pool.urlopen(
            "POST", target.path, body=body, headers=whole, redirect=False, retries=False, preload_content=False
        )
        answer.read(_MOST_READ)
        answer.release_conn()
        return int(answer.status)


def _mail(delivery: EventDelivery, now: datetime) -> None:
    payload = delivery.payload
    words = str(payload.get("summary", delivery.kind))
    digest = hashlib.sha256(f"{delivery.endpoint_id}:{delivery.event_id}".encode()).hexdigest()[:24]
    mail = EmailMessage(
        subject=" ".join(f"{payload['customer']['name']}: {words}".split())[:200],
        body=f"{words}\n\n{payload['customer']['name']}\n{payload['url']}\n",
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[delivery.endpoint.email],
        headers={
            # The same on every try: mailboxes drop the second copy.
            "Message-ID": f"<e{digest}@{settings.DEFAULT_FROM_EMAIL.rpartition('@')[2]}>",
            "Date": format_datetime(now),
            "Auto-Submitted": "auto-generated",
        },
    )
    try:
        mail.send()
    except (OSError, SMTPException, AnymailError) as error:
        raise NotHeard(f"{type(error).__name__}: {error}") from error
