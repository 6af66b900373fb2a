"""Owns which lines of the log count as contacts: calls, letters and talks that people had outside the outbox.

The guard's caps and quiet periods count them beside our messages, whoever made them and for whichever case.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from campaigns.guard.types import Contacted
from customers.models.interaction import CONTACT_KINDS, NO_TALK, Direction

#: The guard's longest window is a month; a ladder's least gap may be longer.
CONTACTS_REMEMBERED = timedelta(days=31)
#: More than any policy allows a customer in that time; bounds what one busy customer costs.
MOST = 100

# Customer by customer down the partial index `interaction_contacts`, whose condition this repeats.
_LOGGED = f"""
    SELECT u.id, l.channel, l.at, l.direction, l.outcome
      FROM unnest(%s::bigint[]) AS u(id)
     CROSS JOIN LATERAL (
           SELECT channel, at, direction, outcome
             FROM customers_interaction
            WHERE customer_id = u.id AND at > %s
              AND kind IN ({", ".join(f"'{kind}'" for kind in CONTACT_KINDS)}) AND direction IN ('in', 'out')
            ORDER BY at DESC
            LIMIT {MOST}
     ) l
"""


@dataclass(frozen=True, slots=True)
class Logged:
    """What the log holds of one customer, newest first: contacts we made, and conversations (either side's)."""

    made: tuple[Contacted, ...] = ()
    talks: tuple[Contacted, ...] = ()


NOTHING_LOGGED = Logged()


def logged(customer_ids: Iterable[int], now: datetime) -> dict[int, Logged]:
    """By customer, of those that have any in the 31 days before `now` (aware UTC). One query."""
    with connection.cursor() as cursor:
        cursor.execute(_LOGGED, [sorted(set(customer_ids)), now - CONTACTS_REMEMBERED])
        rows = cursor.fetchall()
    made: dict[int, list[Contacted]] = {}
    talks: dict[int, list[Contacted]] = {}
    for customer_id, channel, at, direction, outcome in rows:
        contact = Contacted(channel, at)
        if direction == Direction.OUT and channel:
            made.setdefault(customer_id, []).append(contact)
        # A mail or letter noted by staff is a contact; only what is answered, or spoken, is a conversation.
        if direction == Direction.IN or (channel == "call" and outcome not in NO_TALK):
            talks.setdefault(customer_id, []).append(contact)
    return {pk: Logged(tuple(made.get(pk, ())), tuple(talks.get(pk, ()))) for pk in {row[0] for row in rows}}
