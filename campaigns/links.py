"""Owns what a mail needs of the customer's pages: the request, the answer, and the seam to whoever makes links.

Links belong to a higher app (the portal), which this one may not import: settings.CUSTOMER_LINKS names a function
of type `LinkMaker`. It is called once per batch with all requests, so its number of queries must not grow with
them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """One mail that needs links. `key` is the Message's id and comes back as key of the answer: the link by which the
    mail is refused names it."""

    key: int
    customer_id: int
    brand_id: int


@dataclass(frozen=True, slots=True)
class MailLinks:
    """Absolute addresses of one customer's pages, each holding the customer's secret token.

    `redact` replaces the token, wherever it stands in a text or HTML body, by a sign that opens nothing
    (`https://host/p/…`). What is sent has the token, what is stored must have been through `redact`: whoever
    reads the log may not walk into the customer's pages.
    """

    portal: str
    pay: str
    #: Where a plan to pay in parts is offered and agreed on.
    parts: str
    update_card: str
    preferences: str
    unsubscribe: str
    redact: Callable[[str], str]
    #: Addresses of single invoices' payment pages by invoice id; `pay` serves for those not in it.
    pay_invoice: Callable[[int], str] | None = None


class LinkMaker(Protocol):
    """What settings.CUSTOMER_LINKS names."""

    def __call__(self, requests: Sequence[LinkRequest], now: datetime) -> Mapping[int, MailLinks]:
        """Links for every request, by `LinkRequest.key`; stores only hashes of the tokens. `now` is aware UTC.

        Called with no transaction open; commits what it stores before it returns, because the mail that
        carries the link leaves right afterwards.
        """


@lru_cache(maxsize=8)
def _named(path: str) -> LinkMaker:
    maker: LinkMaker = import_string(path)
    return maker


def link_maker() -> LinkMaker:
    """The function settings.CUSTOMER_LINKS names. Raises ImportError if there is none."""
    return _named(settings.CUSTOMER_LINKS)
