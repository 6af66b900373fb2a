"""The decline table, code by code, and the rule that the most restrictive code decides."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.retries.code_rule import SOURCES
from billing.retries.declines import (
    TABLE,
    AsksFor,
    Category,
    RetryKind,
    classify,
    customer_message_key,
)
from billing.retries.taxonomy import POLICIES, RetryRule, after
from campaigns.admin.conditions import VALUES
from campaigns.engine.conditions import check_condition
from campaigns.rendering.reasons import decline_for, decline_told, reason_keys

C = Category

STRIPE_CODES = {
    C.INSUFFICIENT_FUNDS: "insufficient_funds partner_insufficient_funds refer_to_customer",
    C.ISSUER_SOFT: "approve_with_id try_again_later restricted_card",
    C.DO_NOT_HONOR: "do_not_honor generic_decline call_issuer no_action_taken security_violation "
    "do_not_try_again payment_method_provider_decline previously_declined_do_not_retry",
    C.CARD_DATA: "incorrect_number invalid_number incorrect_cvc invalid_cvc incorrect_zip incorrect_address "
    "invalid_expiry_month invalid_expiry_year incorrect_pin invalid_pin offline_pin_required "
    "online_or_offline_pin_required requested_block_on_incorrect_cvc new_account_information_available "
    "invalid_account_number",
    C.EXPIRED: "expired_card expired_payment_method",
    C.LOST_STOLEN: "lost_card stolen_card pickup_card",
    C.FRAUD: "fraudulent highest_risk_level merchant_blacklist rule blocklist",
    C.AUTHENTICATION: "authentication_required authentication_not_handled payment_intent_authentication_failure",
    C.LIMIT_VELOCITY: "card_velocity_exceeded withdrawal_count_limit_exceeded pin_try_exceeded "
    "card_decline_rate_limit_exceeded charge_exceeds_weekly_limit",
    C.TECHNICAL: "processing_error issuer_not_available reenter_transaction duplicate_transaction "
    "payment_method_provider_timeout",
    C.ACCOUNT_CLOSED: "invalid_account account_closed no_account bank_account_unusable",
    C.REVOCATION: "revocation_of_authorization revocation_of_all_authorizations stop_payment_order "
    "debit_not_authorized invalid_mandate payment_intent_mandate_invalid",
    C.UNSUPPORTED: "card_not_supported currency_not_supported transaction_not_allowed not_permitted "
    "service_not_allowed invalid_amount testmode_decline",
}


@pytest.mark.parametrize(
    ("code", "category"),
    [(code, category) for category, codes in STRIPE_CODES.items() for code in codes.split()],
)
def test_every_stripe_code_has_its_category(code, category):
    verdict = classify(decline_code=code)
    assert verdict.category is category
    assert verdict.source == f"decline_code:{code}"
    assert code in verdict.reason
    assert not verdict.unknown_codes


NETWORK_CODES = {
    # Visa category 1: no reattempt at all.
    "never": "04 07 12 14 15 41 43 46 57 R0 R1 R3",
    # Visa category 2, after the moves of April 2021, and what may be presented again for bank debits.
    "later": "51 61 62 65 75 78 86 91 96 03 19 05 N4 R01 R09 AM04 MS03 FF01 0",
    # Ours: data the customer has to correct, authentication, suspected fraud, bank debits that are final.
    "stop": "54 55 N7 1A 59 R02 R03 R07 R08 R10 R16 R19 R20 R52 R85 AC01 AC04 AC06 MD01 MD06 MS02 RC01 SL01 1 4 B "
    "ADDACS-0 ADDACS-2 ADDACS-C AUDDIS-G",
}


@pytest.mark.parametrize(("code", "kind"), [(c, k) for k, codes in NETWORK_CODES.items() for c in codes.split()])
def test_network_codes_follow_the_networks_lists(code, kind):
    verdict = classify(network_decline_code=code)
    assert verdict.may_retry is (kind == "later")
    if kind == "never":
        assert verdict.hard


@pytest.mark.parametrize(
    ("mac", "hours"),
    [("24", 1), ("25", 24), ("26", 48), ("27", 96), ("28", 144), ("29", 192), ("30", 240), ("02", 24)],
)
def test_mastercard_waits_outlast_the_decline_codes_own_wait(mac, hours):
    verdict = classify(network_advice_code=mac)
    assert verdict.retry == after(hours=hours)
    beside = classify(decline_code="insufficient_funds", network_decline_code="51", network_advice_code=mac)
    assert beside.retry.wait == timedelta(hours=max(hours, 12))
    assert beside.category is C.INSUFFICIENT_FUNDS
    assert beside.asks_for is AsksFor.FUNDS


@pytest.mark.parametrize("mac", ["03", "21", "40", "41", "42"])
def test_final_mastercard_advice_beats_a_soft_decline(mac):
    verdict = classify(decline_code="insufficient_funds", network_decline_code="51", network_advice_code=mac)
    assert not verdict.may_retry
    assert verdict.hard
    assert verdict.asks_for is AsksFor.NEW_CARD
    assert verdict.source == f"network_advice_code:{mac}"
    assert f"Mastercard advice {mac}" in verdict.reason


@pytest.mark.parametrize(
    "codes",
    [
        {"decline_code": "invalid_amount"},
        {"decline_code": "currency_not_supported"},
        {"decline_code": "rule"},
        {"decline_code": "previously_declined_do_not_retry"},
        {"network_decline_code": "R19"},
    ],
)
def test_what_speaks_of_this_charge_ends_its_retries_but_not_the_card(codes):
    verdict = classify(**codes)
    assert not verdict.may_retry
    assert not verdict.hard


@pytest.mark.parametrize(
    ("visa", "may_retry", "hard"), [("V1", False, True), ("V2", True, False), ("V3", False, False)]
)
def test_visas_category_is_read_like_an_advice(visa, may_retry, hard):
    verdict = classify(decline_code="insufficient_funds", network_advice_code=visa)
    assert (verdict.may_retry, verdict.hard) == (may_retry, hard)
    assert f"Visa category {visa}" in classify(network_advice_code=visa).reason


@pytest.mark.parametrize("field", ["decline_code", "advice_code"])
def test_do_not_try_again_is_final_and_says_so_to_the_customer(field):
    verdict = classify(network_decline_code="05", **{field: "do_not_try_again"})
    assert verdict.hard
    assert not verdict.may_retry
    assert customer_message_key(verdict) == "refused_for_good"


@pytest.mark.parametrize(
    ("codes", "category", "hard"),
    [
        ({"decline_code": "generic_decline", "network_decline_code": "51"}, C.INSUFFICIENT_FUNDS, False),
        ({"decline_code": "do_not_honor", "network_advice_code": "26"}, C.INSUFFICIENT_FUNDS, False),
        ({"decline_code": "generic_decline", "network_decline_code": "54"}, C.EXPIRED, True),
        ({"decline_code": "expired_card", "network_advice_code": "01"}, C.EXPIRED, True),
        ({"decline_code": "do_not_honor", "network_advice_code": "01"}, C.CARD_DATA, False),
        (
            {"decline_code": "insufficient_funds", "advice_code": "try_again_later"},
            C.INSUFFICIENT_FUNDS,
            False,
        ),
        ({"decline_code": "incorrect_cvc", "advice_code": "confirm_card_data"}, C.CARD_DATA, False),
        ({"decline_code": "new_code_of_2027", "network_decline_code": "51"}, C.INSUFFICIENT_FUNDS, False),
        ({"decline_code": "generic_decline", "network_decline_code": "1A"}, C.AUTHENTICATION, False),
    ],
)
def test_the_most_telling_category_of_several_codes(codes, category, hard):
    verdict = classify(**codes)
    assert (verdict.category, verdict.hard) == (category, hard)


def test_authentication_stops_retries_but_not_the_card():
    verdict = classify(decline_code="authentication_required")
    assert not verdict.may_retry
    assert not verdict.hard
    assert verdict.asks_for is AsksFor.AUTHENTICATE


@pytest.mark.parametrize(
    ("codes", "unknown"),
    [
        ({}, ()),
        ({"decline_code": ""}, ()),
        ({"decline_code": "brand_new"}, ("decline_code:brand_new",)),
        ({"network_decline_code": "ZZ"}, ("network_decline_code:ZZ",)),
        ({"network_advice_code": "99", "advice_code": "x"}, ("network_advice_code:99", "advice_code:x")),
    ],
)
def test_unknown_codes_are_soft_with_caution_and_reported(codes, unknown):
    verdict = classify(**codes)
    assert verdict.category is C.UNKNOWN
    assert verdict.retry == after(hours=12)
    assert not verdict.hard
    assert verdict.unknown_codes == unknown
    assert "caution" in verdict.reason


def test_an_unknown_code_beside_a_known_one_is_reported_too():
    assert classify(decline_code="brand_new", network_decline_code="51").unknown_codes == ("decline_code:brand_new",)


@pytest.mark.parametrize(
    ("codes", "same_as"),
    [
        ({"decline_code": " Insufficient_Funds "}, {"decline_code": "insufficient_funds"}),
        ({"network_decline_code": "n7"}, {"network_decline_code": "N7"}),
        ({"network_advice_code": "3"}, {"network_advice_code": "03"}),
        ({"network_advice_code": "v1"}, {"network_advice_code": "V1"}),
        ({"network_decline_code": "ARUDD 0"}, {"network_decline_code": "0"}),
        ({"network_decline_code": "addacs b"}, {"network_decline_code": "ADDACS-B"}),
    ],
)
def test_spelling_does_not_matter(codes, same_as):
    assert classify(**codes) == classify(**same_as)


@pytest.mark.parametrize(
    ("codes", "meant"),
    [
        ({"decline_code": "51"}, {"network_decline_code": "51"}),
        ({"decline_code": "R02"}, {"network_decline_code": "R02"}),
        ({"network_decline_code": "Stolen_Card"}, {"decline_code": "stolen_card"}),
        ({"advice_code": "24"}, {"network_advice_code": "24"}),
        ({"network_advice_code": "do_not_try_again"}, {"advice_code": "do_not_try_again"}),
    ],
)
def test_a_code_in_the_field_of_another_family_keeps_its_meaning(codes, meant):
    found, expected = classify(**codes), classify(**meant)
    assert (found.category, found.retry, found.hard) == (expected.category, expected.retry, expected.hard)
    assert found.unknown_codes == ()


def test_every_row_is_consistent_and_every_category_has_a_policy_and_a_message():
    assert set(POLICIES) == set(Category)
    assert {category.value for category in Category} | {"refused_for_good"} == set(reason_keys())
    for row in TABLE.values():
        assert not row.hard or row.retry.kind is RetryKind.NEVER, row
        assert row.meaning, row
        assert row.category is not C.UNKNOWN, row
        assert row.source in SOURCES, row
    assert all("20" in source for source in SOURCES.values()), "A source has a date."


@pytest.mark.parametrize("category", Category)
def test_every_category_selects_a_branch_and_has_words_for_staff(category):
    check_condition({"decline_category": [category.value]})
    assert VALUES["decline_category"][category]


@pytest.mark.parametrize("language", ["en", "it", "fr", "de", "es", "pl"])
def test_a_lost_card_and_a_suspicion_read_like_any_refusal(language):
    plain = decline_for("fraud", language)["message"]
    for codes in ({"decline_code": "stolen_card"}, {"decline_code": "fraudulent", "network_decline_code": "59"}):
        verdict = classify(**codes)
        told = decline_told(verdict=verdict, category=verdict.category, language=language)
        assert told["message"] == plain
        assert told["asks_for"] == "new_card"
    # The words follow all codes, where they are at hand: a final refusal does not promise another try.
    final = classify(decline_code="generic_decline", network_advice_code="03")
    told = decline_told(verdict=final, category=final.category, language=language)
    assert told["message"] == decline_for("refused_for_good", language)["message"]


def test_a_rule_cannot_contradict_itself():
    with pytest.raises(ValueError, match="cannot have a wait"):
        RetryRule(RetryKind.NEVER, timedelta(hours=1))
    with pytest.raises(ValueError, match="cannot have a wait"):
        RetryRule(RetryKind.NOT_BEFORE)


def _codes(family):
    return st.none() | st.sampled_from(sorted(code for f, code in TABLE if f == family)) | st.text(max_size=6)


@given(_codes("stripe"), _codes("network"), _codes("mac"), _codes("advice"))
def test_more_codes_never_soften_a_verdict(decline, network, mac, advice):
    together = classify(
        decline_code=decline, network_decline_code=network, network_advice_code=mac, advice_code=advice
    )
    for alone in (
        {"decline_code": decline},
        {"network_decline_code": network},
        {"network_advice_code": mac},
        {"advice_code": advice},
    ):
        single = classify(**alone)
        if single.category is not C.UNKNOWN:
            assert together.retry.restrictiveness >= single.retry.restrictiveness
            assert together.hard >= single.hard
    assert together.customer_message_key in reason_keys()
    assert together.reason.endswith(".")
