"""What the guard is shown and what it answers; plain values, so that the check is pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from campaigns.guard.book import SHIPPED, PolicyBook


class Contacted(NamedTuple):
    """One contact already made, or handed to the outbox and still to be made."""

    channel: str
    at: datetime


class GuardSnapshot(NamedTuple):
    """What is known of a customer and case when a contact is considered. All moments are aware UTC.

    Built with a constant number of queries per batch by whoever asks: campaigns.engine.load when a step is
    decided, campaigns.delivery just before sending.
    """

    customer_id: int
    #: `consumer` or `business` (customers.models.CustomerKind).
    kind: str
    #: ISO 3166, two letters; may be empty.
    country: str
    #: IANA name, already resolved: the customer's own, else the country's, else the brand's.
    zone: str
    #: Of the case, customers' rests included: campaigns.models.CaseState.
    case_state: str
    #: Deleted at the source: not our customer any more.
    deleted: bool = False
    no_dunning: bool = False
    do_not_contact: bool = False
    legal_hold: bool = False
    bankrupt: bool = False
    vulnerable: bool = False
    #: An open promise, an active plan, or every open invoice disputed.
    promised: bool = False
    in_plan: bool = False
    disputed: bool = False
    #: Something is still owed; a message that asks for money is pointless without.
    owes: bool = True
    #: Channel → address that would be written to; a channel without address is absent.
    addresses: Mapping[str, str] = MappingProxyType({})
    #: (channel, normalised address) pairs with a suppression in force.
    suppressed: frozenset[tuple[str, str]] = frozenset()
    #: Recent contacts of the customer on any channel, newest first; the message being checked left out.
    contacts: tuple[Contacted, ...] = ()
    #: Recent conversations, whoever began them: calls that were answered, replies, talks noted by staff.
    talks: tuple[Contacted, ...] = ()
    #: Least time between two messages, in hours (campaigns.models.LadderVersion.min_gap_hours).
    min_gap_hours: int = 0
    #: `dunning` or `receipt` (MessagePurpose): a thank-you is no pressure and outlives its case.
    purpose: str = "dunning"
    #: (channel, normalised address) pairs whose newest entry in the consent register allows the channel.
    granted: frozenset[tuple[str, str]] = frozenset()
    #: The brand that writes, and whether it collects debts owed to others: rules differ.
    brand_id: int = 0
    collector: bool = False
    #: The contact policies, managers' own included, as they stood when the snapshot was taken.
    book: PolicyBook = SHIPPED
    #: `zone` is only the main one of several in the country (campaigns.guard.zones.is_guess).
    zone_is_guess: bool = False
    #: Channels nothing can leave by, with what is missing (campaigns.channels.base.closed_channels).
    closed: Mapping[str, str] = MappingProxyType({})

    def has_address(self, channel: str) -> bool:
        """True if there is an address for the channel."""
        return bool(self.addresses.get(channel))

    @property
    def last_contact_at(self) -> datetime | None:
        """Moment of the newest contact on any channel."""
        return max((contact.at for contact in self.contacts), default=None)


@dataclass(frozen=True, slots=True)
class Allowed:
    """Nothing stands against it now."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now; `until` (aware UTC, later than the moment checked) is when to ask again."""

    until: datetime
    #: Dotted id of the rule, e.g. `quiet_hours.default`; `reason` says it in words.
    rule: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Not at all as things stand: by a state, an exclusion, a suppression, or for want of an address."""

    rule: str
    reason: str = ""


Verdict = Allowed | Deferred | Blocked
