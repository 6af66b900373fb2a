"""Owns Stripe's test cards, their tokens, and what each decline looks like on the wire."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decline:
    """How one refusal is reported: Stripe's codes beside those of the card network."""

    decline_code: str
    network_decline_code: str | None
    advice_code: str | None
    network_advice_code: str | None
    message: str
    code: str = "card_declined"


AGAIN, NEVER, CONFIRM = "try_again_later", "do_not_try_again", "confirm_card_data"
_PLAIN = "Your card was declined."

DECLINES: dict[str, Decline] = {
    row.decline_code: row
    for row in (
        Decline("insufficient_funds", "51", AGAIN, "02", "Your card has insufficient funds."),
        Decline("generic_decline", "05", AGAIN, "02", _PLAIN),
        Decline("do_not_honor", "05", AGAIN, "02", _PLAIN),
        Decline("lost_card", "41", NEVER, "03", _PLAIN),
        Decline("stolen_card", "43", NEVER, "03", _PLAIN),
        Decline("pickup_card", "04", NEVER, "03", _PLAIN),
        Decline("restricted_card", "62", NEVER, "03", _PLAIN),
        Decline("fraudulent", "59", NEVER, "03", _PLAIN),
        Decline("invalid_account", "46", NEVER, "03", _PLAIN),
        Decline("transaction_not_allowed", "57", NEVER, "03", _PLAIN),
        Decline("revocation_of_authorization", "R1", NEVER, "21", _PLAIN),
        Decline("revocation_of_all_authorizations", "R3", NEVER, "21", _PLAIN),
        Decline("stop_payment_order", "R0", NEVER, "21", _PLAIN),
        Decline("expired_card", "54", CONFIRM, "01", "Your card has expired.", "expired_card"),
        Decline("incorrect_cvc", "N7", CONFIRM, "01", "Your card's security code is incorrect.", "incorrect_cvc"),
        Decline("incorrect_number", "14", CONFIRM, "01", "Your card number is incorrect.", "incorrect_number"),
        Decline(
            "processing_error",
            "96",
            AGAIN,
            "24",
            "An error occurred while processing your card. Try again in a little bit.",
            "processing_error",
        ),
        Decline("issuer_not_available", "91", AGAIN, "24", _PLAIN),
        Decline("try_again_later", "19", AGAIN, "24", _PLAIN),
        Decline("reenter_transaction", "19", AGAIN, "24", _PLAIN),
        Decline(
            "card_velocity_exceeded",
            "65",
            AGAIN,
            "25",
            "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
        ),
        Decline("withdrawal_count_limit_exceeded", "61", AGAIN, "26", _PLAIN),
        Decline("call_issuer", "01", CONFIRM, "02", _PLAIN),
        Decline("card_not_supported", "57", CONFIRM, "01", "Your card does not support this type of purchase."),
        Decline(
            "authentication_required",
            "1A",
            None,
            None,
            "Your card was declined. This transaction requires authentication.",
            "authentication_required",
        ),
    )
}


@dataclass(frozen=True)
class TestCard:
    """One of Stripe's test numbers and how its issuer behaves without a profile."""

    number: str
    brand: str
    country: str = "US"
    funding: str = "credit"
    profile: str = "always_ok"
    decline: str | None = None

    __test__ = False  # the name must not make pytest collect it


CARDS: dict[str, TestCard] = {
    card.number: card
    for card in (
        TestCard("4242424242424242", "visa"),
        TestCard("4000056655665556", "visa", funding="debit"),
        TestCard("5555555555554444", "mastercard"),
        TestCard("5200828282828210", "mastercard", funding="debit"),
        TestCard("378282246310005", "amex"),
        TestCard("6011111111111117", "discover"),
        TestCard("3566002020360505", "jcb", "JP"),
        TestCard("4000003800000008", "visa", "IT"),
        TestCard("4000002760000016", "visa", "DE"),
        TestCard("4000002500001001", "visa", "FR"),
        TestCard("4000008260000000", "visa", "GB"),
        TestCard("4000006160000005", "visa", "PL"),
        TestCard("4000007240000007", "visa", "ES"),
        TestCard("4000000000000341", "visa", profile="decline_charges", decline="generic_decline"),
        TestCard("4000000000000002", "visa", profile="decline", decline="generic_decline"),
        TestCard("4000000000009995", "visa", profile="decline", decline="insufficient_funds"),
        TestCard("4000000000009987", "visa", profile="decline", decline="lost_card"),
        TestCard("4000000000009979", "visa", profile="decline", decline="stolen_card"),
        TestCard("4000000000000069", "visa", profile="decline", decline="expired_card"),
        TestCard("4000000000000127", "visa", profile="decline", decline="incorrect_cvc"),
        TestCard("4000000000000119", "visa", profile="decline", decline="processing_error"),
        TestCard("4000000000006975", "visa", profile="decline", decline="card_velocity_exceeded"),
        TestCard("4100000000000019", "visa", profile="blocked", decline="fraudulent"),
        TestCard("4000002500003155", "visa", "FR", profile="authentication_once"),
        TestCard("4000002760003184", "visa", "DE", profile="authentication"),
        TestCard("4000003800000446", "visa", "IT", profile="always_ok"),
        TestCard("4000008260003178", "visa", "GB", profile="authentication_nsf", decline="insufficient_funds"),
    )
}

TOKENS: dict[str, str] = {
    "pm_card_visa": "4242424242424242",
    "pm_card_visa_debit": "4000056655665556",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_mastercard_debit": "5200828282828210",
    "pm_card_amex": "378282246310005",
    "pm_card_discover": "6011111111111117",
    "pm_card_jcb": "3566002020360505",
    "pm_card_it": "4000003800000008",
    "pm_card_de": "4000002760000016",
    "pm_card_fr": "4000002500001001",
    "pm_card_gb": "4000008260000000",
    "pm_card_pl": "4000006160000005",
    "pm_card_es": "4000007240000007",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_visa_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_visa_chargeDeclinedLostCard": "4000000000009987",
    "pm_card_chargeDeclinedLostCard": "4000000000009987",
    "pm_card_visa_chargeDeclinedStolenCard": "4000000000009979",
    "pm_card_chargeDeclinedStolenCard": "4000000000009979",
    "pm_card_chargeDeclinedExpiredCard": "4000000000000069",
    "pm_card_chargeDeclinedIncorrectCvc": "4000000000000127",
    "pm_card_chargeDeclinedProcessingError": "4000000000000119",
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": "4000000000006975",
    "pm_card_radarBlock": "4100000000000019",
    "pm_card_authenticationRequired": "4000002760003184",
    "pm_card_threeDSecure2Required": "4000002760003184",
    "pm_card_authenticationRequiredOnSetup": "4000002500003155",
    "pm_card_authenticationRequiredSetupForOffSession": "4000003800000446",
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": "4000008260003178",
}


def luhn_valid(number: str) -> bool:
    """Whether the check digit of a card number fits."""
    digits = [int(char) for char in reversed(number)]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def lookup(number: str) -> TestCard:
    """The test card of a number; any other number with a right check digit is a card that works."""
    known = CARDS.get(number)
    if known is not None:
        return known
    brands = {"4": "visa", "5": "mastercard", "2": "mastercard", "3": "amex", "6": "discover"}
    return TestCard(number, brands.get(number[:1], "unknown"))
