"""Plays the charges of an invoice: the planner's own next moment, each declined as the last one was. Pure."""

import logging
from dataclasses import replace
from datetime import datetime

from billing.retries import STRATEGIES
from billing.retries.planner import Strategy, plan_with
from billing.retries.types import PastAttempt, PlannedRetry, Stop
from campaigns.simulator.types import RetryPlan

logger = logging.getLogger(__name__)


def next_charge(plan: RetryPlan, now: datetime) -> PlannedRetry | Stop:
    """When the invoice is charged next, as the retry loop would plan it at `now` (aware UTC)."""
    start = max(now, plan.not_before) if plan.not_before is not None else now
    if plan.strategy is not None:
        try:
            return _ask(plan, plan.strategy, start)
        except Exception:
            # A fitted model's own mistake may be of any kind; the loop has the rules plan in its place as well.
            logger.exception("%s cannot plan a charge; the rules plan it", plan.strategy.name)
    return _ask(plan, STRATEGIES["rules"](), start)


def _ask(plan: RetryPlan, strategy: Strategy, start: datetime) -> PlannedRetry | Stop:
    return plan_with(strategy, plan.context, plan.attempts, plan.card_history, start, card_declines=plan.card_declines)


def declined(plan: RetryPlan, at: datetime) -> RetryPlan:
    """The plan after one more charge at `at` was declined for the reason the last one was."""
    last = plan.attempts[-1] if plan.attempts else plan.context.first_decline
    attempts = plan.attempts or (last,)
    again: PastAttempt = replace(last, at=at, approved=False, origin="retry", fingerprint=plan.context.fingerprint)
    return plan._replace(attempts=(*attempts, again), card_history=(*plan.card_history, at))
