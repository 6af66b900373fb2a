"""The networks' attempt limits: which rule holds when, and where a window opens again."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.retries.limits import NEVER, RULES, check, last_presentation, rules_for

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def moments(count, every=timedelta(hours=25), until=NOW):
    return [until - every * (count - index) for index in range(count)]


@pytest.mark.parametrize(
    ("brand", "on", "profile", "expected"),
    [
        ("visa", date(2026, 1, 1), "cautious", {"visa-15-30d"}),
        ("visa", date(2026, 1, 1), "latest", {"visa-20-30d"}),
        ("visa", date(2025, 5, 25), "latest", {"visa-20-30d"}),
        ("visa", date(2025, 5, 24), "latest", {"visa-15-30d"}),
        ("visa", date(2022, 3, 31), "cautious", set()),
        ("mastercard", date(2026, 1, 1), "cautious", {"mastercard-10-24h", "mastercard-35-30d"}),
        ("American Express", date(2026, 1, 1), "cautious", {"amex-20-30d"}),
        ("discover", date(2026, 1, 1), "cautious", {"discover-20-30d"}),
        ("unionpay", date(2026, 1, 1), "cautious", {"any-15-30d", "any-10-24h"}),
        ("", date(2026, 1, 1), "latest", {"any-15-30d", "any-10-24h"}),
        ("ACH", date(2026, 1, 1), "cautious", {"ach-3-180d"}),
    ],
)
def test_rules_in_force(brand, on, profile, expected):
    assert {rule.id for rule in rules_for(brand, on, profile)} == expected


def test_visa_blocks_the_sixteenth_until_the_first_leaves_the_window():
    history = moments(15)
    assert check(brand="visa", history=history[1:], now=NOW).allowed
    verdict = check(brand="visa", history=history, now=NOW)
    assert not verdict.allowed
    assert (verdict.used, verdict.limit, verdict.window_days, verdict.rule) == (15, 15, 30, "visa-15-30d")
    assert verdict.not_before == history[0] + timedelta(days=30)
    assert verdict.sentence.startswith("Visa: 15 of 15 used in 30 days, the next not before 2026-")
    assert check(brand="visa", history=history, now=verdict.not_before).allowed
    assert not check(brand="visa", history=history, now=verdict.not_before - timedelta(seconds=1)).allowed
    assert check(brand="visa", history=history, now=NOW, profile="latest").allowed


def test_mastercard_counts_a_day_and_a_month_and_names_the_rule_that_binds():
    day = check(brand="mastercard", history=moments(10, timedelta(hours=1)), now=NOW)
    assert (day.rule, day.allowed) == ("mastercard-10-24h", False)
    assert day.not_before == NOW - timedelta(hours=10) + timedelta(days=1)
    month = check(brand="mastercard", history=moments(35, timedelta(hours=12)), now=NOW)
    assert (month.rule, month.allowed) == ("mastercard-35-30d", False)
    both = check(
        brand="mastercard",
        history=moments(10, timedelta(hours=1)) + moments(30, timedelta(hours=20)),
        now=NOW,
    )
    assert both.rule == "mastercard-35-30d"  # the one that opens last


def test_bank_debits_count_presentations_of_the_invoice_not_of_the_account():
    monthly = moments(6, timedelta(days=28))
    assert check(brand="us_bank_account", history=monthly, now=NOW, invoice_history=monthly[-2:]).allowed
    verdict = check(brand="us_bank_account", history=monthly, now=NOW, invoice_history=monthly[-3:])
    assert (verdict.allowed, verdict.rule) == (False, "ach-3-180d")


@pytest.mark.parametrize(("brand", "days"), [("us_bank_account", 180), ("sepa_debit", 30), ("bacs_debit", 30)])
def test_a_presentation_never_becomes_free_again(brand, days):
    """Three in all, and none after the scheme's time: where the first leaves the window no fourth takes its place."""
    first = NOW - timedelta(days=days)
    thrice = [first, first + 9 * DAY, first + 18 * DAY]
    for made, now, allowed in (
        (thrice[:2], NOW, True),
        (thrice[:2], NOW + timedelta(seconds=1), False),
        (thrice, NOW - DAY, False),
        (thrice, NOW + 400 * DAY, False),
    ):
        verdict = check(brand=brand, history=made, now=now, invoice_history=made)
        assert (verdict.allowed, verdict.not_before) == (allowed, None if allowed else NEVER)
    assert last_presentation(brand, thrice, NOW) == NOW
    assert last_presentation(brand, [], NOW) is last_presentation("visa", thrice, NOW) is None


def test_empty_and_future_histories_do_not_count():
    verdict = check(brand="visa", history=[NOW + timedelta(hours=1)] * 20, now=NOW)
    assert (verdict.allowed, verdict.used, verdict.not_before) == (True, 0, None)


def test_every_rule_has_a_source():
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(len(rule.source) > 20 and rule.limit > 0 and rule.window_days > 0 for rule in RULES)


@given(
    brand=st.sampled_from(["visa", "mastercard", "amex", "discover", "jcb"]),
    minutes=st.lists(st.integers(0, 60 * 24 * 40), max_size=60),
)
def test_waiting_until_not_before_is_enough_and_no_longer_than_needed(brand, minutes):
    history = [NOW - timedelta(minutes=m) for m in minutes]
    verdict = check(brand=brand, history=history, now=NOW)
    if verdict.allowed:
        assert verdict.used < verdict.limit
    else:
        assert verdict.not_before > NOW
        assert check(brand=brand, history=history, now=verdict.not_before).allowed
        assert not check(brand=brand, history=history, now=verdict.not_before - timedelta(seconds=1)).allowed
