"""Two people at one form: whoever saves second is told, instead of undoing or doubling the first one's work unseen.

Rows that are edited carry a mark of their fields (`mark`, `refuse_changed`); acts on a customer carry how far the log
had been read when their form was opened (`last_line`, `refuse_news`).
"""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from django.db.models import Max, Q
from django.utils.translation import gettext as _

from customers.errors import SollecitoError
from customers.models import ActorKind, Customer, Interaction

#: What people act by, besides everything a person did: told by a loop or the processor, it makes another decision.
_WEIGHTY = Q(kind__in=("attempt.succeeded", "attempt.declined", "attempt.unknown", "message.sent"))
for _prefix in ("case.", "promise.", "plan.", "dispute.", "invoice.", "payment.", "reply.", "customer."):
    _WEIGHTY |= Q(kind__startswith=_prefix)
_BY_PEOPLE = Q(actor_kind__in=(ActorKind.USER, ActorKind.CUSTOMER))
#: Lines shown of what happened; the log has them all.
_SHOWN = 8


class Changed(SollecitoError):
    """Somebody else has saved what is being saved; `seen` is the mark of what they left, `news` the lines of the log
    since, oldest first."""

    def __init__(self, message: str, seen: str, news: Sequence[Interaction] = ()) -> None:
        super().__init__(message, code="changed_meanwhile")
        self.seen = seen
        self.news = tuple(news)


def mark(row: Any, fields: Sequence[str]) -> str:
    """What a form was opened on, in short: the row's `fields` as they are stored."""
    said = json.dumps([getattr(row, name) for name in fields], default=str, sort_keys=True)
    return sha256(said.encode()).hexdigest()[:20]


def refuse_changed(row: Any, fields: Sequence[str], seen: str) -> None:
    """Raises Changed unless `row`, which the caller has just read and locked, is as it was when a form was opened on
    `seen`; an empty mark asks for nothing. A row with a history."""
    found = mark(row, fields)
    if not seen or seen == found:
        return
    last = row.history.select_related("history_user").order_by("-history_date", "-history_id").first()
    who = last.history_user if last is not None and last.history_user is not None else _("Somebody else")
    raise Changed(
        _("%(who)s has saved this meanwhile. What you filled in is kept here: save again to put it in the place of "
          "theirs.") % {"who": who},
        found,
    )  # fmt: skip


def last_line(customer_id: int) -> str:
    """How far the customer's log goes now, for a form to carry."""
    return str(Interaction.objects.filter(customer_id=customer_id).aggregate(last=Max("id"))["last"] or 0)


def refuse_news(customer_id: int, seen: str) -> None:
    """Raises Changed if the customer's log tells of something people act by since a form was opened on `seen`.

    Locks the customer until the caller's transaction ends, so that of two who save at the same moment the second
    sees what the first one wrote. An empty or unreadable mark asks for nothing.
    """
    if not seen.isdecimal():
        return
    Customer.objects.select_for_update(no_key=True).filter(pk=customer_id).values_list("pk").first()
    lines = Interaction.objects.filter(_WEIGHTY | _BY_PEOPLE, customer_id=customer_id, id__gt=int(seen))
    news = list(lines.select_related("actor").order_by("-id")[:_SHOWN])
    if news:
        raise Changed(
            _("Something has happened since you opened this form. Read it, then save again if you still want to."),
            last_line(customer_id),
            news[::-1],
        )
