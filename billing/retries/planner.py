"""Owns the planning of one retry: what binds every strategy, and the sentence that explains the choice.

A strategy only proposes moments. Whether there may be a retry at all (final codes, count, window), the
waits that banks impose and the networks' limits are decided here, so that no strategy can break them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from billing.retries import STRATEGIES, limits
from billing.retries.binding import wait_of
from billing.retries.debits import not_before
from billing.retries.localtime import in_words
from billing.retries.stopping import of_card, retries_used, same_credential, stopped, with_advice
from billing.retries.taxonomy import VAGUE, Category
from billing.retries.types import PastAttempt, PlannedRetry, RetryContext, Stop

MAX_JITTER_SECONDS = 300
# A moment pushed by a limit is proposed anew; each turn moves past one full window, so few are ever needed.
_MAX_TURNS = 12
# Nobody plans further ahead, however long the window: strategies weigh every hour up to there.
_HORIZON = timedelta(days=366)
_LAST_CHANCE = timedelta(hours=1)
#: Of a charge on a method never tried for the invoice.
NEW_METHOD_RULE = "method.new"
_NEW_METHOD = ("a new payment method, tried at once", NEW_METHOD_RULE)
_OTHER_METHOD = ("another stored payment method, tried at once", "method.other")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A strategy's moment (UTC), the pattern it follows in words, and the dotted id of its rule."""

    at: datetime
    pattern: str
    rule: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a strategy is asked: the best moment from `earliest` to `deadline`.

    `number` is that of this retry, from 1; `previous` is the moment of the last attempt; `tries_left` counts
    this retry too; all moments are UTC.
    """

    context: RetryContext
    attempts: Sequence[PastAttempt]
    category: Category
    number: int
    tries_left: int
    previous: datetime
    earliest: datetime
    deadline: datetime


class Strategy(Protocol):
    """Anything that proposes moments; see strategies.py."""

    name: str

    def min_gap(self, category: Category) -> timedelta:
        """The least time between two charges of one invoice."""

    def propose(self, question: Question) -> Proposal | None:
        """A moment not before `earliest`, or None for no further retry."""

    def probability(self, question: Question, at: datetime) -> float:
        """The chance of approval at that moment, 0 to 1."""


def plan_next(
    context: RetryContext,
    attempts: Sequence[PastAttempt],
    card_history: Sequence[datetime],
    now: datetime,
    strategy: str = "rules",
    *,
    card_declines: Sequence[PastAttempt] = (),
    card_planned: Sequence[datetime] = (),
) -> PlannedRetry | Stop:
    """When to charge the invoice next, or why not to.

    `attempts` are this invoice's, oldest first; empty means only the context's first decline. `card_history`
    holds the moments of all attempts on the card, across invoices (those of `attempts` may be among them);
    `card_declines` are declined attempts on the same card for other invoices: their hard codes and waits bind
    this one too; `card_planned` are the moments at which other invoices are going to be charged on it.
    The answer is later than `now` (for a new method it may be `now` itself), not after the context's end, and the
    same for the same input.
    Raises KeyError for an unknown strategy and ValueError for a naive `now`.
    """
    return plan_with(
        STRATEGIES[strategy](),
        context,
        attempts,
        card_history,
        now,
        card_declines=card_declines,
        card_planned=card_planned,
    )


def plan_with(
    strategy: Strategy,
    context: RetryContext,
    attempts: Sequence[PastAttempt],
    card_history: Sequence[datetime],
    now: datetime,
    *,
    card_declines: Sequence[PastAttempt] = (),
    card_planned: Sequence[datetime] = (),
) -> PlannedRetry | Stop:
    """As plan_next(), with a strategy object at hand."""
    if now.tzinfo is None:
        raise ValueError(f"now must be aware; {now} has no time zone.")
    now = now.astimezone(UTC)
    attempts = in_order(context, attempts)
    own, binding = of_card(context, attempts, card_declines)

    number = 1 + retries_used(attempts)
    verdict = own[-1].verdict if own else None
    category = _category(own)
    stop = stopped(context, attempts, own, binding, now)
    if stop is not None:
        return with_advice(stop, verdict, category)
    question = Question(
        context=context,
        attempts=attempts,
        category=category,
        number=number,
        tries_left=context.max_attempts - number + 1,
        previous=attempts[-1].at.astimezone(UTC),
        earliest=_earliest(strategy, context, category, attempts if own else (), binding, now),
        deadline=_deadline(context, own, now),
    )
    found = _search(strategy, question, card_history, own, card_planned)
    if isinstance(found, Stop):
        return with_advice(found, verdict, category)
    proposal, limit = found
    left = f"{question.tries_left} {'try' if question.tries_left == 1 else 'tries'} left"
    told = category.value.replace("_", " ")
    when = in_words(proposal.at, context.timezone, now)
    return PlannedRetry(
        at=proposal.at,
        probability=strategy.probability(question, proposal.at),
        strategy=strategy.name,
        explanation=f"{when}: {proposal.pattern}, {told}, {left}." if own else f"{when}: {proposal.pattern}.",
        reasons=(
            proposal.pattern,
            verdict.reason if verdict else "never tried on this invoice",
            limit.sentence,
        ),
        rule=proposal.rule,
    )


def in_order(context: RetryContext, attempts: Sequence[PastAttempt]) -> list[PastAttempt]:
    """The attempts as a strategy is asked about them: oldest first; without any, the context's first decline."""
    return sorted(attempts, key=lambda attempt: attempt.at) or [context.first_decline]


def asks_strategy(
    context: RetryContext,
    attempts: Sequence[PastAttempt],
    now: datetime,
    *,
    card_declines: Sequence[PastAttempt] = (),
) -> bool:
    """Whether plan_with() would ask the strategy at all, or stop before; arguments as there."""
    attempts = in_order(context, attempts)
    own, binding = of_card(context, attempts, card_declines)
    return stopped(context, attempts, own, binding, now.astimezone(UTC)) is None


def question_at(context: RetryContext, attempts: Sequence[PastAttempt], at: datetime) -> Question:
    """What a strategy would have been asked about a charge made at `at`, with `attempts` before it, oldest first.

    For judging predictions: no rule is asked, the moment is given. Raises IndexError without attempts.
    """
    own = [attempt for attempt in attempts if same_credential(context, attempt)]
    number = 1 + retries_used(attempts)
    return Question(
        context=context,
        attempts=attempts,
        category=_category(own),
        number=number,
        tries_left=max(1, context.max_attempts - number + 1),
        previous=attempts[-1].at.astimezone(UTC),
        earliest=at,
        deadline=max(context.ends_at, at),
    )


def _search(
    strategy: Strategy,
    question: Question,
    card_history: Sequence[datetime],
    own: Sequence[PastAttempt],
    planned: Sequence[datetime],
) -> tuple[Proposal, limits.LimitVerdict] | Stop:
    """The strategy's first moment that every limit allows, with its jitter; or why there is none."""
    # Somebody may be waiting for what comes of their new card; there is no crowd of those to spread.
    jitter = _jitter(question.context.invoice_id, question.number) if own else timedelta(0)
    invoice_history = [attempt.at for attempt in own]
    # The card's may hold this invoice's, so those are not added twice; two charges of one second are two.
    history = sorted((Counter(card_history) | Counter(invoice_history)).elements())
    for _turn in range(_MAX_TURNS):
        if question.earliest > question.deadline:
            return Stop("The next allowed moment is after the retry window ends.", "window.closed")
        untried = _OTHER_METHOD if question.context.other_method else _NEW_METHOD
        proposal = strategy.propose(question) if own else Proposal(question.earliest, *untried)
        if proposal is None:
            return Stop("The schedule has no further retry.", "schedule.over")
        if proposal.at > question.deadline:
            late = max(question.earliest, question.deadline - _LAST_CHANCE)
            proposal = Proposal(late, "the last chance before the window ends", "window.last_chance")
        at = min(max(proposal.at, question.earliest) + jitter, question.deadline)
        verdict = limits.check(
            brand=question.context.brand,
            history=history,
            now=at,
            invoice_history=invoice_history,
            profile=question.context.limit_profile,
            coming=planned,
        )
        if verdict.not_before is None:
            return replace(proposal, at=at), verdict
        if verdict.not_before > question.deadline:
            return Stop(verdict.sentence, f"limit.{verdict.rule}")
        question = replace(question, earliest=verdict.not_before)
    return Stop("No moment within the networks' limits was found.", "limit.none_found")


def _category(own: Sequence[PastAttempt]) -> Category:
    """The last decline's category; lack of funds, if named before, also stands behind a vague refusal."""
    categories = [attempt.verdict.category for attempt in reversed(own) if not attempt.approved]
    if not categories:
        return Category.UNKNOWN
    if categories[0] in VAGUE and Category.INSUFFICIENT_FUNDS in categories:
        return Category.INSUFFICIENT_FUNDS
    return categories[0]


def _earliest(
    strategy: Strategy,
    context: RetryContext,
    category: Category,
    attempts: Sequence[PastAttempt],
    binding: Sequence[PastAttempt],
    now: datetime,
) -> datetime:
    """The first moment allowed by all declines on this credential, the strategy's gap, its scheme and the law."""
    floors = [now + timedelta(seconds=1) if attempts else now]
    floors += [wait.until for wait in [wait_of(binding)] if wait is not None]
    last = attempts[-1].at if attempts else None
    if last is not None:
        floors.append(last + strategy.min_gap(category))
    floors.append(
        not_before(
            brand=context.brand,
            card_country=context.card_country,
            last=last,
            now=now,
            debit_notice=context.debit_notice,
        )
    )
    return max(floors).astimezone(UTC)


def _deadline(context: RetryContext, own: Sequence[PastAttempt], now: datetime) -> datetime:
    """The end of the window, or of the time in which a bank debit's scheme lets it be presented again."""
    scheme = limits.last_presentation(context.brand, [attempt.at for attempt in own], now)
    return min(context.ends_at, now + _HORIZON, scheme or context.ends_at)


def _jitter(invoice_id: str, number: int) -> timedelta:
    """Spreads charges planned for one hour, by 0 to 300 seconds; the same for the same invoice and retry."""
    digest = hashlib.blake2b(f"{invoice_id}:{number}".encode(), digest_size=8).digest()
    return timedelta(seconds=int.from_bytes(digest, "big") % (MAX_JITTER_SECONDS + 1))
