"""Owns reading managers' own contact rules: the book of policies as it stands now, in every process."""

import logging

from django.utils.translation import gettext as _

from campaigns.guard.book import SHIPPED, Override, PolicyBook
from campaigns.guard.policy import shipped, version
from campaigns.models.policy import PolicyOverride

log = logging.getLogger(__name__)

_Key = tuple[tuple[object, ...], ...]
_kept: tuple[_Key, PolicyBook] = ((), SHIPPED)


def current_book() -> PolicyBook:
    """The policies as shipped and as managers changed them. One query, and a second one after a change.

    What was read before is kept by the ids and moments of change of the rows, so that a manager's change holds from
    the next batch on in all processes, whatever they have in memory.
    """
    global _kept
    in_force = PolicyOverride.objects.filter(withdrawn_at=None).order_by("id")
    key: _Key = tuple(in_force.values_list("id", "changed_at"))
    if key != _kept[0]:
        _kept = (key, PolicyBook(shipped(), [read(row) for row in in_force]) if key else SHIPPED)
    return _kept[1]


def read(row: PolicyOverride) -> Override:
    """A row as the book takes it. One that cannot be read holds its customers' messages back until it is mended:
    a rule we do not understand is no rule we may pass over."""
    try:
        own = version(row.code, row.rules, row.valid_from, own=True)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        log.error("own contact rules %s cannot be read: %r", row.pk, error)
        words = _("The contact rules “%(rules)s” cannot be read; a manager has to mend them.") % {"rules": row}
        return Override(row.brand_id or 0, None, row.code, row.valid_from, words)
    return Override(row.brand_id or 0, own, row.code, row.valid_from)
