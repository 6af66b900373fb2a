"""Owns bank debits: accounts at banks, what their schemes call a refusal, and how long an answer takes.

A debit is ordered, not asked: its charge is pending until the bank answers, days later (`debit_answers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .cards import Decline
from .errors import bad_request
from .issuers import DAY
from .params import Params
from .store import Obj
from .world import World


@dataclass(frozen=True)
class Scheme:
    """A debit scheme: days until the bank answers, and its reason codes with Stripe's word for each.

    ``tests`` are endings of Stripe's test account numbers, with what their bank answers.
    """

    days: int
    returns: Mapping[str, str]
    tests: Mapping[str, str]


SCHEMES: Mapping[str, Scheme] = {
    "us_bank_account": Scheme(
        4,
        {
            "R01": "insufficient_funds",
            "R02": "account_closed",
            "R03": "no_account",
            "R04": "invalid_account_number",
            "R07": "debit_not_authorized",
            "R08": "debit_not_authorized",
            "R09": "insufficient_funds",
            "R10": "debit_not_authorized",
            "R16": "bank_account_restricted",
            "R20": "bank_account_restricted",
            "R29": "debit_not_authorized",
        },
        {"111111113": "R02", "111111116": "R03", "222222227": "R01", "333333335": "R10"},
    ),
    "sepa_debit": Scheme(
        5,
        {
            "AC01": "invalid_account_number",
            "AC04": "account_closed",
            "AC06": "bank_account_restricted",
            "AM04": "insufficient_funds",
            "MD01": "debit_not_authorized",
            "MD07": "recipient_deceased",
            "MS02": "debit_not_authorized",
            "MS03": "generic_decline",
        },
        {"2222227": "AM04", "3013001": "MS03", "3473202": "MS03"},
    ),
    "bacs_debit": Scheme(
        3,
        {"0": "insufficient_funds", "1": "debit_not_authorized", "2": "account_closed", "B": "account_closed"},
        {"222222227": "0", "333333335": "1"},
    ),
}
#: Where the bank's code stands in an IBAN.
_BANK_IN_IBAN = {"AT": (4, 9), "BE": (4, 7), "DE": (4, 12), "ES": (4, 8), "FR": (4, 9), "IT": (5, 10), "NL": (4, 8)}


def account_details(world: World, kind: str, params: Params) -> tuple[str, Obj]:
    """The number of an account at a bank as a request gives it, and what Stripe shows of it."""
    given = params.child(kind)
    if kind == "sepa_debit":
        number = given.need("iban").replace(" ", "").upper()
        _check_iban(number)
        start, end = _BANK_IN_IBAN.get(number[:2], (4, 8))
        shown: Obj = {
            "bank_code": number[start:end],
            "branch_code": "",
            "country": number[:2],
            "generated_from": {"charge": None, "setup_attempt": None},
        }
    else:
        number = given.need("account_number")
        if not number.isdigit():
            raise bad_request("The account number is not valid.", param=f"{kind}[account_number]")
        if kind == "bacs_debit":
            shown = {"sort_code": given.need("sort_code")}
        else:
            shown = {
                "account_holder_type": given.text("account_holder_type", "individual"),
                "account_type": given.text("account_type", "checking"),
                "bank_name": "STRIPE TEST BANK",
                "financial_connections_account": None,
                "networks": {"preferred": "ach", "supported": ["ach"]},
                "routing_number": given.need("routing_number"),
                "status_details": {},
            }
    return number, shown | {"last4": number[-4:]}


def _check_iban(number: str) -> None:
    digits = "".join(str(int(sign, 36)) for sign in number[4:] + number[:4] if sign.isalnum())
    if len(number) < 15 or not number.isalnum() or int(digits) % 97 != 1:
        raise bad_request("The IBAN you provided is invalid.", param="sepa_debit[iban]", code="invalid_iban")


def answer_of_test_account(kind: str, number: str) -> str | None:
    """What the bank of one of Stripe's test accounts answers; None approves."""
    return next((code for ending, code in SCHEMES[kind].tests.items() if number.endswith(ending)), None)


def answers_at(world: World, method: Obj) -> int:
    """When the bank of an account will have answered a debit ordered now, seconds UTC."""
    days = world.secret(method["id"])["options"].get("answers_after", SCHEMES[method["type"]].days)
    return world.now() + int(float(days) * DAY)


def refusal(kind: str, answer: str) -> Decline:
    """How a refused debit is told: Stripe's word, and the scheme's own code where the bank answered by one."""
    word = SCHEMES[kind].returns.get(answer)
    code = word or answer
    return Decline(code, answer if word else None, None, None, f"The bank returned the debit ({answer}).", code)


def charge_details(world: World, method: Obj) -> Obj:
    """What a charge tells of the account it debits."""
    shown = {name: value for name, value in method[method["type"]].items() if name not in _NOT_ON_CHARGES}
    return shown | {"expected_debit_date": None, "mandate": f"mandate_{world.token(method['id'], 'mandate')}"}


_NOT_ON_CHARGES = frozenset({"financial_connections_account", "generated_from", "networks", "status_details"})
