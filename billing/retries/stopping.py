"""Owns what ends an invoice's retries whatever a strategy would say: it is paid, its codes, the law, window and count.

Pure, like the planner that asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from billing.retries.binding import final_verdict
from billing.retries.debits import debit_refusal, mandate_refusal
from billing.retries.declines import AsksFor, DeclineVerdict
from billing.retries.taxonomy import Category
from billing.retries.types import PastAttempt, RetryContext, Stop


def stopped(
    context: RetryContext,
    attempts: Sequence[PastAttempt],
    own: Sequence[PastAttempt],
    binding: Sequence[PastAttempt],
    now: datetime,
) -> Stop | None:
    """What ends the retries whatever a strategy would say."""
    return _final(attempts, own, binding) or _unlawful(context, own, now) or _spent(context, attempts, now)


def of_card(
    context: RetryContext, attempts: Sequence[PastAttempt], card_declines: Sequence[PastAttempt]
) -> tuple[list[PastAttempt], list[PastAttempt]]:
    """The invoice's attempts on the credential charged now, and the declines of any invoice that bind it."""
    own = [attempt for attempt in attempts if same_credential(context, attempt)]
    return own, [attempt for attempt in (*card_declines, *own) if not attempt.approved]


def _final(attempts: Sequence[PastAttempt], own: Sequence[PastAttempt], binding: Sequence[PastAttempt]) -> Stop | None:
    """Stop when the invoice is paid, the credential ever met a hard code, or its last code forbids it."""
    if attempts[-1].approved and not attempts[-1].part:
        return Stop("The last charge was approved.", "attempt.approved")
    verdict = final_verdict(own, binding)
    if verdict is None:
        return None
    return Stop(verdict.reason, f"decline.{verdict.category}", verdict.asks_for, verdict.category)


def _unlawful(context: RetryContext, own: Sequence[PastAttempt], now: datetime) -> Stop | None:
    """Stop where a scheme or a law wants something else than another try: see debits.py."""
    refused = mandate_refusal(context.card_country, context.amount, context.currency, now)
    if refused is not None:
        return Stop(refused, "mandate.limit", AsksFor.AUTHENTICATE, Category.AUTHENTICATION)
    refused = debit_refusal(context.brand, own[-1].verdict.category) if own else None
    return Stop(refused, "debit.reason") if refused is not None else None


def _spent(context: RetryContext, attempts: Sequence[PastAttempt], now: datetime) -> Stop | None:
    if now >= context.ends_at:
        return Stop(f"The retry window ended on {context.ends_at:%Y-%m-%d %H:%M} UTC.", "window.closed")
    used = retries_used(attempts)
    if used >= context.max_attempts:
        return Stop(f"All {context.max_attempts} retries are used.", "count.spent")
    return None


def with_advice(stop: Stop, verdict: DeclineVerdict | None, category: Category) -> Stop:
    """The same stop with what the last decline asks of the customer, where the stop itself does not say."""
    if stop.category is not None or verdict is None:
        return stop
    return replace(stop, asks_for=verdict.asks_for, category=category)


def retries_used(attempts: Sequence[PastAttempt]) -> int:
    """Retries after the first failure; what the customer tried on-session does not use one up."""
    return sum(attempt.origin != "customer" for attempt in attempts[1:])


def same_credential(context: RetryContext, attempt: PastAttempt) -> bool:
    """Whether an attempt's codes speak of the credential charged now; unknown counts as the same."""
    return not context.fingerprint or attempt.fingerprint in ("", context.fingerprint)
