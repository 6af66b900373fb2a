"""Owns the plain-words reason for a declined charge, per category and language; silent about suspicions.

The sentences live in `campaigns/shipped/reasons.yaml`. A card reported lost or a charge held for fraud reads
like any other refusal: the mail may be opened by the wrong person, and the bank tells the right one better.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import yaml

from billing.retries.declines import DeclineVerdict
from billing.retries.taxonomy import POLICIES, AsksFor, Category

from .variables import Decline

SHIPPED = Path(__file__).resolve().parent.parent / "shipped"
FALLBACK_LANGUAGE = "en"


@lru_cache(maxsize=1)
def _words() -> dict[str, dict[str, str]]:
    loaded: dict[str, dict[str, str]] = yaml.safe_load((SHIPPED / "reasons.yaml").read_text("utf-8"))
    return loaded


def reason_keys() -> tuple[str, ...]:
    """Every key that has words: the decline categories, and refused_for_good."""
    return tuple(_words())


def decline_told(*, verdict: DeclineVerdict, category: str, language: str) -> Decline:
    """What the customer reads of a decline: in a mail, in the portal, on the page after a payment.

    `verdict` is of the codes at hand, `category` what was recorded with the decline; where they differ the record
    knew more codes, and its category speaks.
    """
    if verdict.category.value == category:
        return decline_for(verdict.customer_message_key, language, asks_for=verdict.asks_for)
    return decline_for(category, language)


def decline_for(key: str, language: str, *, asks_for: AsksFor | None = None) -> Decline:
    """What a mail in `language` says about a decline.

    `key` is the verdict's `customer_message_key` (or a category), `asks_for` the verdict's; without it the
    category's usual one is taken. An unknown key reads as a plain refusal and an unknown language as English:
    a mail never lacks words.
    """
    words = _words()
    key = key if key in words else Category.UNKNOWN.value
    if asks_for is None:
        asks_for = POLICIES[Category(key)].asks_for if key in set(Category) else AsksFor.NEW_CARD
    short = language.replace("_", "-").split("-")[0].lower()
    return {
        "category": key,
        "message": words[key].get(short, words[key][FALLBACK_LANGUAGE]),
        "asks_for": asks_for.value,
    }
