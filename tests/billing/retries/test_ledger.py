"""The ledger of one card, without a database: limits, waits, fees; and no plan that breaks any of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.retries.binding import final_verdict, network_wait_of, wait_of
from billing.retries.ledger import ledger_of
from billing.retries.limits import rules_for
from billing.retries.network_fees import FEES, Card, next_fee
from billing.retries.planner import plan_next
from billing.retries.types import PastAttempt, PlannedRetry, RetryContext

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
VISA, MASTERCARD = Card("visa"), Card("mastercard", "US")


def declined(ago, code="insufficient_funds", **codes):
    return PastAttempt(at=NOW - ago, decline_code=code, **codes)


def test_the_ledger_says_how_far_a_card_is_used_in_one_sentence():
    seven = [declined(DAY * n) for n in range(7, 0, -1)]
    ledger = ledger_of(Card("visa", profile="latest"), seven, NOW)
    assert [verdict.sentence for verdict in ledger.limits] == ["Visa: 7 of 20 used in 30 days."]
    assert (ledger.full, ledger.wait, ledger.next_fee, ledger.fees) == (False, None, None, ())
    assert ledger_of(VISA, seven, NOW).limits[0].sentence == "Visa: 7 of 15 used in 30 days."


def test_both_windows_of_mastercard_are_told_and_what_is_under_way_counts():
    made = [declined(HOUR * n) for n in range(9, 0, -1)]
    ledger = ledger_of(MASTERCARD, made, NOW, under_way=[NOW])
    assert [(v.used, v.limit) for v in ledger.limits] == [(10, 10), (10, 35)]
    assert ledger.full


def test_a_card_without_a_network_has_the_strictest_numbers():
    ledger = ledger_of(Card(""), [declined(HOUR)], NOW)
    assert {(v.limit, v.window_days) for v in ledger.limits} == {(15, 30), (10, 1)}
    rules = [rule for brand in ("visa", "mastercard", "amex", "discover") for rule in rules_for(brand, NOW.date())]
    strictest = {days: min(rule.limit for rule in rules if rule.window_days == days) for days in (1, 30)}
    assert {v.window_days: v.limit for v in ledger.limits} == strictest


def test_limits_of_an_invoice_are_told_where_one_is_named():
    debit = Card("us_bank_account")
    made = [declined(DAY, "", network_decline_code="R01")]
    assert ledger_of(debit, made, NOW).limits == ()
    (limit,) = ledger_of(debit, made, NOW, invoice_attempts=made).limits
    assert limit.sentence == "ACH: 1 of 3 presentations of this invoice used in 180 days."


def test_a_wait_of_the_network_is_told_until_it_is_over():
    made = [declined(2 * DAY, network_advice_code="27")]
    assert ledger_of(MASTERCARD, made, NOW).wait.until == NOW + 2 * DAY
    assert ledger_of(MASTERCARD, made, NOW + 2 * DAY).wait is None


@pytest.mark.parametrize(
    ("codes", "automatic", "network"),
    [
        ({"code": "insufficient_funds"}, 12 * HOUR, None),
        ({"code": "insufficient_funds", "network_advice_code": "26"}, 2 * DAY, 2 * DAY),
        ({"code": "try_again_later"}, None, None),
        ({"code": "do_not_honor", "network_advice_code": "24"}, 12 * HOUR, HOUR),
        ({"code": ""}, 12 * HOUR, None),
    ],
)
def test_what_binds_an_automatic_charge_and_what_binds_a_person(codes, automatic, network):
    made = [declined(timedelta(0), **codes)]
    found = [wait and wait.until - NOW for wait in (wait_of(made), network_wait_of(made))]
    assert found == [automatic, network]


def test_a_final_code_binds_from_any_invoice_one_that_asks_the_customer_only_its_own():
    asked, lost = declined(DAY, "authentication_required"), declined(DAY, "lost_card")
    assert final_verdict([], [lost]).category == "lost_stolen"
    assert final_verdict([], [asked]) is None
    assert final_verdict([asked], [asked]).category == "authentication"


@pytest.mark.parametrize(
    ("card", "attempts", "fee"),
    [
        (VISA, [declined(DAY)] * 14, None),
        (VISA, [declined(DAY)] * 15, "0.25 USD"),
        (Card("visa", abroad=False), [declined(DAY)] * 15, "0.10 USD"),
        (VISA, [declined(DAY, "do_not_honor", network_decline_code="R1")], "0.25 USD"),
        (VISA, [declined(31 * DAY, "do_not_honor", network_decline_code="R1")], None),
        (MASTERCARD, [declined(DAY, network_advice_code="03")], "0.50 USD"),
        (Card("mastercard", "DE"), [declined(DAY, network_advice_code="21")], "0.55 EUR"),
        (Card("mastercard"), [declined(DAY, network_advice_code="21")], "0.55 EUR"),
        (MASTERCARD, [declined(HOUR)] * 10, "0.50 USD"),
        (Card("amex"), [declined(HOUR)] * 30, None),
    ],
)
def test_what_one_more_attempt_would_cost(card, attempts, fee):
    found = next_fee(card, attempts, NOW)
    assert (found.text if found else None) == fee


def test_fees_so_far_are_summed_by_currency_at_the_prices_of_then():
    advised = [declined(DAY * n, network_decline_code="51", network_advice_code="24") for n in (3, 2)]
    assert [fee.text for fee in ledger_of(MASTERCARD, advised, NOW).fees] == ["0.04 USD"]
    assert [fee.text for fee in ledger_of(Card("mastercard", "IT"), advised, NOW).fees] == ["0.008 EUR"]
    past_final = [declined(DAY, network_advice_code="21"), declined(HOUR), declined(HOUR)]
    assert [fee.text for fee in ledger_of(MASTERCARD, past_final, NOW).fees] == ["1.00 USD"]
    # The price of 2024.
    then = datetime(2024, 6, 1, tzinfo=UTC)
    assert next_fee(MASTERCARD, [PastAttempt(at=then - DAY, network_advice_code="03")], then).text == "0.30 USD"


def test_every_fee_has_a_source_and_a_name_of_its_own():
    assert len({rule.id for rule in FEES}) == len(FEES)
    assert all(len(rule.source) > 20 and rule.mills > 0 for rule in FEES)


CODES = st.sampled_from(
    [
        {"decline_code": "insufficient_funds"},
        {"decline_code": "do_not_honor"},
        {"decline_code": "processing_error"},
        {"decline_code": "insufficient_funds", "network_advice_code": "24"},
        {"decline_code": "insufficient_funds", "network_advice_code": "30"},
        {"decline_code": "do_not_honor", "network_advice_code": "02"},
        {"decline_code": "brand_new"},
        {},
    ]
)
ATTEMPTS = st.lists(st.tuples(st.integers(1, 60 * 24 * 34), CODES), max_size=45)


@settings(max_examples=100, deadline=None)
@given(
    brand=st.sampled_from(["visa", "mastercard", "amex", "discover", "jcb", ""]),
    elsewhere=ATTEMPTS,
    planned=st.lists(st.integers(1, 60 * 24 * 14), max_size=12),
    strategy=st.sampled_from(["rules", "fixed"]),
    profile=st.sampled_from(["cautious", "latest"]),
)
def test_no_plan_breaks_a_limit_or_a_wait_of_the_card(brand, elsewhere, planned, strategy, profile):
    others = [PastAttempt(at=NOW - timedelta(minutes=m), **codes) for m, codes in elsewhere]
    coming = [NOW + timedelta(minutes=m) for m in planned]
    context = RetryContext(
        "in_1", failed_at=NOW - HOUR, brand=brand, decline_code="insufficient_funds", limit_profile=profile
    )
    own = context.first_decline
    history = [*(a.at for a in others), own.at]
    plan = plan_next(context, [own], history, NOW, strategy, card_declines=others, card_planned=coming)
    if not isinstance(plan, PlannedRetry):
        return
    assert NOW < plan.at <= context.ends_at
    for rule in rules_for(brand, plan.at.date(), profile):
        window = timedelta(days=rule.window_days)
        # Counted by hand: no window that the charge lies in, ending with it or with a planned one, gets overfull.
        everything = [*history, *coming, plan.at]
        for end in (at for at in everything if plan.at <= at < plan.at + window):
            assert sum(end - window < at <= end for at in everything) <= rule.limit
    for attempt in (*others, own):
        assert plan.at >= attempt.at + attempt.verdict.retry.wait
