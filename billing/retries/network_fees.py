"""Owns what the card networks charge for attempts they call excessive: dated amounts with their sources.

An estimate for staff, never a bill: acquirers add their own, and some pass nothing on. Amounts are in thousandths of
the currency's major unit ("mills"), because some are below a cent. To change a fee, add a row with its date; old rows
stay, so that what was owed then can still be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from billing.retries.limits import Profile, brand_key, check
from billing.retries.types import PastAttempt

Trigger = Literal["never", "limit", "advice"]

#: ISO codes of the region whose fee is known apart; a card from elsewhere, or nobody knows where, pays the dearest.
_EEA = frozenset(
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class FeeRule:
    """`mills` of `currency` for each attempt: after a final code, over a limit, or refused with a wait advised.

    `region` is US, CA, EU (with the UK) or "" for any; `abroad` tells fees of cards issued in another country than the
    merchant's from those at home, None for both.
    """

    id: str
    brand: str
    triggers: frozenset[Trigger]
    mills: int
    currency: str
    region: str
    abroad: bool | None
    valid_from: date
    source: str


_EXCESS: frozenset[Trigger] = frozenset({"never", "limit"})
_ADVISED: frozenset[Trigger] = frozenset({"advice"})
_BRAINTREE = "Braintree, Mastercard network updates of autumn 2023"

FEES: tuple[FeeRule, ...] = (
    FeeRule("visa-home", "visa", _EXCESS, 100, "USD", "", False, date(2022, 4, 1),
            "Payway, Visa Excessive Reattempts Rule (from April 2022)"),
    FeeRule("visa-abroad", "visa", _EXCESS, 150, "USD", "", True, date(2022, 4, 1),
            "Payway, Visa Excessive Reattempts Rule (from April 2022)"),
    FeeRule("visa-abroad-2026", "visa", _EXCESS, 250, "USD", "", True, date(2026, 4, 25),
            "Checkout.com 2026-03-04: interregional 0.15 to 0.25 USD from 25 April 2026"),
    FeeRule("mastercard-us-2023", "mastercard", _EXCESS, 150, "USD", "US", None, date(2023, 11, 1), _BRAINTREE),
    FeeRule("mastercard-us-2024", "mastercard", _EXCESS, 300, "USD", "US", None, date(2024, 1, 1), _BRAINTREE),
    FeeRule("mastercard-us-2025", "mastercard", _EXCESS, 500, "USD", "US", None, date(2025, 1, 1), _BRAINTREE),
    FeeRule("mastercard-ca", "mastercard", _EXCESS, 500, "USD", "CA", None, date(2024, 5, 5),
            "TabaPay, Excessive Auth Integrity Fee (Canada), first billing 5 May 2024"),
    FeeRule("mastercard-eu", "mastercard", _EXCESS, 550, "EUR", "EU", None, date(2024, 8, 1),
            "retries.com, Transaction Processing Excellence (as of August 2024)"),
    FeeRule("mastercard-advice-us", "mastercard", _ADVISED, 20, "USD", "US", None, date(2023, 10, 1), _BRAINTREE),
    FeeRule("mastercard-advice-eu", "mastercard", _ADVISED, 4, "EUR", "EU", None, date(2024, 1, 1), _BRAINTREE),
    FeeRule("mastercard-advice-other", "mastercard", _ADVISED, 10, "EUR", "", None, date(2024, 1, 1), _BRAINTREE),
)  # fmt: skip

#: Codes after which the network charges for any further try.
_FINAL = {
    "visa": frozenset(["04", "07", "12", "14", "15", "41", "43", "46", "57", "R0", "R1", "R3"]),
    "mastercard": frozenset({"03", "21"}),
}
_FINAL_FOR = timedelta(days=30)
_ADVISED_WAITS = frozenset(str(code) for code in range(24, 31))


@dataclass(frozen=True, slots=True)
class Fee:
    """An estimate: `mills` are thousandths of `currency`'s major unit; `why` is an English phrase for staff."""

    mills: int
    currency: str
    why: str

    @property
    def text(self) -> str:
        """The amount with its currency: "0.25 USD"."""
        whole, part = divmod(self.mills, 1000)
        digits = f"{part:03d}"
        return f"{whole}.{digits if digits[2] != '0' else digits[:2]} {self.currency}"


@dataclass(frozen=True, slots=True)
class Card:
    """What the fees depend on: network, where the card was issued, whether that is abroad (None: not known)."""

    brand: str
    country: str = ""
    abroad: bool | None = None
    profile: Profile = "cautious"


def next_fee(card: Card, attempts: Sequence[PastAttempt], now: datetime) -> Fee | None:
    """What one more attempt at `now` would cost beyond the ordinary, after these on the card (oldest first)."""
    if _final_before(card, attempts, now):
        return _fee(card, "never", now, "a try after a final code")
    history = [attempt.at for attempt in attempts]
    verdict = check(brand=card.brand, history=history, now=now, profile=card.profile)
    return None if verdict.allowed else _fee(card, "limit", now, f"over {verdict.limit} in {verdict.window_days} days")


def fees_so_far(card: Card, attempts: Sequence[PastAttempt]) -> tuple[Fee, ...]:
    """What these attempts (oldest first) are estimated to have cost, one sum per currency."""
    sums: dict[str, int] = {}
    for index, attempt in enumerate(attempts):
        advised = (attempt.network_advice_code or "") in _ADVISED_WAITS and not attempt.approved
        charged = (
            next_fee(card, attempts[:index], attempt.at),
            _fee(card, "advice", attempt.at, "") if advised else None,
        )
        for fee in charged:
            if fee is not None:
                sums[fee.currency] = sums.get(fee.currency, 0) + fee.mills
    return tuple(Fee(mills, currency, "so far") for currency, mills in sorted(sums.items()))


def _final_before(card: Card, attempts: Sequence[PastAttempt], now: datetime) -> bool:
    codes = _FINAL.get(brand_key(card.brand), frozenset())
    return any(
        not attempt.approved
        and now - attempt.at < _FINAL_FOR
        and not codes.isdisjoint({attempt.network_decline_code or "", attempt.network_advice_code or ""})
        for attempt in attempts
    )


def _fee(card: Card, trigger: Trigger, at: datetime, why: str) -> Fee | None:
    on = at.astimezone(UTC).date()
    region = "EU" if card.country in _EEA or card.country == "GB" else card.country
    fitting = [
        rule
        for rule in FEES
        if rule.brand == brand_key(card.brand)
        and trigger in rule.triggers
        and rule.valid_from <= on
        and (card.abroad is None or rule.abroad is None or rule.abroad == card.abroad)
    ]
    here = [rule for rule in fitting if rule.region == region] or [r for r in fitting if r.region == ""] or fitting
    newest: dict[tuple[str, bool | None], FeeRule] = {}
    for rule in sorted(here, key=lambda rule: rule.valid_from):
        newest[rule.region, rule.abroad] = rule
    dearest = max(newest.values(), key=lambda rule: rule.mills, default=None)
    return Fee(dearest.mills, dearest.currency, why) if dearest else None
