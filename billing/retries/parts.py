"""Owns when a retry asks for a part only: lack of funds again and again, and an account whose terms allow it. Pure."""

from collections.abc import Iterable, Sequence

from billing.models import AttemptStatus, Invoice, PaymentAttempt, ProcessorAccount
from billing.money import display, step
from billing.retries.taxonomy import Category


def part_of(invoice: Invoice, account: ProcessorAccount, attempts: Sequence[PaymentAttempt]) -> int:
    """Minor units the next retry asks for in place of all that is left; 0 for all of it.

    Only invoices in the account's currency of parts are split, and only after `part_after` declines for lack of funds
    since money last came in. The part is the account's share, at least its floor, an amount the
    currency can be charged in, and always less than the whole.
    """
    balance = invoice.amount_due - invoice.amount_paid - invoice.amount_credited
    if not account.part_after or invoice.currency.upper() != account.part_currency.upper():
        return 0
    if lacking(attempts) < account.part_after:
        return 0
    part = max(balance * min(account.part_share, 99) // 100, account.part_floor)
    unit = step(invoice.currency)
    part = -(-part // unit) * unit
    return part if 0 < part < balance else 0


def refused(attempts: Iterable[PaymentAttempt]) -> list[PaymentAttempt]:
    """Those of an invoice's attempts (oldest first) that were declined since one was approved."""
    declined: list[PaymentAttempt] = []
    for attempt in attempts:
        if attempt.status == AttemptStatus.SUCCEEDED:
            declined.clear()
        elif attempt.status == AttemptStatus.DECLINED:
            declined.append(attempt)
    return declined


def lacking(attempts: Iterable[PaymentAttempt]) -> int:
    """How many of an invoice's attempts (oldest first) were declined for lack of funds since one was approved."""
    return sum(attempt.decline_category == Category.INSUFFICIENT_FUNDS for attempt in refused(attempts))


def part_words(invoice: Invoice, part: int, attempts: Sequence[PaymentAttempt]) -> str:
    """Why only a part is asked for, in one sentence."""
    asked, left = display(part, invoice.currency), display(invoice.balance, invoice.currency)
    return f"Only {asked} of {left}: {lacking(attempts)} declines for lack of funds."
