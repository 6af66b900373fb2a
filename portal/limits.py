"""Owns the portal's rate limits: fixed windows counted in the database, one statement per question."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection
from django.http import HttpRequest

from portal.models import RateWindow


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` times in each window of `seconds`."""

    name: str
    count: int
    seconds: int


PAGES_PER_ADDRESS = Limit("page-ip", 240, 60)
PAGES_PER_LINK = Limit("page-link", 60, 60)
PAYMENTS_PER_LINK = Limit("pay-link", 12, 3600)
CARD_FORMS_PER_LINK = Limit("card-link", 20, 3600)
NEW_LINKS_PER_ADDRESS = Limit("ask-ip", 10, 3600)
NEW_LINKS_PER_EMAIL = Limit("ask-mail", 3, 86400)


def client_address(request: HttpRequest) -> str:
    """The visitor's address. The forwarded header is believed only behind the proxy that sets it, and only
    its last entry: the ones before it are whatever the visitor wrote."""
    if settings.BEHIND_PROXY and (forwarded := request.headers.get("X-Forwarded-For")):
        return forwarded.rsplit(",", 1)[-1].strip()
    return str(request.META.get("REMOTE_ADDR", ""))


def seconds_to_wait(limit: Limit, who: str, now: datetime) -> int:
    """Counts one more for `who` and returns 0 if that is within the limit, else seconds until the next window."""
    start = int(now.timestamp()) // limit.seconds * limit.seconds
    ends_at = datetime.fromtimestamp(start, UTC) + timedelta(seconds=limit.seconds)
    key = hmac.new(settings.SECRET_KEY.encode(), f"{limit.name}|{who}|{start}".encode(), hashlib.sha256).hexdigest()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO portal_ratewindow (key, count, ends_at) VALUES (%s, 1, %s)"
            " ON CONFLICT (key) DO UPDATE SET count = portal_ratewindow.count + 1 RETURNING count",
            [key, ends_at],
        )
        count = cursor.fetchone()[0]
    return 0 if count <= limit.count else max(1, int((ends_at - now).total_seconds()))


def windows_purge(*, now: datetime) -> int:
    """Drops windows that are over; returns how many."""
    return RateWindow.objects.filter(ends_at__lt=now).delete()[0]
