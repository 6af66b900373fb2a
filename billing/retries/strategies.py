"""Owns the strategies that need no learning: rules by decline category, and a fixed schedule.

A strategy is an object with `fit(rows)` and `next_attempt(context, attempts, now)`; it answers the planner's
questions (`min_gap`, `propose`, `probability`) and the planner keeps it within codes, counts and limits.
To add one, write its class and name it in `billing.retries.STRATEGIES`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from billing.retries.localtime import at_local, first_at_hour, payday, zone
from billing.retries.planner import Proposal, Question, plan_with
from billing.retries.taxonomy import Category
from billing.retries.types import PastAttempt, PlannedRetry, RetryContext, as_told

# The share of failed invoices a category is said to recover over a whole schedule. Aggregators' figures
# without a stated method (savemrr.co, getdunnai.com; middle of their ranges), so weak priors: good for
# ordering and for a cold start, to be replaced by what one's own history says. Categories without a figure
# take "generic" (0.45), unknown codes "do not honor" (0.35).
RECOVERY_PRIORS: Mapping[Category, float] = {
    Category.INSUFFICIENT_FUNDS: 0.65,
    Category.ISSUER_SOFT: 0.45,
    Category.DO_NOT_HONOR: 0.35,
    Category.TECHNICAL: 0.60,
    Category.LIMIT_VELOCITY: 0.45,
    Category.UNKNOWN: 0.35,
}


class _Unlearned(ABC):
    """What strategies without a model share."""

    name: str

    def fit(self, rows: Iterable[Mapping[str, Any]]) -> None:  # noqa: B027 (nothing is what it does)
        """Nothing to learn; takes any history so that all strategies are used alike."""

    def next_attempt(
        self,
        context: RetryContext | Mapping[str, Any],
        attempts: Sequence[PastAttempt | Mapping[str, Any]],
        now: datetime,
    ) -> datetime | None:
        """The next moment (UTC) to charge, or None to stop; `attempts` stand for the card's whole history."""
        known, past = as_told(context, attempts)
        plan = plan_with(self, known, past, [], now)
        return plan.at if isinstance(plan, PlannedRetry) else None

    def min_gap(self, category: Category) -> timedelta:
        """The least time between two charges of one invoice: two hours after an outage, a day otherwise."""
        return timedelta(hours=2) if category is Category.TECHNICAL else timedelta(hours=24)

    @abstractmethod
    def propose(self, question: Question) -> Proposal | None:
        """A moment not before the question's earliest, or None."""

    def probability(self, question: Question, at: datetime) -> float:
        """The chance of approval of one retry, 0 to 1.

        RECOVERY_PRIORS spread evenly over the schedule: with n tries at constant odds p, 1 - (1-p)^n is the
        category's recovery. Says nothing about the hour.
        """
        whole = RECOVERY_PRIORS.get(question.category, RECOVERY_PRIORS[Category.UNKNOWN])
        return float(1 - (1 - whole) ** (1 / max(1, question.context.max_attempts)))


class RuleStrategy(_Unlearned):
    """Moments by decline category, in the customer's local time.

    Insufficient funds waits for paydays; vague refusals come back after 1, 3, 5 and 7 days at changing hours;
    outages after hours, then daily; limits after a day, then longer. What is left of the count is spread over
    what is left of the window.
    """

    name = "rules"

    # Money that arrives at night is spent by noon: early, but after banks' night runs.
    PAYDAY_HOURS = (6, 7, 8)
    # Office hours first; a bank's rule that refuses one hour may pass another.
    VARIED_HOURS = (10, 14, 9, 18, 11, 16, 8, 12, 20, 13, 7, 17, 15, 19, 21, 6)
    SOFT_DAYS = (1, 3, 5, 7)
    DAILY_OUTAGES = 4

    def propose(self, question: Question) -> Proposal | None:
        """The category's next moment."""
        match question.category:
            case Category.INSUFFICIENT_FUNDS:
                return self._payday(question)
            case Category.TECHNICAL:
                return self._outage(question)
            case Category.LIMIT_VELOCITY:
                return self._limit(question)
            case _:
                return self._soft(question)

    def _payday(self, question: Question) -> Proposal:
        tz = zone(question.context.timezone)
        hour = self.PAYDAY_HOURS[(question.number - 1) % len(self.PAYDAY_HOURS)]
        pace = _pace(question)
        # A payday is worth waiting for, a monthly one longer, but not so long that tries stay unused at
        # the end.
        reach = {1: question.previous + pace * 1.5, 2: question.previous + pace * 2}
        moment = first_at_hour(question.earliest, hour, tz)
        best: tuple[int, datetime, str] | None = None
        while moment <= question.deadline and moment.date() <= reach[2].date():
            found = payday(moment.astimezone(tz).date())
            if found and moment.date() <= reach[found[0]].date() and (best is None or found[0] > best[0]):
                best = (found[0], moment, found[1])
            moment = _next_day(moment, hour, tz)
        if best is not None:
            return Proposal(best[1], f"payday pattern ({best[2]})", "rules.payday")
        even = max(question.earliest, question.previous + pace)
        return Proposal(first_at_hour(even, hour, tz), "no payday near, evenly spread", "rules.funds_even")

    def _outage(self, question: Question) -> Proposal:
        in_a_row = _run_length(question)
        if in_a_row <= 1:
            wait = timedelta(hours=2 + _spread(question.context.invoice_id, 5))
            at = max(question.earliest, question.previous + wait)
            return Proposal(at, "hours after an outage", "rules.outage_hours")
        if in_a_row <= self.DAILY_OUTAGES:
            at = self._on_day(question, question.previous + timedelta(days=1))
            return Proposal(at, "daily after an outage", "rules.outage_daily")
        at = self._on_day(question, question.previous + _pace(question))
        return Proposal(at, "a lasting outage, evenly spread", "rules.outage_even")

    def _limit(self, question: Question) -> Proposal:
        wait = min(max(timedelta(days=1), _pace(question)), timedelta(days=max(1, _run_length(question))))
        at = self._on_day(question, question.previous + wait)
        return Proposal(at, "a day or more after a card's limit", "rules.limit")

    def _soft(self, question: Question) -> Proposal:
        tz = zone(question.context.timezone)
        failed = question.context.failed_at
        if question.number > len(self.SOFT_DAYS):
            at = self._on_day(question, question.previous + _pace(question))
            return Proposal(at, "evenly spread over the rest of the window", "rules.soft_even")
        at = self._on_day(question, failed + timedelta(days=self.SOFT_DAYS[question.number - 1]))
        days = (at.astimezone(tz).date() - failed.astimezone(tz).date()).days
        return Proposal(at, f"day {days} after the failure", "rules.soft")

    def _on_day(self, question: Question, target: datetime) -> datetime:
        """A fresh local hour on the target's local day, or on the first day after it that still has one.

        Fresh means tried less than twice so far; once every hour is used up, the least used ones.
        """
        tz = zone(question.context.timezone)
        used = Counter(attempt.at.astimezone(tz).hour for attempt in question.attempts)
        turn = (question.number - 1) % len(self.VARIED_HOURS)
        order = self.VARIED_HOURS[turn:] + self.VARIED_HOURS[:turn]
        most = max(1, min(used[hour] for hour in order))
        fresh = [hour for hour in order if used[hour] <= most]
        day = max(target, question.earliest).astimezone(tz).date()
        while True:  # two turns at most: every hour of the day after the earliest lies after it
            moments = (at_local(day, hour, tz) for hour in fresh)
            found = next((moment for moment in moments if moment >= question.earliest), None)
            if found is not None:
                return found
            day += timedelta(days=1)


class FixedStrategy(_Unlearned):
    """A schedule of days after the first failure, at the failure's local hour: the market's usual way."""

    name = "fixed"

    def __init__(self, days: Sequence[int] = (3, 5, 7)) -> None:
        if not days or list(days) != sorted(set(days)) or days[0] < 1:
            raise ValueError("A fixed schedule needs rising days, the first at least 1.")
        self.days = tuple(days)

    def propose(self, question: Question) -> Proposal | None:
        """The next day of the schedule that has not passed; None after the last."""
        tz = zone(question.context.timezone)
        failed = question.context.failed_at.astimezone(tz)
        for day in self.days[question.number - 1 :]:
            at = at_local(failed.date() + timedelta(days=day), failed.hour, tz, failed.minute)
            if at >= question.earliest:
                return Proposal(at, f"day {day} of a fixed schedule", "fixed.day")
        return None


def _pace(question: Question) -> timedelta:
    """The even distance between the tries left, the last of them half a step before the deadline."""
    return max(timedelta(0), question.deadline - question.previous) / (question.tries_left + 0.5)


def _run_length(question: Question) -> int:
    """How many of the last attempts in a row were declined for the same category as the last one."""
    run = 0
    for attempt in reversed(question.attempts):
        if attempt.approved or attempt.verdict.category is not question.category:
            break
        run += 1
    return run


def _next_day(moment: datetime, hour: int, tz: ZoneInfo) -> datetime:
    return at_local(moment.astimezone(tz).date() + timedelta(days=1), hour, tz)


def _spread(text: str, choices: int) -> int:
    """A number below `choices`, always the same for the same text (hash() is not, between processes)."""
    return sum(text.encode()) % choices
