"""Owns what every channel is given, answers and raises, and the registry settings.CHANNELS."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from customers.errors import SollecitoError
from customers.models import Channel as ChannelName

#: Channels that need a class; a call is a task for staff.
_WRITTEN = tuple(name for name in ChannelName.values if name != ChannelName.CALL)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One finished message, links and all. `at` (aware UTC) is the moment it is dated with."""

    message_id: int
    #: Message.key: the same on every try, so that a provider or reader can tell a repetition.
    key: str
    recipient: str
    recipient_name: str
    from_email: str
    from_name: str
    reply_to: str
    subject: str
    text: str
    html: str
    language: str
    at: datetime
    #: Where one click refuses more of these mails; empty where the contact rules do not want it.
    unsubscribe_url: str = ""
    #: Code of the template, what is owed in words, and where it is paid: for providers with templates of their own.
    template: str = ""
    amount: str = ""
    link: str = ""
    #: For a letter: the sender's postal address, the brand's colour, the customer's country, the day in words.
    from_address: str = ""
    color: str = "#000000"
    country: str = ""
    date_words: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SendResult:
    """The channel took the message; `provider_id` is what its callbacks will call it."""

    provider_id: str
    #: Parts it was sent in, where a channel is billed by parts.
    segments: int = 0
    #: True where it only lies ready: a person sends it (a letter to be printed), and it does not count till then.
    waits: bool = False


class Fate(StrEnum):
    """What a failure means for the message."""

    #: Not accepted now; the same message may be tried again.
    TEMPORARY = "temporary"
    #: The channel itself is out of reach: nothing about this message, and the next would fare no better.
    OUTAGE = "outage"
    #: Refused; trying again would be refused again.
    PERMANENT = "permanent"
    #: It may have been accepted: trying again could send it twice.
    AMBIGUOUS = "ambiguous"


class ChannelError(SollecitoError):
    """A message was not, or perhaps not, accepted. `dead_address` says the address does not exist (any more),
    `opted_out` that its owner asked the provider to be left alone."""

    def __init__(
        self, message: str, *, fate: Fate, code: str = "", dead_address: bool = False, opted_out: bool = False
    ) -> None:
        super().__init__(message, code=code or f"channel_{fate}", permanent=fate is Fate.PERMANENT)
        self.fate = fate
        self.dead_address = dead_address
        self.opted_out = opted_out


class Channel(Protocol):
    """One way out. Used as a context manager around a batch, so that one connection serves all of it."""

    @staticmethod
    def missing() -> str:
        """Names the settings without which nothing can leave by it; empty where it is set up. No network."""

    def __enter__(self) -> "Channel":
        """Begins a batch; connects no earlier than the first message."""

    def __exit__(self, *exc: object) -> None:
        """Ends the batch and closes what it opened; never raises."""

    def send(self, outgoing: Outgoing) -> SendResult:
        """Hands over one message. Raises ChannelError; anything else raised counts as ambiguous."""


def closed_channels() -> dict[str, str]:
    """Channels nothing can leave by, with what is missing: a step passes over them instead of waiting."""
    found = {name: "CHANNELS" for name in _WRITTEN if name not in settings.CHANNELS}
    for name, path in settings.CHANNELS.items():
        if missing := _class(path).missing():
            found[name] = missing
    return found


def channel(name: str) -> AbstractContextManager[Channel]:
    """A fresh channel of that name. Raises SollecitoError if settings.CHANNELS has none."""
    try:
        path = settings.CHANNELS[name]
    except KeyError as error:
        raise SollecitoError(f"No channel {name!r} is configured.", code="channel_unknown") from error
    return cast("AbstractContextManager[Channel]", _class(path)())


def _class(path: str) -> type[Channel]:
    return cast("type[Channel]", import_string(path))
