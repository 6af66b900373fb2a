"""Plays the charges of an invoice: the planner's own next moment, each declined as the last one was. Pure."""

from dataclasses import replace
from datetime import datetime

from billing.retries.planner import plan_next
from billing.retries.types import PastAttempt, PlannedRetry, Stop
from campaigns.simulator.types import RetryPlan


def next_charge(plan: RetryPlan, now: datetime) -> PlannedRetry | Stop:
    """When the invoice is charged next, as the retry loop would plan it at `now` (aware UTC)."""
    start = max(now, plan.not_before) if plan.not_before is not None else now
    return plan_next(
        plan.context,
        plan.attempts,
        plan.card_history,
        start,
        plan.strategy,
        card_declines=plan.card_declines,
    )


def declined(plan: RetryPlan, at: datetime) -> RetryPlan:
    """The plan after one more charge at `at` was declined for the reason the last one was."""
    last = plan.attempts[-1] if plan.attempts else plan.context.first_decline
    attempts = plan.attempts or (last,)
    again: PastAttempt = replace(last, at=at, approved=False, origin="retry", fingerprint=plan.context.fingerprint)
    return plan._replace(attempts=(*attempts, again), card_history=(*plan.card_history, at))
