"""Owns how often a card or bank account may be charged: the networks' dated limits and their check.

Where sources disagree the default profile takes the stricter number ("cautious"); "latest" takes the
newest published one. To change a limit, add a row with its date and source; old rows stay, so that a past
decision can be explained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

Profile = Literal["cautious", "latest"]


@dataclass(frozen=True, slots=True)
class LimitRule:
    """At most `limit` attempts in any `window_days` days on one credential; for one invoice, a bank debit's
    presentations: so many in all, the last so long after the first.

    `valid_from` None: in force before anything we plan; its start was not published.
    """

    id: str
    brand: str
    scope: Literal["credential", "invoice"]
    limit: int
    window_days: int
    valid_from: date | None
    source: str


ANY_BRAND = ""
NEVER = datetime.max.replace(tzinfo=UTC)

RULES: tuple[LimitRule, ...] = (
    LimitRule(
        "visa-15-30d", "visa", "credential", 15, 30, date(2022, 4, 1),
        "Visa Excessive Reattempts Rule: support.cardpointe.com/compliance/visa-decline-rules; still printed "
        "by Stripe, PayPal, Worldpay and Cybersource",
    ),
    LimitRule(
        "visa-20-30d", "visa", "credential", 20, 30, date(2025, 5, 25),
        "Visa Core Rules 18 Apr 2026 table 7-2; Cielo (from 25 May 2025), Checkout.com 2026-03-04, "
        "Recurly 2026-08-04",
    ),
    LimitRule(
        "mastercard-10-24h", "mastercard", "credential", 10, 1, None,
        "Mastercard Transaction Processing Excellence: more than 10 declines in 24 hours on one card",
    ),
    LimitRule(
        "mastercard-35-30d", "mastercard", "credential", 35, 30, None,
        "Mastercard Transaction Processing Excellence: more than 35 attempts in 30 days on one card",
    ),
    LimitRule(
        "amex-20-30d", "amex", "credential", 20, 30, None,
        "no published rule; the practice of Juspay Hyperswitch Revenue Recovery (20 in 30 days)",
    ),
    LimitRule(
        "discover-20-30d", "discover", "credential", 20, 30, None,
        "no published rule; the practice of Juspay Hyperswitch Revenue Recovery (20 in 30 days)",
    ),
    LimitRule(
        "ach-3-180d", "us_bank_account", "invoice", 3, 180, None,
        "Nacha Operating Rules, reinitiation: the first entry and two more within 180 days",
    ),
    LimitRule(
        "sepa-3-30d", "sepa_debit", "invoice", 3, 30, None,
        "the practice of Adyen Auto Rescue for SEPA: two retries (AM04, MS03)",
    ),
    LimitRule(
        "bacs-3-30d", "bacs_debit", "invoice", 3, 30, None,
        "Bacs re-presentation: up to two more within a month, ARUDD reason 0 only",
    ),
    LimitRule(
        "any-15-30d", ANY_BRAND, "credential", 15, 30, None,
        "ours, for networks that publish nothing and cards whose network is not known: the strictest of the card "
        "networks' 30-day numbers",
    ),
    LimitRule(
        "any-10-24h", ANY_BRAND, "credential", 10, 1, None,
        "ours, for the same: the strictest of the card networks' 24-hour numbers",
    ),
)  # fmt: skip

_NAMES = {
    "american express": "amex",
    "american_express": "amex",
    "master card": "mastercard",
    "discover_global_network": "discover",
    "ach": "us_bank_account",
    "sepa": "sepa_debit",
    "bacs": "bacs_debit",
}
_DISPLAY = {
    "visa": "Visa",
    "mastercard": "Mastercard",
    "amex": "American Express",
    "discover": "Discover",
    "us_bank_account": "ACH",
    "sepa_debit": "SEPA",
    "bacs_debit": "Bacs",
}


@dataclass(frozen=True, slots=True)
class LimitVerdict:
    """Whether one more attempt at the asked moment keeps within every limit, and the rule nearest to its end.

    `used` counts attempts in the window that ends at the asked moment. `not_before` (UTC) is the first moment
    at which an attempt would be allowed again, NEVER where none will be; None when it is allowed now. `rule` is the
    LimitRule's id.
    """

    allowed: bool
    not_before: datetime | None
    used: int
    limit: int
    window_days: int
    rule: str
    sentence: str
    per_invoice: bool = False


def brand_key(brand: str) -> str:
    """The name under which a network's rules are kept ("American Express" and "amex" are one)."""
    key = brand.strip().lower()
    return _NAMES.get(key, key)


def rules_for(brand: str, on: date, profile: Profile = "cautious") -> list[LimitRule]:
    """The rules in force for a brand on a date: one per scope and window, chosen by the profile."""
    key = brand_key(brand)
    if not any(rule.brand == key for rule in RULES):
        key = ANY_BRAND
    chosen: dict[tuple[str, int], LimitRule] = {}
    for rule in RULES:
        if rule.brand != key or (rule.valid_from is not None and rule.valid_from > on):
            continue
        slot = (rule.scope, rule.window_days)
        held = chosen.get(slot)
        if held is None or _prefers(rule, held, profile):
            chosen[slot] = rule
    return list(chosen.values())


def check(
    *,
    brand: str,
    history: Sequence[datetime],
    now: datetime,
    invoice_history: Sequence[datetime] = (),
    profile: Profile = "cautious",
    coming: Sequence[datetime] = (),
) -> LimitVerdict:
    """May this credential be charged at `now`, after the attempts of `history`?

    `history` holds the moments of all attempts on the credential's fingerprint, across invoices, approved or
    not (counting approved ones too is the cautious reading); `invoice_history` those of the one invoice, for
    bank-debit rules that count presentations. Moments after `now` are not counted, but those of `coming`: charges that
    are planned, which this one may not push over a limit either. All are aware.
    """
    now = now.astimezone(UTC)
    verdicts = usages(
        brand=brand, history=history, now=now, invoice_history=invoice_history, profile=profile, coming=coming
    )
    blocked = [verdict for verdict in verdicts if not verdict.allowed]
    if blocked:
        return max(blocked, key=lambda verdict: verdict.not_before or now)
    if verdicts:
        return max(verdicts, key=lambda verdict: verdict.used / verdict.limit)
    # Only before the first dated rule of a brand: nothing was limited then.
    return LimitVerdict(True, None, 0, 0, 0, "none", f"{_display(brand)}: no limit was in force.")


def usages(
    *,
    brand: str,
    history: Sequence[datetime],
    now: datetime,
    invoice_history: Sequence[datetime] = (),
    profile: Profile = "cautious",
    coming: Sequence[datetime] = (),
) -> list[LimitVerdict]:
    """How far every limit in force is used up at `now`; arguments as in `check`."""
    now = now.astimezone(UTC)
    return [
        _check_rule(rule, history, now, coming)
        if rule.scope == "credential"
        else _presentations(rule, invoice_history, now)
        for rule in rules_for(brand, now.date(), profile)
    ]


def last_presentation(brand: str, invoice_history: Sequence[datetime], now: datetime) -> datetime | None:
    """Until when (UTC) a bank debit presented at these moments may be presented again; None where no scheme says."""
    rules = [rule for rule in rules_for(brand, now.date()) if rule.scope == "invoice"]
    if not rules or not invoice_history:
        return None
    return min(invoice_history).astimezone(UTC) + timedelta(days=min(rule.window_days for rule in rules))


def _prefers(rule: LimitRule, held: LimitRule, profile: Profile) -> bool:
    if profile == "cautious":
        return rule.limit < held.limit
    return (rule.valid_from or date.min) > (held.valid_from or date.min)


def _check_rule(
    rule: LimitRule, moments: Sequence[datetime], now: datetime, coming: Sequence[datetime]
) -> LimitVerdict:
    window = timedelta(days=rule.window_days)
    made = [at for moment in moments if (at := moment.astimezone(UTC)) <= now]
    others = made + [moment.astimezone(UTC) for moment in coming]
    used = _fullest(others, now, window)
    allowed = used < rule.limit
    # A place becomes free only when an attempt leaves the window.
    leaving = () if allowed else sorted(left for at in others if (left := at + window) > now)
    not_before = next((left for left in leaving if _fullest(others, left, window) < rule.limit), None)
    span = "24 hours" if rule.window_days == 1 else f"{rule.window_days} days"
    sentence = f"{_display(rule.brand)}: {used} of {rule.limit} used in {span}"
    if not_before is not None:
        sentence += f", the next not before {not_before:%Y-%m-%d %H:%M} UTC"
    return LimitVerdict(allowed, not_before, used, rule.limit, rule.window_days, rule.id, sentence + ".")


def _presentations(rule: LimitRule, moments: Sequence[datetime], now: datetime) -> LimitVerdict:
    """No presentation ever becomes free again: schemes allow so many of one debit in all."""
    made = [at for moment in moments if (at := moment.astimezone(UTC)) <= now]
    used = len(made)
    over = bool(made) and now > min(made) + timedelta(days=rule.window_days)
    allowed = used < rule.limit and not over
    sentence = f"{_display(rule.brand)}: {used} of {rule.limit} presentations of this invoice used in "
    sentence += f"{rule.window_days} days" + (", which are over" if over else "")
    return LimitVerdict(
        allowed,
        None if allowed else NEVER,
        used,
        rule.limit,
        rule.window_days,
        rule.id,
        sentence + ".",
        per_invoice=True,
    )


def _fullest(others: Sequence[datetime], at: datetime, window: timedelta) -> int:
    """How many other attempts the fullest window holds that an attempt at this moment would lie in."""
    ends = [at, *(moment for moment in others if at < moment < at + window)]
    return max(sum(end - window < moment <= end for moment in others) for end in ends)


def _display(brand: str) -> str:
    key = brand_key(brand)
    return _DISPLAY.get(key, "Card" if key == ANY_BRAND else key.replace("_", " ").capitalize())
