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
    """A debit that came back may be presented again only for these reasons, and so long after the last time.

    `announced`: the payer must be told sum and day beforehand; by whom and how long before the account's setting says.
    """

    name: str
    again_for: frozenset[Category]
    gap: timedelta
    announced: bool
    source: str


#: Stripe's payment method type → its rule. How often is in `limits` (ACH 3 in 180 days, SEPA and Bacs 3 in 30).
DEBITS: Mapping[str, DebitRule] = {
    "us_bank_account": DebitRule(
        "ACH", _FUNDS, timedelta(days=2), False,
        "Nacha Operating Rules 2.12.4: only R01 and R09 may be reinitiated; two days for the return to arrive",
    ),
    "sepa_debit": DebitRule(
        "SEPA", _FUNDS | {Category.DO_NOT_HONOR, Category.TECHNICAL}, timedelta(days=3), True,
        "practice of Adyen Auto Rescue: AM04 and MS03; a return takes up to five business days; notice 14 days before "
        "the collection unless another time was agreed (abnamro.nl, timelines SEPA direct debit)",
    ),
    "bacs_debit": DebitRule(
        "Bacs", _FUNDS, timedelta(days=3), True,
        "Bacs: only ARUDD reason 0 may be presented again; three working days per cycle; notice 10 working days "
        "before the collection unless another time was agreed (cleardebit.com, advance notice)",
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


def notice(brand: str, card_country: str, debit_notice: timedelta, now: datetime) -> timedelta:
    """How long before a charge its payer must have been told of it, as far as that is not the processor's business.

    `debit_notice` is what was agreed for debits that the account announces itself; zero where the processor does. Of a
    card it is the law's, whoever tells.
    """
    rule, law = DEBITS.get(brand_key(brand)), mandate_of(card_country, now)
    if rule is not None:
        return debit_notice if rule.announced else timedelta(0)
    return law.notice if law is not None else timedelta(0)


def not_before(
    *, brand: str, card_country: str, last: datetime | None, now: datetime, debit_notice: timedelta = timedelta(0)
) -> datetime:
    """The first moment scheme and law allow a charge that is ordered, and so announced, `now`; the one before it was
    made at `last`. `debit_notice` as in notice()."""
    floors = [now + notice(brand, card_country, debit_notice, now)]
    if last is not None:
        floors.append(last + debit_gap(brand))
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
