"""Owns the consent register: recording who allowed or refused a channel, and what holds now.

A refusal also suppresses the address, and a later permission lifts that suppression again: the senders look at
suppressions only. The newest decision counts by the moment it was made, so the order in which decisions become
known makes no difference.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext as _

from customers.addresses import normalise
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind, Channel, Direction, Suppression
from customers.models.consent import ConsentEvent
from customers.services import customers_reassess, suppression_add

Decision = ConsentEvent.Decision
Source = ConsentEvent.Source


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a decision is known. `source` is one of ConsentEvent.Source; the rest as far as it applies."""

    source: str
    #: The words of the reply, or what was ticked or said.
    text: str = ""
    #: The words in it that decided (campaigns.guard.keywords.Opt.keyword).
    keyword: str = ""
    #: Our message's key, or the provider's id of the reply.
    message_ref: str = ""
    ip: str | None = None
    #: Which wording the person had before them.
    wording: str = ""
    language: str = ""
    #: Member of staff who noted it.
    actor_id: int | None = None
    #: Makes a fact told twice one event, e.g. `twilio:SM…`.
    key: str | None = None


def opt_out_record(
    *,
    channel: str,
    address: str,
    evidence: Evidence,
    now: datetime,
    at: datetime | None = None,
    customer_id: int | None = None,
    contact_id: int | None = None,
    country: str = "",
    unless_known: bool = False,
) -> ConsentEvent:
    """Records that nobody may write to `address` on `channel` any more, from `at` (aware UTC; now unless told).

    Suppresses the address, writes the customer's log and has their case looked at again, all in one transaction.
    `country` reads local telephone numbers. A fact whose `evidence.key` is known already changes nothing and its
    event comes back; with `unless_known` the same goes for a decision that is the newest already. Raises
    SollecitoError without an address.
    """
    about = (customer_id, contact_id, country)
    return _record(Decision.WITHDRAWN, channel, address, evidence, now, at, about, unless_known)


def opt_in_record(
    *,
    channel: str,
    address: str,
    evidence: Evidence,
    now: datetime,
    at: datetime | None = None,
    customer_id: int | None = None,
    contact_id: int | None = None,
    country: str = "",
    unless_known: bool = False,
) -> ConsentEvent:
    """Records that `address` may be written to on `channel`; as opt_out_record.

    Lifts a suppression that rests on an opt-out. One for a bounce, a complaint or by staff's own word stays.
    """
    about = (customer_id, contact_id, country)
    return _record(Decision.GRANTED, channel, address, evidence, now, at, about, unless_known)


def _record(
    decision: str,
    channel: str,
    address: str,
    evidence: Evidence,
    now: datetime,
    at: datetime | None,
    about: tuple[int | None, int | None, str],
    unless_known: bool,
) -> ConsentEvent:
    customer_id, contact_id, country = about
    spelled = normalise(channel, address, country)
    if not spelled or channel not in Channel.values:
        raise SollecitoError(_("Consent is given or refused for an address on a channel."), code="no_address")
    with transaction.atomic():
        if customer_id is not None:
            customers_reassess([customer_id], now)  # customers before everything else: the order of all locks
        _lock(channel, spelled)
        if evidence.key and (known := ConsentEvent.objects.filter(key=evidence.key).first()) is not None:
            return known
        newest = _newest(channel, spelled) if unless_known else None
        if newest is not None and newest.decision == decision:
            return newest
        event = ConsentEvent.objects.create(
            customer_id=customer_id,
            contact_id=contact_id,
            channel=channel,
            address=spelled,
            decision=decision,
            source=evidence.source,
            at=min(at or now, now),  # a provider's clock may be ahead
            recorded_at=now,
            actor_kind=ActorKind.USER if evidence.actor_id else ActorKind.CUSTOMER,
            actor_id=evidence.actor_id,
            evidence=evidence.text,
            keyword=evidence.keyword[:80],
            message_ref=evidence.message_ref[:255],
            ip=evidence.ip or None,
            wording_version=evidence.wording[:60],
            language=evidence.language[:8],
            key=evidence.key,
        )
        _enforce(channel, spelled, now)
        if customer_id is not None:
            _tell(event)
    return event


def _lock(channel: str, address: str) -> None:
    """Two decisions about one address are recorded one after the other, or both would see the other missing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"consent:{channel}:{address}"])


def _newest(channel: str, address: str) -> ConsentEvent | None:
    return ConsentEvent.objects.filter(channel=channel, address=address).order_by("-at", "-id").first()


def _enforce(channel: str, address: str, now: datetime) -> None:
    """Makes the suppression of an address agree with the newest decision about it."""
    newest = _newest(channel, address)
    if newest is None:
        return
    if newest.decision == Decision.WITHDRAWN:
        suppression_add(
            channel=channel,
            address=address,
            reason=Suppression.Reason.OPT_OUT,
            evidence=newest.evidence or newest.get_source_display(),
            now=newest.at,
        )
        return
    row = (
        Suppression.objects.select_for_update()
        .filter(channel=channel, address=address, lifted_at=None, reason=Suppression.Reason.OPT_OUT)
        .first()
    )
    if row is not None:
        row.lifted_at = now
        row.save(update_fields=["lifted_at"])


def _tell(event: ConsentEvent) -> None:
    refused = event.decision == Decision.WITHDRAWN
    words = _("%(address)s may no longer be used: %(how)s.") if refused else _("%(address)s may be used: %(how)s.")
    by_staff = event.actor_id is not None
    record(
        Entry(
            customer_id=event.customer_id or 0,
            at=event.at,
            kind=f"consent.{event.decision}",
            summary=words % {"address": event.address, "how": event.get_source_display()},
            body=event.evidence,
            direction=Direction.INTERNAL if by_staff else Direction.IN,
            channel=event.channel,
            actor_kind=event.actor_kind,
            actor_id=event.actor_id,
            outcome=event.decision,
            subject=f"consent:{event.pk}",
        )
    )


_ADDRESSES = """
    SELECT true, channel, address FROM customers_suppression
     WHERE lifted_at IS NULL AND address = ANY(%s::text[])
     UNION ALL
    SELECT false, channel, address
      FROM (SELECT DISTINCT ON (address, channel) channel, address, decision
              FROM customers_consentevent
             WHERE address = ANY(%s::text[])
             ORDER BY address, channel, at DESC, id DESC) newest
     WHERE decision = 'granted'
"""
Pairs = frozenset[tuple[str, str]]


def address_facts(addresses: Collection[str]) -> tuple[Pairs, Pairs]:
    """Of normalised addresses, the (channel, address) pairs that are suppressed, and those that allowed the channel.

    One query; what the guard is shown.
    """
    with connection.cursor() as cursor:
        wanted = list(addresses)
        cursor.execute(_ADDRESSES, [wanted, wanted])
        rows = cursor.fetchall()
    return (
        frozenset((channel, address) for suppressed, channel, address in rows if suppressed),
        frozenset((channel, address) for suppressed, channel, address in rows if not suppressed),
    )


@dataclass(frozen=True, slots=True)
class State:
    """What holds for an address on a channel; `event` says since when and on what evidence."""

    channel: str
    address: str
    allowed: bool
    event: ConsentEvent


def states(addresses: Collection[tuple[str, str]]) -> dict[tuple[str, str], State]:
    """The newest decision by (channel, normalised address), of those that have one. One query."""
    rows = (
        ConsentEvent.objects.filter(address__in={address for _channel, address in addresses})
        .order_by("address", "channel", "-at", "-id")
        .distinct("address", "channel")
    )
    wanted = set(addresses)
    return {
        (row.channel, row.address): State(row.channel, row.address, row.decision == Decision.GRANTED, row)
        for row in rows
        if (row.channel, row.address) in wanted
    }
