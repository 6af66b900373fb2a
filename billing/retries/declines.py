"""Owns the reading of a decline: from the four codes of a failed charge to one verdict.

The rows are in `decline_table`, the words in `taxonomy`. Codes never soften each other: of all that is known
the most restrictive one decides, so that a merchant advice code 03 beside a soft decline stops the retries.
"Never" beats every wait, a longer wait a shorter one, a finished credential one that is not; between equals the
decline code comes first, then the network's code, the network's advice, Stripe's advice. Only the category is refined:
a bank that gives no reason yields to a code that does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Protocol

from billing.retries.decline_table import TABLE, CodeRule
from billing.retries.taxonomy import (
    ALLOWED,
    NEVER,
    POLICIES,
    VAGUE,
    AsksFor,
    Category,
    RetryKind,
    RetryRule,
    after,
)

__all__ = [
    "ALLOWED",
    "NEVER",
    "TABLE",
    "AsksFor",
    "Category",
    "CodeRule",
    "DeclineVerdict",
    "RetryKind",
    "RetryRule",
    "after",
    "classify",
    "customer_message_key",
]


@dataclass(frozen=True, slots=True)
class DeclineVerdict:
    """What a declined charge means.

    `retry` speaks of charging the same credential without the customer; `hard` says the credential is
    finished; `reason` is one English sentence for staff naming the code that decided; `source` is that code
    as "field:code" ("none" when there was none); `unknown_codes` are those the table does not hold, in the
    same form, to be counted and shown to staff.
    """

    category: Category
    retry: RetryRule
    hard: bool
    asks_for: AsksFor
    reason: str
    source: str
    unknown_codes: tuple[str, ...] = ()

    @property
    def may_retry(self) -> bool:
        """Whether the same credential may ever be charged again off-session."""
        return self.retry.kind is not RetryKind.NEVER

    @property
    def customer_message_key(self) -> str:
        """The key of what the customer is told (campaigns/shipped/reasons.yaml)."""
        return customer_message_key(self)


def customer_message_key(verdict: DeclineVerdict) -> str:
    """The key of the plain-words message: the category, or "refused_for_good" for a vague, final refusal."""
    if verdict.hard and verdict.category in VAGUE:
        return "refused_for_good"
    return verdict.category.value


def _lower(code: str) -> str:
    return code.strip().lower()


def _upper(code: str) -> str:
    return code.strip().upper()


def _two_digits(code: str) -> str:
    return code.strip().upper().zfill(2)


def _report(code: str) -> str:
    """ "arudd 0" is the plain "0"; a code of another Bacs report keeps its name: "ADDACS-1"."""
    return "-".join(_upper(code).replace("-", " ").split()).removeprefix("ARUDD-")


# Field of the charge, family in the table, spelling. In this order a tie goes to the earlier field.
_FIELDS: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("decline_code", "stripe", _lower),
    ("network_decline_code", "network", _report),
    ("network_advice_code", "mac", _two_digits),
    ("advice_code", "advice", _lower),
)


#: Whose codes are found in a family's field where a file or a processor has one field for both.
_SPELLINGS: dict[str, Callable[[str], str]] = {family: spell for _field, family, spell in _FIELDS}
_BESIDE = {"stripe": "network", "network": "stripe", "mac": "advice", "advice": "mac"}


def _misplaced(family: str, raw: str | None) -> CodeRule | None:
    """The row of a code that stands in another family's field: "51" among Stripe's words, "lost_card" as a network's.

    Spelled differently throughout, they cannot be taken for each other.
    """
    other = _BESIDE[family]
    return TABLE.get((other, _SPELLINGS[other](raw or "")))


class Declined(Protocol):
    """Whatever holds the four codes of a decline."""

    @property
    def decline_code(self) -> str | None: ...
    @property
    def network_decline_code(self) -> str | None: ...
    @property
    def advice_code(self) -> str | None: ...
    @property
    def network_advice_code(self) -> str | None: ...


def verdict_of(declined: Declined) -> DeclineVerdict:
    """What the codes of one declined charge mean, as `classify` reads them."""
    return classify(
        decline_code=declined.decline_code,
        network_decline_code=declined.network_decline_code,
        advice_code=declined.advice_code,
        network_advice_code=declined.network_advice_code,
    )


@lru_cache(maxsize=4096)  # a plan reads every past decline anew; there are few combinations of codes
def classify(
    *,
    decline_code: str | None = None,
    network_decline_code: str | None = None,
    advice_code: str | None = None,
    network_advice_code: str | None = None,
) -> DeclineVerdict:
    """Read the codes of one declined charge; any of them may be missing or unknown to the table.

    The most restrictive known code decides whether and when to retry. An unknown code alone is soft with
    caution (a day's wait). Never raises.
    """
    given = {
        "decline_code": decline_code,
        "network_decline_code": network_decline_code,
        "network_advice_code": network_advice_code,
        "advice_code": advice_code,
    }
    known: list[tuple[str, CodeRule]] = []
    unknown: list[str] = []
    for field, family, spell in _FIELDS:
        raw = given[field]
        code = spell(raw) if raw and raw.strip() else ""
        if not code:
            continue
        row = TABLE.get((family, code)) or _misplaced(family, raw)
        if row is None:
            unknown.append(f"{field}:{code}")
        else:
            known.append((field, row))
    if not known:
        return _cautious(tuple(unknown))

    # max() keeps the first of equals, so a tie goes to the earlier field.
    field, row = max(known, key=lambda item: (item[1].retry.restrictiveness, item[1].hard))
    category = row.category if row.retry.kind is RetryKind.NEVER else _most_telling([r for _f, r in known])
    asks_for = row.asks_for if row.category is category else POLICIES[category].asks_for
    source = f"{field}:{row.code}"
    return DeclineVerdict(
        category=category,
        retry=row.retry,
        hard=row.hard,
        asks_for=asks_for,
        reason=f"{_named(field, row.code)} ({row.meaning}): {_in_words(row.retry)}.",
        source=source,
        unknown_codes=tuple(unknown),
    )


_FIELD_NAMES = {
    "decline_code": "Decline code",
    "network_decline_code": "Network code",
    "network_advice_code": "Mastercard advice",
    "advice_code": "Stripe's advice",
}


def _named(field: str, code: str) -> str:
    visa = field == "network_advice_code" and code.startswith("V")
    return f"{'Visa category' if visa else _FIELD_NAMES[field]} {code}"


def _most_telling(rows: list[CodeRule]) -> Category:
    """The first category that says something; a bank's "no" without a reason yields to a code with one."""
    for row in rows:
        if row.category not in VAGUE:
            return row.category
    return rows[0].category


def _cautious(unknown: tuple[str, ...]) -> DeclineVerdict:
    policy = POLICIES[Category.UNKNOWN]
    if unknown:
        field, _sep, code = unknown[0].partition(":")
        reason = f"{_named(field, code)} is not in the table: {_in_words(policy.retry)}, with caution."
    else:
        reason = f"No code was given: {_in_words(policy.retry)}, with caution."
    return DeclineVerdict(
        category=Category.UNKNOWN,
        retry=policy.retry,
        hard=policy.hard,
        asks_for=policy.asks_for,
        reason=reason,
        source=unknown[0] if unknown else "none",
        unknown_codes=unknown,
    )


def _in_words(rule: RetryRule) -> str:
    if rule.kind is RetryKind.NEVER:
        return "no retry on the same details"
    if rule.kind is RetryKind.ALLOWED:
        return "a retry is allowed"
    if rule.wait % timedelta(days=1) == timedelta(0) and rule.wait > timedelta(days=1):
        return f"a retry not before {rule.wait.days} days have passed"
    hours = int(rule.wait.total_seconds() // 3600)
    return f"a retry not before {hours} {'hour has' if hours == 1 else 'hours have'} passed"
