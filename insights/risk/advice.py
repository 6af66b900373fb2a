"""Owns what terms a risk speaks for: deposit, shorter terms, generous grace. Advice; nothing acts on it. Pure."""

from collections.abc import Mapping
from enum import StrEnum

from billing.behaviour import MANY
from billing.models import Band, Rating

#: On time so often and so long that waiting costs nothing.
_TRUSTED_INVOICES = 6
_SHORT_TERMS = 10


class Advice(StrEnum):
    NO_CREDIT = "no_credit"
    DEPOSIT = "deposit"
    SHORTER = "shorter"
    REMIND = "remind"
    PART_NOW = "part_now"
    SECOND_METHOD = "second_method"
    GENEROUS = "generous"
    AS_IS = "as_is"
    WAIT = "wait"


def advice_of(*, band: str, rating: str, counts: Mapping[str, int], terms_days: int, overdue: int) -> list[Advice]:
    """What to change, the weightiest first; never empty.

    `counts` is billing.behaviour's; `terms_days` what the customer has to pay its newest invoice (0: charged at once),
    `overdue` how many invoices are late now.
    """
    if not band:
        return [Advice.WAIT]
    found = []
    if band == Band.HIGH:
        found += [Advice.NO_CREDIT] if overdue > 1 else []
        found.append(Advice.DEPOSIT)
        found += [Advice.SHORTER] if terms_days > _SHORT_TERMS else []
    elif band == Band.MEDIUM and terms_days:
        found.append(Advice.REMIND)
    if counts.get("broken", 0):
        found.append(Advice.PART_NOW)
    if counts.get("charges", 0) and counts.get("declined", 0) >= MANY * counts["charges"]:
        found.append(Advice.SECOND_METHOD)
    trusted = rating == Rating.A and counts.get("invoices", 0) >= _TRUSTED_INVOICES
    if not found and band == Band.LOW and trusted and not overdue:
        found.append(Advice.GENEROUS)
    return found or [Advice.AS_IS]
