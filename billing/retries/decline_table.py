"""Owns the one closed table of decline codes: what each code of each family means for a retry.

Families: `stripe` (decline codes, the reasons of Stripe's own blocks, and the error codes that stand in their place
for bank debits and wallets), `advice` (Stripe's advice_code), `mac` (Mastercard's merchant advice codes; V1 to V4
for Visa's category where a gateway tells it), `network` (response codes of card networks; ACH returns, SEPA reasons
and Bacs reports, whose rows are in `debit_table`).

A row without more words takes its category's policy (taxonomy.POLICIES); `source` names where it was looked up, with
the date, in `code_rule.SOURCES`. To add a code, add a row: the table's tests ask for nothing else.
"""

# ruff: noqa: E501  (a table is read by the row)

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from billing.retries import debit_table
from billing.retries.code_rule import CodeRule, rows
from billing.retries.taxonomy import ALLOWED, NEVER, AsksFor, Category, after

__all__ = ["TABLE", "CodeRule"]

C, A = Category, AsksFor

_stripe = partial(rows, "stripe", "stripe")
_advice = partial(rows, "stripe", "advice")
_mac = partial(rows, "mastercard-mac", "mac")
_network = partial(rows, "iso8583", "network")
_visa_category = partial(rows, "visa-categories", "mac")
_amex = partial(rows, "amex", "network")


def _build(*groups: Iterable[CodeRule]) -> dict[tuple[str, str], CodeRule]:
    table: dict[tuple[str, str], CodeRule] = {}
    for group in groups:
        for row in group:
            key = (row.family, row.code)
            if key in table:
                raise ValueError(f"{row.family} code {row.code} has two rows.")
            table[key] = row
    return table


# fmt: off
TABLE: dict[tuple[str, str], CodeRule] = _build(
    # --- Stripe: cards -------------------------------------------------------------------------------------------
    _stripe("insufficient_funds partner_insufficient_funds", C.INSUFFICIENT_FUNDS, "not enough money on the account"),
    _stripe("generic_decline card_declined card_decline", C.DO_NOT_HONOR, "the bank refused and gave no reason"),
    _stripe("do_not_honor no_action_taken transaction_declined", C.DO_NOT_HONOR, "the bank refused and gave no reason"),
    _stripe("call_issuer security_violation", C.DO_NOT_HONOR, "the bank wants to hear from the cardholder"),
    _stripe("do_not_try_again", C.DO_NOT_HONOR, "the bank said not to try again", NEVER, hard=True, asks=A.NEW_CARD),
    # Stripe's own block after many refusals. It fades, so the card is not finished; this invoice is not tried again.
    _stripe("previously_declined_do_not_retry", C.DO_NOT_HONOR, "refused before; Stripe sends it to no bank again", NEVER,
            asks=A.NEW_CARD),
    _stripe("approve_with_id try_again_later", C.ISSUER_SOFT, "the bank could not approve at that moment"),
    _stripe("restricted_card", C.ISSUER_SOFT, "the card is restricted for now", after(days=3), asks=A.CONTACT_BANK),
    _stripe("issuer_not_available", C.TECHNICAL, "the bank could not be reached"),
    _stripe("processing_error reenter_transaction", C.TECHNICAL, "an error while processing"),
    _stripe("duplicate_transaction", C.TECHNICAL, "the same amount was charged a moment before", after(hours=24)),
    _stripe("card_velocity_exceeded withdrawal_count_limit_exceeded", C.LIMIT_VELOCITY, "over a limit of the card"),
    _stripe("pin_try_exceeded", C.LIMIT_VELOCITY, "too many wrong PINs", asks=A.CONTACT_BANK),
    _stripe("card_decline_rate_limit_exceeded", C.LIMIT_VELOCITY, "the card was declined too often lately", after(days=3)),
    _stripe("incorrect_number invalid_number", C.CARD_DATA, "the card number is wrong", hard=True),
    _stripe("incorrect_cvc invalid_cvc requested_block_on_incorrect_cvc", C.CARD_DATA, "the security code is wrong"),
    _stripe("incorrect_zip incorrect_address incorrect_postal_code postal_code_invalid requested_block_on_incorrect_zip", C.CARD_DATA, "the billing address does not match"),
    _stripe("invalid_expiry_month invalid_expiry_year", C.CARD_DATA, "the expiry date is wrong"),
    _stripe("incorrect_pin invalid_pin offline_pin_required online_or_offline_pin_required", C.CARD_DATA,
            "a PIN was asked for and is missing or wrong"),
    _stripe("new_account_information_available", C.CARD_DATA, "the card was replaced; its new details are not here yet"),
    _stripe("expired_card expired_payment_method", C.EXPIRED, "the card has expired"),
    _stripe("lost_card stolen_card pickup_card", C.LOST_STOLEN, "the card was reported lost or stolen"),
    _stripe("fraudulent highest_risk_level elevated_risk_level merchant_blacklist", C.FRAUD, "suspected fraud"),
    # A rule or list of the merchant's own held this one charge; another amount or day may pass.
    _stripe("rule blocklist", C.FRAUD, "held by a rule at the processor", hard=False),
    _stripe("authentication_required mobile_device_authentication_required payment_intent_action_required "
            "invoice_payment_intent_requires_action", C.AUTHENTICATION,
            "the bank wants the customer to confirm the payment"),
    _stripe("authentication_not_handled authentication_failure payment_intent_authentication_failure "
            "setup_intent_authentication_failure", C.AUTHENTICATION, "the customer's confirmation was not completed"),
    _stripe("revocation_of_authorization revocation_of_all_authorizations stop_payment_order", C.REVOCATION,
            "the cardholder withdrew the permission to charge"),
    _stripe("invalid_account", C.ACCOUNT_CLOSED, "the card's account is closed or not valid"),
    _stripe("card_not_supported transaction_not_allowed not_permitted service_not_allowed "
            "payment_method_unsupported_type invalid_card_type",
            C.UNSUPPORTED, "the card does not allow this kind of payment"),
    # What was asked for does not fit; the card is good for something else.
    _stripe("currency_not_supported payment_method_currency_mismatch invalid_currency", C.UNSUPPORTED,
            "the card does not allow this currency", hard=False),
    _stripe("invalid_amount amount_too_large amount_too_small invalid_charge_amount", C.UNSUPPORTED,
            "the card does not allow this amount", hard=False),
    _stripe("testmode_decline live_mode_test_card test_mode_live_card", C.UNSUPPORTED, "a test card was used"),
    # --- Stripe: bank debits, wallets and mandates ---------------------------------------------------------------
    _stripe("account_closed no_account bank_account_unusable bank_ownership_changed recipient_deceased",
            C.ACCOUNT_CLOSED, "the bank account is closed or does not exist"),
    _stripe("bank_account_restricted bank_account_declined account_frozen sepa_unsupported_account "
            "payment_method_bank_account_blocked", C.UNSUPPORTED, "the bank account does not take debits"),
    _stripe("invalid_account_number account_number_invalid bank_account_bad_routing_numbers routing_number_invalid "
            "incorrect_account_holder_name incorrect_account_holder_type incorrect_account_holder_address "
            "incorrect_account_holder_tax_id incorrect_account_type invalid_account_number_length branch_does_not_exist", C.CARD_DATA,
            "the bank account's details are wrong", hard=True),
    _stripe("bank_account_unverified bank_account_verification_failed payment_method_microdeposit_failed "
            "payment_method_microdeposit_verification_attempts_exceeded payment_method_microdeposit_verification_timeout",
            C.CARD_DATA, "the bank account was never verified"),
    _stripe("payment_method_restricted payment_method_unactivated", C.UNSUPPORTED, "the wallet cannot pay for now", hard=False),
    _stripe("debit_not_authorized payment_method_customer_decline", C.REVOCATION,
            "the account holder refused the debit"),
    _stripe("invalid_mandate mandate_invalid mandate_inactive mandate_revoked payment_intent_mandate_invalid "
            "billing_invalid_mandate setup_intent_mandate_invalid india_recurring_payment_mandate_canceled", C.REVOCATION, "the mandate is missing or no longer valid"),
    _stripe("refer_to_customer", C.INSUFFICIENT_FUNDS, "the bank refers to the payer, mostly for lack of money",
            after(days=2)),
    _stripe("exceeds_count_limit charge_exceeds_source_limit charge_exceeds_transaction_limit charge_exceeds_weekly_limit",
            C.LIMIT_VELOCITY, "over a debit limit", after(days=7)),
    _stripe("payment_method_provider_decline cashapp_payment_declined invalid_payment_method declined payment_intent_payment_attempt_failed", C.DO_NOT_HONOR, "the provider refused"),
    _stripe("payment_method_provider_timeout payment_method_not_available payment_intent_payment_attempt_expired could_not_process "
            "generic_could_not_process lock_timeout rate_limit payment_intent_rate_limit_exceeded", C.TECHNICAL, "the provider could not be reached"),
    # --- Stripe: advice codes ------------------------------------------------------------------------------------
    _advice("try_again_later", C.ISSUER_SOFT, "Stripe advises to try again later", ALLOWED),
    _advice("do_not_try_again", C.DO_NOT_HONOR, "Stripe advises not to try this card again", NEVER, hard=True,
          asks=A.NEW_CARD),
    _advice("confirm_card_data", C.CARD_DATA, "Stripe advises to confirm the card's details"),
    # --- Mastercard merchant advice codes ------------------------------------------------------------------------
    _mac("01", C.CARD_DATA, "new account information is available"),
    _mac("02", C.ISSUER_SOFT, "cannot approve now", after(hours=24)),
    _mac("03", C.DO_NOT_HONOR, "do not try again (a retry within 30 days is charged)", NEVER, hard=True,
          asks=A.NEW_CARD),
    _mac("05", C.UNSUPPORTED, "the negotiated amount was not approved", hard=False),
    _mac("04 22", C.UNSUPPORTED, "the token or product does not qualify", hard=False),
    _mac("21", C.REVOCATION, "the cardholder cancelled the payments (a retry within 30 days is charged)"),
    _mac("24", C.INSUFFICIENT_FUNDS, "retry after 1 hour", after(hours=1)),
    _mac("25", C.INSUFFICIENT_FUNDS, "retry after 24 hours", after(hours=24)),
    _mac("26", C.INSUFFICIENT_FUNDS, "retry after 2 days", after(days=2)),
    _mac("27", C.INSUFFICIENT_FUNDS, "retry after 4 days", after(days=4)),
    _mac("28", C.INSUFFICIENT_FUNDS, "retry after 6 days", after(days=6)),
    _mac("29", C.INSUFFICIENT_FUNDS, "retry after 8 days", after(days=8)),
    _mac("30", C.INSUFFICIENT_FUNDS, "retry after 10 days", after(days=10)),
    _mac("40", C.UNSUPPORTED, "a prepaid card that cannot be reloaded"),
    _mac("41", C.UNSUPPORTED, "a virtual card for a single use"),
    _mac("42", C.UNSUPPORTED, "blocked by a sanctions score"),
    # A virtual card for several uses is an ordinary card: the response code decides.
    _mac("43", C.ISSUER_SOFT, "a virtual card for several uses", ALLOWED),
    # --- Visa's decline categories, where a gateway tells the category instead of the code --------------------------
    _visa_category("V1", C.DO_NOT_HONOR, "the issuer will never approve", NEVER, hard=True, asks=A.NEW_CARD),
    _visa_category("V2", C.ISSUER_SOFT, "the issuer cannot approve at this time", after(hours=24)),
    _visa_category("V3", C.CARD_DATA, "the issuer cannot approve with these details"),
    _visa_category("V4", C.DO_NOT_HONOR, "a response code without a category of its own"),
    # --- ISO 8583 response codes; V1-V4 = Visa's category --------------------------------------------------------
    _network("51", C.INSUFFICIENT_FUNDS, "V2: not enough money"),
    _network("05", C.DO_NOT_HONOR, "V4: do not honor"),
    _network("01 02 60 66 70 Z1", C.DO_NOT_HONOR, "V4: refer to the card's bank"),
    _network("63", C.DO_NOT_HONOR, "V3: security violation"),
    # Mastercard 79 (life cycle), 82 (policy), 83 (security) are decided by the advice code that comes with them.
    _network("79 82 83", C.DO_NOT_HONOR, "refused by the issuer's life-cycle, policy or security rule"),
    _network("08", C.ISSUER_SOFT, "honor with identification", after(hours=24)),
    _network("72", C.ISSUER_SOFT, "the account is not active yet", after(days=3), asks=A.CONTACT_BANK),
    _network("21 85", C.ISSUER_SOFT, "no action taken", after(hours=24)),
    _network("62 78 9G", C.ISSUER_SOFT, "V2: restricted or blocked for now", after(days=3), asks=A.CONTACT_BANK),
    _network("04 07 35 36 37 67", C.LOST_STOLEN, "V1: pick up the card"),
    _network("41", C.LOST_STOLEN, "V1: lost card"),
    _network("43", C.LOST_STOLEN, "V1: stolen card"),
    _network("59 34", C.FRAUD, "V2: suspected fraud"),
    _network("14 15 56", C.CARD_DATA, "V1: no such card or issuer", hard=True),
    _network("55 71 P5 P6", C.CARD_DATA, "V3: incorrect PIN"),
    _network("N7 6P Q1", C.CARD_DATA, "V3: the card's data could not be verified"),
    _network("54 33", C.EXPIRED, "V3: expired card"),
    _network("46 39 42 44 52 53 76", C.ACCOUNT_CLOSED, "V1: closed or missing account"),
    _network("1A", C.AUTHENTICATION, "V3: additional customer authentication required"),
    _network("61 65 N4 N8", C.LIMIT_VELOCITY, "V2: over an amount or count limit"),
    _network("75 38", C.LIMIT_VELOCITY, "V2: too many wrong PINs", asks=A.CONTACT_BANK),
    _network("17", C.REVOCATION, "cancelled by the customer", hard=False),
    _network("R0", C.REVOCATION, "V1: the cardholder stopped this payment"),
    _network("R1", C.REVOCATION, "V1: the cardholder revoked this authorisation"),
    _network("R3", C.REVOCATION, "V1: the cardholder revoked all authorisations"),
    _network("12 57", C.UNSUPPORTED, "V1: not permitted on this card"),
    _network("13 64", C.UNSUPPORTED, "this amount is not permitted", hard=False),
    _network("31 40 58 5C 84 93 B1 N3 N5 R2", C.UNSUPPORTED, "this transaction is not permitted"),
    _network("03", C.TECHNICAL, "V2: merchant not accepted at that moment", after(hours=24)),
    _network("94", C.TECHNICAL, "duplicate transmission", after(hours=24)),
    _network("06 19 20 22 25 26 27 28 29 30 32 68 80 81 86 88 89 90 91 92 95 96 97 98 N0 Z3", C.TECHNICAL, "V2: the issuer or network was not working"),
    # --- Amex (ISO 8583:1993, three digits) ----------------------------------------------------------------------
    _amex("116", C.INSUFFICIENT_FUNDS, "Amex: not enough money"),
    _amex("100 107", C.DO_NOT_HONOR, "Amex: denied"),
    _amex("121", C.LIMIT_VELOCITY, "Amex: over the limit"),
    _amex("106", C.LIMIT_VELOCITY, "Amex: too many wrong PINs", asks=A.CONTACT_BANK),
    _amex("101", C.EXPIRED, "Amex: expired card"),
    _amex("111", C.CARD_DATA, "Amex: invalid account", hard=True),
    _amex("117 122 125", C.CARD_DATA, "Amex: the card's data is wrong"),
    _amex("130", C.AUTHENTICATION, "Amex: additional authentication required"),
    _amex("187", C.CARD_DATA, "Amex: a new card was issued"),
    _amex("200", C.LOST_STOLEN, "Amex: pick up the card"),
    # Acquirers read 189 as a closed card account or a closed merchant account: final for this charge either way.
    _amex("189", C.UNSUPPORTED, "Amex: a cancelled or closed account", hard=False),
    _amex("190 193 194", C.DO_NOT_HONOR, "Amex: denied by the issuer", after(days=3)),
    _amex("109 110 115 119 183", C.UNSUPPORTED, "Amex: not permitted"),
    _amex("181 909 911 912", C.TECHNICAL, "Amex: the issuer could not be reached"),
    debit_table.rows_of_debits(),
)
# fmt: on
