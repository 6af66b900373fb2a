"""Owns the one closed table of decline codes: what each code of each family means for a retry.

Families: `stripe` (decline codes, and the error codes that stand in their place for bank debits and
wallets), `advice` (Stripe's advice_code), `mac` (Mastercard merchant advice codes), `network` (ISO 8583
response codes as Visa, Mastercard, Discover and Amex send them; ACH returns; SEPA reason codes; Bacs ARUDD
reasons).

A row without more words takes its category's policy (taxonomy.POLICIES). Sources:
docs.stripe.com/declines/codes and /declines/network-codes (2026); Visa's categories 1-4 with the moves of
17 April 2021 (03, 62, 78, 93 from "never approve" to "cannot approve now"; 93, a breach of law, still stops
here); Mastercard merchant advice codes as acquirers publish them (72 hours for 02: docs.everonet.com); Nacha
return codes; EPC 173-14 reason codes; Bacs ARUDD.
To add a code, add a row: the table's tests ask for nothing else.
"""

# ruff: noqa: E501  (a table is read by the row)

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from billing.retries.taxonomy import ALLOWED, NEVER, POLICIES, AsksFor, Category, RetryRule, after

C, A = Category, AsksFor


@dataclass(frozen=True, slots=True)
class CodeRule:
    """One row: what `code` of `family` means; `meaning` is a short English phrase for staff."""

    family: str
    code: str
    category: Category
    meaning: str
    retry: RetryRule
    hard: bool
    asks_for: AsksFor


def _rows(family: str, codes: str, category: Category, meaning: str, retry: RetryRule | None = None,
          *, hard: bool | None = None, asks: AsksFor | None = None) -> Iterable[CodeRule]:  # fmt: skip
    policy = POLICIES[category]
    for code in codes.split():
        yield CodeRule(
            family, code, category, meaning,
            policy.retry if retry is None else retry,
            policy.hard if hard is None else hard,
            policy.asks_for if asks is None else asks,
        )  # fmt: skip


def _build(*groups: Iterable[CodeRule]) -> dict[tuple[str, str], CodeRule]:
    table: dict[tuple[str, str], CodeRule] = {}
    for group in groups:
        for row in group:
            key = (row.family, row.code)
            if key in table:
                raise ValueError(f"{row.family} code {row.code} has two rows.")
            table[key] = row
    return table


def _stripe(codes: str, category: Category, meaning: str, retry: RetryRule | None = None,
            *, hard: bool | None = None, asks: AsksFor | None = None) -> Iterable[CodeRule]:  # fmt: skip
    return _rows("stripe", codes, category, meaning, retry, hard=hard, asks=asks)


def _network(codes: str, category: Category, meaning: str, retry: RetryRule | None = None,
             *, hard: bool | None = None, asks: AsksFor | None = None) -> Iterable[CodeRule]:  # fmt: skip
    return _rows("network", codes, category, meaning, retry, hard=hard, asks=asks)


# fmt: off
TABLE: dict[tuple[str, str], CodeRule] = _build(
    # --- Stripe: cards -------------------------------------------------------------------------------------------
    _stripe("insufficient_funds", C.INSUFFICIENT_FUNDS, "not enough money on the account"),
    _stripe("generic_decline card_declined", C.DO_NOT_HONOR, "the bank refused and gave no reason"),
    _stripe("do_not_honor no_action_taken transaction_declined", C.DO_NOT_HONOR, "the bank refused and gave no reason"),
    _stripe("call_issuer security_violation", C.DO_NOT_HONOR, "the bank wants to hear from the cardholder"),
    _stripe("do_not_try_again", C.DO_NOT_HONOR, "the bank said not to try again", NEVER, hard=True, asks=A.NEW_CARD),
    _stripe("approve_with_id try_again_later", C.ISSUER_SOFT, "the bank could not approve at that moment"),
    _stripe("restricted_card", C.ISSUER_SOFT, "the card is restricted for now", after(days=3), asks=A.CONTACT_BANK),
    _stripe("issuer_not_available", C.TECHNICAL, "the bank could not be reached"),
    _stripe("processing_error reenter_transaction", C.TECHNICAL, "an error while processing"),
    _stripe("duplicate_transaction", C.TECHNICAL, "the same amount was charged a moment before", after(hours=24)),
    _stripe("card_velocity_exceeded withdrawal_count_limit_exceeded", C.LIMIT_VELOCITY, "over a limit of the card"),
    _stripe("pin_try_exceeded", C.LIMIT_VELOCITY, "too many wrong PINs", asks=A.CONTACT_BANK),
    _stripe("card_decline_rate_limit_exceeded", C.LIMIT_VELOCITY, "the card was declined too often lately", after(days=3)),
    _stripe("incorrect_number invalid_number", C.CARD_DATA, "the card number is wrong", hard=True),
    _stripe("incorrect_cvc invalid_cvc", C.CARD_DATA, "the security code is wrong"),
    _stripe("incorrect_zip incorrect_address", C.CARD_DATA, "the billing address does not match"),
    _stripe("invalid_expiry_month invalid_expiry_year", C.CARD_DATA, "the expiry date is wrong"),
    _stripe("incorrect_pin invalid_pin offline_pin_required online_or_offline_pin_required", C.CARD_DATA,
            "a PIN was asked for and is missing or wrong"),
    _stripe("new_account_information_available", C.CARD_DATA, "the card was replaced; its new details are not here yet"),
    _stripe("expired_card", C.EXPIRED, "the card has expired"),
    _stripe("lost_card stolen_card pickup_card", C.LOST_STOLEN, "the card was reported lost or stolen"),
    _stripe("fraudulent highest_risk_level elevated_risk_level merchant_blacklist", C.FRAUD, "suspected fraud"),
    _stripe("authentication_required mobile_device_authentication_required", C.AUTHENTICATION,
            "the bank wants the customer to confirm the payment"),
    _stripe("authentication_not_handled authentication_failure payment_intent_authentication_failure "
            "setup_intent_authentication_failure", C.AUTHENTICATION, "the customer's confirmation was not completed"),
    _stripe("revocation_of_authorization revocation_of_all_authorizations stop_payment_order", C.REVOCATION,
            "the cardholder withdrew the permission to charge"),
    _stripe("invalid_account", C.ACCOUNT_CLOSED, "the card's account is closed or not valid"),
    _stripe("card_not_supported currency_not_supported transaction_not_allowed not_permitted service_not_allowed "
            "payment_method_unsupported_type payment_method_currency_mismatch invalid_currency",
            C.UNSUPPORTED, "the card does not allow this kind of payment"),
    _stripe("invalid_amount amount_too_large amount_too_small", C.UNSUPPORTED, "the card does not allow this amount"),
    _stripe("testmode_decline live_mode_test_card test_mode_live_card", C.UNSUPPORTED, "a test card was used"),
    # --- Stripe: bank debits, wallets and mandates ---------------------------------------------------------------
    _stripe("account_closed no_account bank_account_unusable bank_ownership_changed recipient_deceased",
            C.ACCOUNT_CLOSED, "the bank account is closed or does not exist"),
    _stripe("bank_account_restricted bank_account_declined account_frozen sepa_unsupported_account", C.UNSUPPORTED, "the bank account does not take debits"),
    _stripe("invalid_account_number account_number_invalid bank_account_bad_routing_numbers routing_number_invalid "
            "incorrect_account_holder_name incorrect_account_holder_type incorrect_account_holder_address "
            "incorrect_account_holder_tax_id incorrect_account_type invalid_account_number_length branch_does_not_exist", C.CARD_DATA,
            "the bank account's details are wrong", hard=True),
    _stripe("debit_not_authorized payment_method_customer_decline", C.REVOCATION,
            "the account holder refused the debit"),
    _stripe("invalid_mandate mandate_invalid mandate_inactive mandate_revoked payment_intent_mandate_invalid "
            "billing_invalid_mandate", C.REVOCATION, "the mandate is missing or no longer valid"),
    _stripe("refer_to_customer", C.INSUFFICIENT_FUNDS, "the bank refers to the payer, mostly for lack of money",
            after(days=2)),
    _stripe("exceeds_count_limit charge_exceeds_source_limit charge_exceeds_transaction_limit charge_exceeds_weekly_limit",
            C.LIMIT_VELOCITY, "over a debit limit", after(days=7)),
    _stripe("payment_method_provider_decline invalid_payment_method declined payment_intent_payment_attempt_failed", C.DO_NOT_HONOR, "the provider refused"),
    _stripe("payment_method_provider_timeout payment_method_not_available payment_intent_payment_attempt_expired could_not_process "
            "generic_could_not_process lock_timeout rate_limit", C.TECHNICAL, "the provider could not be reached"),
    # --- Stripe: advice codes ------------------------------------------------------------------------------------
    _rows("advice", "try_again_later", C.ISSUER_SOFT, "Stripe advises to try again later", ALLOWED),
    _rows("advice", "do_not_try_again", C.DO_NOT_HONOR, "Stripe advises not to try this card again", NEVER, hard=True,
          asks=A.NEW_CARD),
    _rows("advice", "confirm_card_data", C.CARD_DATA, "Stripe advises to confirm the card's details"),
    # --- Mastercard merchant advice codes ------------------------------------------------------------------------
    _rows("mac", "01", C.CARD_DATA, "new account information is available"),
    _rows("mac", "02", C.ISSUER_SOFT, "cannot approve now", after(hours=72)),
    _rows("mac", "03", C.DO_NOT_HONOR, "do not try again (a retry within 30 days is charged)", NEVER, hard=True,
          asks=A.NEW_CARD),
    _rows("mac", "04 22", C.UNSUPPORTED, "the token or product does not qualify", hard=False),
    _rows("mac", "21", C.REVOCATION, "the cardholder cancelled the payments (a retry within 30 days is charged)"),
    _rows("mac", "24", C.INSUFFICIENT_FUNDS, "retry after 1 hour", after(hours=1)),
    _rows("mac", "25", C.INSUFFICIENT_FUNDS, "retry after 24 hours", after(hours=24)),
    _rows("mac", "26", C.INSUFFICIENT_FUNDS, "retry after 2 days", after(days=2)),
    _rows("mac", "27", C.INSUFFICIENT_FUNDS, "retry after 4 days", after(days=4)),
    _rows("mac", "28", C.INSUFFICIENT_FUNDS, "retry after 6 days", after(days=6)),
    _rows("mac", "29", C.INSUFFICIENT_FUNDS, "retry after 8 days", after(days=8)),
    _rows("mac", "30", C.INSUFFICIENT_FUNDS, "retry after 10 days", after(days=10)),
    _rows("mac", "40", C.UNSUPPORTED, "a prepaid card that cannot be reloaded"),
    _rows("mac", "41", C.UNSUPPORTED, "a virtual card for a single use"),
    _rows("mac", "42", C.UNSUPPORTED, "blocked by a sanctions score"),
    # A virtual card for several uses is an ordinary card: the response code decides.
    _rows("mac", "43", C.ISSUER_SOFT, "a virtual card for several uses", ALLOWED),
    # --- ISO 8583 response codes; V1-V4 = Visa's category --------------------------------------------------------
    _network("51", C.INSUFFICIENT_FUNDS, "V2: not enough money"),
    _network("05", C.DO_NOT_HONOR, "V4: do not honor"),
    _network("01 02 70", C.DO_NOT_HONOR, "V4: refer to the card's bank"),
    _network("63", C.DO_NOT_HONOR, "V3: security violation"),
    # Mastercard 79 (life cycle), 82 (policy), 83 (security) are decided by the advice code that comes with them.
    _network("79 82 83", C.DO_NOT_HONOR, "refused by the issuer's life-cycle, policy or security rule"),
    _network("21 85", C.ISSUER_SOFT, "no action taken", after(hours=24)),
    _network("62 78 9G", C.ISSUER_SOFT, "V2: restricted or blocked for now", after(days=3), asks=A.CONTACT_BANK),
    _network("04 07", C.LOST_STOLEN, "V1: pick up the card"),
    _network("41", C.LOST_STOLEN, "V1: lost card"),
    _network("43", C.LOST_STOLEN, "V1: stolen card"),
    _network("59 34", C.FRAUD, "V2: suspected fraud"),
    _network("14 15", C.CARD_DATA, "V1: no such card or issuer", hard=True),
    _network("55 71 P5 P6", C.CARD_DATA, "V3: incorrect PIN"),
    _network("N7 6P Q1", C.CARD_DATA, "V3: the card's data could not be verified"),
    _network("54 33", C.EXPIRED, "V3: expired card"),
    _network("46 39 52 53 76", C.ACCOUNT_CLOSED, "V1: closed or missing account"),
    _network("1A", C.AUTHENTICATION, "V3: additional customer authentication required"),
    _network("61 65 N4 N8", C.LIMIT_VELOCITY, "V2: over an amount or count limit"),
    _network("75 38", C.LIMIT_VELOCITY, "V2: too many wrong PINs", asks=A.CONTACT_BANK),
    _network("R0", C.REVOCATION, "V1: the cardholder stopped this payment"),
    _network("R1", C.REVOCATION, "V1: the cardholder revoked this authorisation"),
    _network("R3", C.REVOCATION, "V1: the cardholder revoked all authorisations"),
    _network("12 57", C.UNSUPPORTED, "V1: not permitted on this card"),
    _network("13 40 58 5C 93 B1 N3 R2", C.UNSUPPORTED, "this transaction is not permitted"),
    _network("03", C.TECHNICAL, "V2: merchant not accepted at that moment", after(hours=24)),
    _network("94", C.TECHNICAL, "duplicate transmission", after(hours=24)),
    _network("06 19 25 28 30 80 81 86 88 89 91 92 96 N0 Z3", C.TECHNICAL, "V2: the issuer or network was not working"),
    # --- Amex (ISO 8583:1993, three digits) ----------------------------------------------------------------------
    _network("116", C.INSUFFICIENT_FUNDS, "Amex: not enough money"),
    _network("100 107", C.DO_NOT_HONOR, "Amex: denied"),
    _network("121", C.LIMIT_VELOCITY, "Amex: over the limit"),
    _network("106", C.LIMIT_VELOCITY, "Amex: too many wrong PINs", asks=A.CONTACT_BANK),
    _network("101", C.EXPIRED, "Amex: expired card"),
    _network("111", C.CARD_DATA, "Amex: invalid account", hard=True),
    _network("117 122 125", C.CARD_DATA, "Amex: the card's data is wrong"),
    _network("130", C.AUTHENTICATION, "Amex: additional authentication required"),
    _network("187", C.CARD_DATA, "Amex: a new card was issued"),
    _network("200", C.LOST_STOLEN, "Amex: pick up the card"),
    _network("189 190 193 194", C.DO_NOT_HONOR, "Amex: denied by the issuer", after(days=3)),
    _network("109 110 115 119 183", C.UNSUPPORTED, "Amex: not permitted"),
    _network("181 909 911 912", C.TECHNICAL, "Amex: the issuer could not be reached"),
    # --- ACH returns (Nacha): R01 and R09 alone may be presented again without a new authorisation ----------------
    _network("R01 R09", C.INSUFFICIENT_FUNDS, "ACH: insufficient or uncollected funds", after(days=2)),
    _network("R02 R12 R14 R15", C.ACCOUNT_CLOSED, "ACH: account closed, sold, or its holder deceased"),
    _network("R03 R04 R13 R26 R28", C.CARD_DATA, "ACH: no such account", hard=True),
    _network("R05 R07 R08 R10 R11 R29 R51", C.REVOCATION, "ACH: not authorised, revoked or stopped"),
    _network("R16 R20", C.UNSUPPORTED, "ACH: the account is frozen or takes no debits"),
    _network("R06 R17 R18 R19 R21 R22 R23 R24 R27 R30 R31 R33 R34 R61", C.UNSUPPORTED,
             "ACH: returned for an administrative reason"),
    # --- SEPA Direct Debit reason codes --------------------------------------------------------------------------
    _network("AM04", C.INSUFFICIENT_FUNDS, "SEPA: insufficient funds", after(days=3)),
    _network("MS03", C.DO_NOT_HONOR, "SEPA: no reason given", after(days=3)),
    _network("AC01 BE01 BE05 RC01 RR01 RR02 RR03", C.CARD_DATA, "SEPA: the account's details are wrong", hard=True),
    _network("AC04 MD07", C.ACCOUNT_CLOSED, "SEPA: account closed or its holder deceased"),
    _network("AC06 AC13 AG01 AG02 RR04 SL01", C.UNSUPPORTED, "SEPA: the account does not take this debit"),
    _network("MD01 MD02 MD06 MS02", C.REVOCATION, "SEPA: no valid mandate, or refused or refunded by the debtor"),
    _network("AM05", C.TECHNICAL, "SEPA: duplicate collection", after(days=3)),
    _network("CNOR DNOR ED05 FF01 FF05 TM01", C.TECHNICAL, "SEPA: a bank could not process it", after(days=3)),
    # --- Bacs ARUDD reasons: only 0 may be presented again --------------------------------------------------------
    _network("0", C.INSUFFICIENT_FUNDS, "Bacs: refer to payer", after(days=3)),
    _network("1 6", C.REVOCATION, "Bacs: no instruction, or cancelled"),
    _network("2 3 5 B", C.ACCOUNT_CLOSED, "Bacs: account closed, moved, or its holder deceased"),
    _network("7 8 9 A", C.REVOCATION, "Bacs: the payer disputes amount or date", hard=False, asks=A.CONTACT_BANK),
)
# fmt: on
