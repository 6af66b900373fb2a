"""Owns the sign by which an answer tells which message it answers: in Message-IDs and in reply addresses.

`m<id>.<digest>`: nobody but us can make one, so a stranger can neither file a letter under another customer nor
report a bounce that never was.
"""

import re
from collections.abc import Iterable

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from campaigns.models import Message

_TOKEN = re.compile(r"\bm(\d{1,18})\.([0-9a-f]{20})(?![0-9a-f])")


def token(message_id: int, key: str) -> str:
    """The sign of a message; the same however often it is sent."""
    return f"m{message_id}.{salted_hmac('campaigns.reply', key).hexdigest()[:20]}"


def reply_address(message_id: int, key: str) -> str:
    """settings.INBOUND_ADDRESS with the message's sign in it (`reply+m12.ab…@in.example.com`); "" without one."""
    local, at, domain = settings.INBOUND_ADDRESS.partition("@")
    return f"{local}+{token(message_id, key)}@{domain}" if at else ""


def message_of(texts: Iterable[str]) -> Message | None:
    """The message whose true sign stands first in any of these (addresses, Message-IDs), or None."""
    for text in texts:
        for number, digest in _TOKEN.findall(text.lower()):
            message = Message.objects.filter(pk=int(number)).first()
            if message is not None and constant_time_compare(token(message.pk, message.key), f"m{number}.{digest}"):
                return message
    return None
