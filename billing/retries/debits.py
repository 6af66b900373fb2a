"""Owns what binds off-session charges beyond codes and counts: re-presented bank debits, and mandates by law.

Dated, sourced data, like the networks' limits. A rule that changes gets a new row; old rows stay, so that a past
decision can be explained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from billing.retries.limits import brand_key
from billing.retries.taxonomy import Category

_FUNDS = frozenset({Category.INSUFFICIENT_FUNDS})


@dataclass(frozen=True, slots=True)
class DebitRule:
    """A debit that came back may be presented again only for these reasons, and so long after the last time."""

    name: str
    again_for: frozenset[Category]
    gap: timedelta
    source: str


#: Stripe's payment method type → its rule. How often is in `limits` (ACH 3 in 180 days, SEPA and Bacs 3 in 30).
DEBITS: Mapping[str, DebitRule] = {
    "us_bank_account": DebitRule(
        "ACH", _FUNDS, timedelta(days=2),
        "Nacha Operating Rules 2.12.4: only R01 and R09 may be reinitiated; two days for the return to arrive",
    ),
    "sepa_debit": DebitRule(
        "SEPA", _FUNDS | {Category.DO_NOT_HONOR, Category.TECHNICAL}, timedelta(days=3),
        "practice of Adyen Auto Rescue: AM04 and MS03; a return takes up to five business days",
    ),
    "bacs_debit": DebitRule(
        "Bacs", _FUNDS, timedelta(days=3),
        "Bacs: only ARUDD reason 0 may be presented again; three working days per cycle",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mandate:
    """Cards issued in `country`: off session at most `limit` minor units of `currency`, `notice` after it was told."""

    country: str
    currency: str
    limit: int
    notice: timedelta
    valid_from: date
    source: str


#: Newest row of a country in force decides.
MANDATES: tuple[Mandate, ...] = (
    Mandate(
        "IN", "INR", 500_000, timedelta(hours=24), date(2021, 10, 1),
        "Reserve Bank of India, processing of e-mandates on cards, 21 August 2019 and 4 December 2020",
    ),
    Mandate(
        "IN", "INR", 1_500_000, timedelta(hours=24), date(2022, 6, 16),
        "Reserve Bank of India, enhancement of limit, 16 June 2022 (15,000 rupees; higher ones for insurance, funds "
        "and card bills are not for us)",
    ),
)  # fmt: skip


def is_debit(brand: str) -> bool:
    """Whether the method is a bank account of a scheme listed here."""
    return brand_key(brand) in DEBITS


def debit_refusal(brand: str, category: Category) -> str | None:
    """Why a bank debit that came back for this reason is not presented again, in one sentence, or None."""
    rule = DEBITS.get(brand_key(brand))
    if rule is None or category in rule.again_for:
        return None
    reasons = " or ".join(sorted(reason.replace("_", " ") for reason in rule.again_for))
    return f"{rule.name} debits are presented again for {reasons} only, not after {category.replace('_', ' ')}."


def debit_gap(brand: str) -> timedelta:
    """The least time between two presentations; zero for what is no bank debit."""
    rule = DEBITS.get(brand_key(brand))
    return rule.gap if rule else timedelta(0)


def not_before(*, brand: str, card_country: str, last: datetime | None, now: datetime) -> datetime:
    """The first moment scheme and law allow a charge that is ordered `now`; the one before it was made at `last`."""
    floors = [now]
    if last is not None:
        floors.append(last + debit_gap(brand))
    law = mandate_of(card_country, now)
    if law is not None:
        floors.append(now + law.notice)
    return max(floors)


def mandate_of(card_country: str, now: datetime) -> Mandate | None:
    """The law on off-session charges of a card from this country in force at `now` (aware)."""
    today = now.astimezone(UTC).date()
    rows = [row for row in MANDATES if row.country == card_country.upper() and row.valid_from <= today]
    return max(rows, key=lambda row: row.valid_from, default=None)


def mandate_refusal(card_country: str, amount: int | None, currency: str, now: datetime) -> str | None:
    """Why only the customer in person may make this charge, in one sentence, or None.

    `amount` in minor units of `currency`; in another currency than the law's the limit cannot be told, so it binds.
    """
    law = mandate_of(card_country, now)
    if law is None or (amount is not None and currency.upper() == law.currency and amount <= law.limit):
        return None
    most = f"{law.limit // 100:,} {law.currency}"
    return (
        f"Cards issued in {law.country} are charged off session up to {most} only; above, the customer must confirm."
    )
