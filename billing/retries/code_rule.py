"""Owns one row of the decline table, how rows of one meaning are written, and where their meaning was looked up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from billing.retries.taxonomy import POLICIES, AsksFor, Category, RetryRule

#: Key → name of the source and the date of the edition or reading.
SOURCES: dict[str, str] = {
    "stripe": "Stripe, decline codes, blocked payments and error codes (read November 2026; library 15.6)",
    "mastercard-mac": "Mastercard merchant advice codes as Braintree, Cybersource (12 April 2024), Everonet (72 hours "
    "for 02) and payabl publish them (read November 2026)",
    "visa-categories": "Visa's decline categories as Cybersource, CardPointe and Forte print them (November 2026)",
    "iso8583": "ISO 8583 response codes: Stripe's network decline codes, North, Checkout.com; Visa's categories with "
    "the moves of 17 April 2021 (03, 62, 78 and 93 may be tried again; 93, a breach of law, stops here all the same)",
    "amex": "American Express response codes as Lyra and Seerbit publish them (read November 2026)",
    "nacha": "Nacha return codes as Q2 Helix, Northern Trust and Galileo publish them (read November 2026)",
    "sepa": "EPC 173-14, reasons of SEPA direct debit R-transactions; Worldline and Lemonway (read November 2026)",
    "bacs": "Bacs ARUDD, ADDACS and AUDDIS reason codes as Numeral and Acquired publish them (read November 2026)",
}


@dataclass(frozen=True, slots=True)
class CodeRule:
    """One row: what `code` of `family` means; `meaning` is a short phrase for staff, `source` a SOURCES key."""

    family: str
    code: str
    category: Category
    meaning: str
    retry: RetryRule
    hard: bool
    asks_for: AsksFor
    source: str


def rows(
    source: str,
    family: str,
    codes: str,
    category: Category,
    meaning: str,
    retry: RetryRule | None = None,
    *,
    hard: bool | None = None,
    asks: AsksFor | None = None,
) -> Iterable[CodeRule]:
    """A row per code of the space-separated `codes`; what is left out is the category's policy."""
    policy = POLICIES[category]
    for code in codes.split():
        yield CodeRule(
            family=family,
            code=code,
            category=category,
            meaning=meaning,
            retry=policy.retry if retry is None else retry,
            hard=policy.hard if hard is None else hard,
            asks_for=policy.asks_for if asks is None else asks,
            source=source,
        )
