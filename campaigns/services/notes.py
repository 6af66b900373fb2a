"""Notes that call a colleague: who is mentioned gets a task, in the transaction of the note."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from campaigns.models import Task
from customers.models import Direction
from customers.notes import note_add

#: `@anna`, not the end of an address. A full stop after it ends the sentence.
_MENTION = re.compile(r"(?<![\w.+-])@([\w.+-]*\w)")
#: Colleagues one note may call.
MOST_MENTIONS = 20


@dataclass(frozen=True, slots=True)
class Noted:
    """Who was told, and which names nobody on the staff has."""

    told: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@transaction.atomic
def note_write(
    *,
    customer_id: int,
    text: str,
    actor_id: int,
    now: datetime,
    direction: str = Direction.INTERNAL,
    channel: str = "",
    tell: Collection[int] = (),
    case_id: int | None = None,
) -> Noted:
    """Puts a note into the customer's log at `now` (aware UTC) and gives a task to each active member of staff
    mentioned in it (`@username`) or named in `tell` (their ids). The endpoints that tell staff of tasks tell of these.

    Raises SollecitoError as note_add does.
    """
    names = list(dict.fromkeys(name.lower() for name in _MENTION.findall(text)))[:MOST_MENTIONS]
    staff = get_user_model().objects.filter(is_active=True, is_staff=True).annotate(spelled=Lower("username"))
    found: dict[int, User] = {row.pk: row for row in staff.filter(spelled__in=names)}
    known = {row.username.lower() for row in found.values()}
    found |= {row.pk: row for row in staff.filter(pk__in=list(tell)[:MOST_MENTIONS])}
    told = [row for pk, row in sorted(found.items()) if pk != actor_id]
    note_add(
        customer_id=customer_id,
        text=text,
        actor_id=actor_id,
        now=now,
        direction=direction,
        channel=channel,
        mentions=[row.username for row in told],
        subject=f"case:{case_id}" if case_id else "",
    )
    author = get_user_model().objects.get(pk=actor_id)
    Task.objects.bulk_create(
        Task(
            customer_id=customer_id,
            case_id=case_id,
            kind=Task.Kind.REVIEW,
            title=(_("%(name)s mentioned you: %(words)s") % {"name": author, "words": text.strip().splitlines()[0]})[
                :255
            ],
            notes=text,
            due_at=now,
            assignee=row,
            created_at=now,
        )
        for row in told
    )
    return Noted(tuple(row.username for row in told), tuple(name for name in names if name not in known))
