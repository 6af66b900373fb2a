"""What staff do to a customer by hand, notes and edits, each with its line in the log."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind, CallOutcome, Channel, Customer, Direction
from customers.services import customers_reassess
from customers.signals import announce_exclusions_changed

#: These also forbid charges that nobody asked for.
EXCLUSIONS = frozenset({"no_dunning", "legal_hold", "bankrupt"})
#: Edits of these change what the campaign side may or must do, so it looks at the customer again.
_WEIGHTY = frozenset({"no_dunning", "do_not_contact", "legal_hold", "bankrupt", "vulnerable", "timezone", "country"})


def note_add(
    *,
    customer_id: int,
    text: str,
    actor_id: int,
    now: datetime,
    direction: str = Direction.INTERNAL,
    channel: str = "",
    mentions: Sequence[str] = (),
    subject: str = "",
) -> None:
    """Puts a member of staff's note, or a talk they had, into the customer's log at `now` (aware UTC).

    `mentions` are the colleagues told of it, `subject` what it is about (`case:12`).
    Raises SollecitoError for an empty text, an unknown direction or channel.
    """
    text = text.strip()
    if not text:
        raise SollecitoError(_("A note needs words."), code="note_empty")
    if direction not in Direction.values or (channel and channel not in Channel.values):
        raise SollecitoError(_("Unknown direction or channel."), code="note_kind")
    record(
        Entry(
            customer_id=customer_id,
            at=now,
            kind="note.added",
            summary=text.splitlines()[0][:500],
            body=text if len(text.splitlines()) > 1 or len(text) > 500 else "",
            direction=direction,
            channel=channel,
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            subject=subject,
            data={"mentions": list(mentions)} if mentions else {},
        )
    )


def call_log(
    *,
    customer_id: int,
    outcome: str,
    actor_id: int,
    now: datetime,
    text: str = "",
    direction: str = Direction.OUT,
    subject: str = "",
    data: Mapping[str, Any] | None = None,
    remark: str = "",
    key: str | None = None,
) -> None:
    """Puts a telephone call, made or taken, into the customer's log at `now` (aware UTC).

    `outcome` is one of CallOutcome. The guard counts it: calls have their caps, conversations quiet days after them.
    `remark` follows the outcome in the line; `key` makes the line one.
    Raises SollecitoError for an unknown outcome or direction.
    """
    if outcome not in CallOutcome.values or direction not in (Direction.IN, Direction.OUT):
        raise SollecitoError(_("Say what came of the call."), code="call_outcome")
    words = _("Call: %(outcome)s") % {"outcome": CallOutcome(outcome).label}
    with transaction.atomic():
        customers_reassess([customer_id], now)
        record(
            Entry(
                customer_id=customer_id,
                at=now,
                kind="call.logged",
                summary=f"{words} ({remark})" if remark else words,
                body=text.strip(),
                direction=direction,
                channel=Channel.CALL,
                actor_kind=ActorKind.USER,
                actor_id=actor_id,
                outcome=outcome,
                subject=subject,
                data=data or {},
                key=key,
            )
        )


def customer_edited(*, customer_id: int, fields: Iterable[str], actor_id: int, now: datetime) -> None:
    """Logs which fields a member of staff changed; has the customer's cases looked at again where it matters.

    Call it in the transaction of the change (the admin's views are in one). Old and new values are in the
    customer's history.
    """
    changed = list(fields)
    names = ", ".join(str(Customer._meta.get_field(name).verbose_name) for name in changed)  # type: ignore[union-attr]
    with transaction.atomic():
        record(
            Entry(
                customer_id=customer_id,
                at=now,
                kind="customer.edited",
                summary=_("Changed: %(fields)s") % {"fields": names},
                actor_kind=ActorKind.USER,
                actor_id=actor_id,
                data={"fields": changed},
            )
        )
        if EXCLUSIONS.intersection(changed):
            announce_exclusions_changed(customer_id)
        if _WEIGHTY.intersection(changed):
            customers_reassess([customer_id], now)
