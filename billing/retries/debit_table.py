"""Owns the rows of bank debits in the decline table: ACH returns, SEPA reason codes, Bacs reports.

A mandate or account that is finished is `hard`; a mistake in what was sent forbids the same debit, not the account.
Bacs uses one alphabet for three reports: plain codes are ARUDD's (an unpaid debit), the others carry their report's
name ("ADDACS-1": the payer's bank cancelled the instruction).
"""

# ruff: noqa: E501  (a table is read by the row)

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import chain

from billing.retries.code_rule import CodeRule, rows
from billing.retries.taxonomy import ALLOWED, AsksFor, Category, after

C, A = Category, AsksFor

_ach = partial(rows, "nacha", "network")
_sepa = partial(rows, "sepa", "network")
_bacs = partial(rows, "bacs", "network")


# fmt: off
def rows_of_debits() -> Iterable[CodeRule]:
    """All rows of bank debits, of the family `network`."""
    return chain(
        # --- ACH returns: R01 and R09 alone may be presented again without a new authorisation ---------------------
        _ach("R01 R09", C.INSUFFICIENT_FUNDS, "ACH: insufficient or uncollected funds", after(days=2)),
        _ach("R02 R12 R14 R15", C.ACCOUNT_CLOSED, "ACH: account closed, sold, or its holder deceased"),
        _ach("R03 R04 R13 R26 R28", C.CARD_DATA, "ACH: no such account", hard=True),
        _ach("R05 R07 R08 R10 R11 R29 R38 R51 R52", C.REVOCATION, "ACH: not authorised, revoked or stopped"),
        _ach("R16 R20", C.UNSUPPORTED, "ACH: the account is frozen or takes no debits"),
        _ach("R06 R17 R18 R19 R21 R22 R23 R24 R25 R27 R30 R31 R32 R33 R34 R35 R36 R37 R39 R50 R53 R61", C.UNSUPPORTED,
             "ACH: returned for an administrative reason", hard=False),
        _ach("R40 R41 R42 R43 R44 R45 R46 R47", C.UNSUPPORTED, "ACH: a federal enrolment was returned", hard=False),
        _ach("R62 R67 R68 R69 R70 R71 R72 R73 R74 R75 R76 R77", C.UNSUPPORTED, "ACH: a return is disputed", hard=False),
        _ach("R80 R81 R82 R83 R84 R85", C.UNSUPPORTED, "ACH: an international entry could not be settled", hard=False),
        # --- SEPA direct debit --------------------------------------------------------------------------------------
        _sepa("AM04", C.INSUFFICIENT_FUNDS, "SEPA: insufficient funds", after(days=3)),
        _sepa("MS03", C.DO_NOT_HONOR, "SEPA: no reason given", after(days=3)),
        _sepa("AC01 AC02 BE01 BE04 BE05 BE06 BE07 RC01 RR01 RR02 RR03", C.CARD_DATA, "SEPA: the account's details are wrong", hard=True),
        _sepa("AC04 AC05 AC07 MD07", C.ACCOUNT_CLOSED, "SEPA: account closed or its holder deceased"),
        _sepa("AC06 AC13 AG01 AG02 RR04 SL01", C.UNSUPPORTED, "SEPA: the account does not take this debit"),
        _sepa("AM01 AM02 AM03 AM06 AM09 AM10 MD05", C.UNSUPPORTED, "SEPA: the amount, currency or day does not fit", hard=False),
        _sepa("MD01 MD02 MD06 MS02 DS02", C.REVOCATION, "SEPA: no valid mandate, or refused or refunded by the debtor"),
        _sepa("FRAD", C.FRAUD, "SEPA: suspected fraud"),
        _sepa("AM05 DUPL", C.TECHNICAL, "SEPA: duplicate collection", after(days=3)),
        _sepa("CNOR DNOR DT01 ED01 ED03 ED05 FF01 FF03 FF04 FF05 MD03 TM01", C.TECHNICAL, "SEPA: a bank could not process it", after(days=3)),
        # --- Bacs ARUDD: only 0 may be presented again --------------------------------------------------------------
        _bacs("0", C.INSUFFICIENT_FUNDS, "Bacs: refer to payer", after(days=3)),
        _bacs("1 6", C.REVOCATION, "Bacs: no instruction, or cancelled"),
        _bacs("2 3 5 B", C.ACCOUNT_CLOSED, "Bacs: account closed, moved, or its holder deceased"),
        _bacs("4 7 8 9 A", C.REVOCATION, "Bacs: the payer disputes amount or date", hard=False, asks=A.CONTACT_BANK),
        # --- Bacs ADDACS: what became of an instruction that stood --------------------------------------------------
        _bacs("ADDACS-0 ADDACS-1", C.REVOCATION, "Bacs: the instruction was cancelled"),
        _bacs("ADDACS-2 ADDACS-B", C.ACCOUNT_CLOSED, "Bacs: account closed, or its holder deceased"),
        _bacs("ADDACS-3 ADDACS-C ADDACS-E", C.CARD_DATA, "Bacs: the account moved; its new details are needed"),
        _bacs("ADDACS-D", C.REVOCATION, "Bacs: the payer disputes the advance notice", hard=False, asks=A.CONTACT_BANK),
        _bacs("ADDACS-R", C.ISSUER_SOFT, "Bacs: the instruction stands again", ALLOWED),
        # --- Bacs AUDDIS: an instruction that was not accepted ------------------------------------------------------
        _bacs("AUDDIS-1 AUDDIS-6 AUDDIS-H AUDDIS-K", C.REVOCATION, "Bacs: the instruction was cancelled or has lapsed"),
        _bacs("AUDDIS-2 AUDDIS-B", C.ACCOUNT_CLOSED, "Bacs: account closed, or its holder deceased"),
        _bacs("AUDDIS-3 AUDDIS-C", C.CARD_DATA, "Bacs: the account moved; its new details are needed"),
        _bacs("AUDDIS-5 AUDDIS-F AUDDIS-L", C.CARD_DATA, "Bacs: the account's details are wrong", hard=True),
        _bacs("AUDDIS-G AUDDIS-N", C.UNSUPPORTED, "Bacs: the account takes no direct debits"),
        _bacs("AUDDIS-I AUDDIS-M AUDDIS-O AUDDIS-P AUDDIS-Q", C.UNSUPPORTED, "Bacs: a mistake in the instruction sent", hard=False),
    )
# fmt: on
