"""Two people at one form: whoever saves second is told, instead of undoing the first one's work unseen."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from django.utils.translation import gettext as _

from customers.errors import SollecitoError


class Changed(SollecitoError):
    """Somebody else has saved what is being saved; `seen` is the mark of what they left."""

    def __init__(self, message: str, seen: str) -> None:
        super().__init__(message, code="changed_meanwhile")
        self.seen = seen


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
