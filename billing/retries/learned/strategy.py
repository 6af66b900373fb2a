"""Owns the learned strategy: what it keeps of rows, and the first try of the best sequence that it proposes."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import numpy as np

from billing.retries.champion.learnable import PREPARED, Effect
from billing.retries.learned.belief import Belief
from billing.retries.learned.calendars import HOUR, local_hour
from billing.retries.learned.fitting import indexed, learn
from billing.retries.learned.habits import Floats, Habits
from billing.retries.learned.histories import Histories
from billing.retries.learned.hypotheses import Customer, Person
from billing.retries.learned.lately import Asked, Beliefs
from billing.retries.learned.scenarios import (
    hours_between,
    money_there,
    passes,
    unblocked,
    with_bank_hours,
    with_blocks,
    with_hidden_hours,
    with_surprises,
)
from billing.retries.learned.sequence import choose, evenly, met
from billing.retries.learned.words import beliefs, customer_told
from billing.retries.planner import Proposal, Question, asks_strategy, in_order, plan_with
from billing.retries.reading import moment
from billing.retries.taxonomy import Category
from billing.retries.types import PastAttempt, PlannedRetry, RetryContext, as_told

SCHEMA = 7
#: Charges that fitting looks at closely; a larger history is sampled by customer.
SAMPLED_ROWS = 32_000
#: The least time between two charges of an invoice.
MIN_GAP_HOURS = 12
#: What a try must add to the chance of the sequence to be worth making, and what a day sooner is worth.
COST = 0.01
DAILY_PATIENCE = 0.002
#: The share of futures of which nothing is believed, at least; it falls from all of them as rows come in.
LEAST_SURPRISE = 0.03
SURPRISED_BY = 300.0
#: How much likelier to succeed (given a live card) the sequence must be than even spreading, to be preferred to it.
WORTH_LEAVING_EVEN = 0.015
#: For contexts that do not tell their failure's; only customer, zone and invoice are read of them.
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_OF_MONEY = (Category.INSUFFICIENT_FUNDS, Category.LIMIT_VELOCITY)


class LearnedStrategy:
    """Learns pay calendars, banks' hours and cards' states from rows, and meets the money: see docs/retries.md."""

    name = "learned"

    def __init__(self) -> None:
        self.habits = Habits.flat()
        self._histories = Histories()
        self._amounts: dict[str, tuple[float, float]] = {}
        self._beliefs = Beliefs(4 * PREPARED)

    # Learning

    def fit(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Learn from history rows, in whatever order and however often each is told.

        Called again, it goes on from what it knows. Rows without a readable `at` are passed over.
        """
        known: dict[str, tuple[datetime, str, RetryContext]] = {}
        amounts: dict[str, set[tuple[str, datetime, float]]] = {}
        for row in rows:
            if moment(row.get("at")) is None:
                continue
            context = RetryContext.from_mapping({**row, "failed_at": row["at"]})
            customer = context.customer_id or f"invoice {context.invoice_id}"
            self._histories.add(customer, context.timezone, context.invoice_id, PastAttempt.from_mapping(row))
            told = (context.failed_at, context.invoice_id, context)
            known[customer] = min(known.get(customer, told), told, key=lambda one: one[:2])
            if context.amount is not None:
                charge = (context.invoice_id, context.failed_at, float(context.amount))
                amounts.setdefault(context.currency, set()).add(charge)
        for currency, charges in amounts.items():
            low, high = np.quantile([amount for _invoice, _at, amount in charges], [1 / 3, 2 / 3])
            self._amounts[currency] = (float(low), float(high))
        self._beliefs.clear()
        if known:
            contexts = {customer: known[customer][2] for customer in sorted(known)}
            self.habits = self._sized(list(contexts.values()))
            customers = self._sample(contexts)
            counted = len(customers) / len(contexts)
            self.habits = learn(customers, replace(self.habits, rows=self._histories.charges, counted=counted))

    def observe(self, context: RetryContext | Mapping[str, Any], attempt: PastAttempt | Mapping[str, Any]) -> None:
        """Take one outcome in as it arrives; the same one told twice counts once, one without customer or time not."""
        if isinstance(context, Mapping):
            failed = moment(context.get("failed_at")) or _ANY_TIME
            context = RetryContext.from_mapping({**context, "failed_at": failed})
        if isinstance(attempt, Mapping) and moment(attempt.get("at")) is None:
            return
        if context.customer_id:
            told = as_told(context, [attempt])[1][0]
            self._histories.add(context.customer_id, context.timezone, context.invoice_id, told)

    def save(self) -> bytes:
        """Everything learned, as a compressed file of plain arrays."""
        told = {"schema": SCHEMA, "habits": self.habits.as_data(), "amounts": self._amounts}
        file = io.BytesIO()
        text = np.frombuffer(json.dumps(told).encode(), np.uint8)
        np.savez_compressed(file, allow_pickle=False, told=text, **self._histories.as_arrays())
        return file.getvalue()

    def load(self, data: bytes) -> None:
        """Take the place of what was learned. Raises ValueError for data that save() did not make."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                told = json.loads(file["told"].tobytes())
                if told["schema"] != SCHEMA:
                    raise ValueError(f"The file is of schema {told['schema']}; this version reads {SCHEMA}.")
                habits = Habits.from_data(told["habits"])
                histories = Histories.from_arrays(file)
                amounts = {str(k): (float(low), float(high)) for k, (low, high) in told["amounts"].items()}
        except (OSError, EOFError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise ValueError(f"This is no model file: {error}") from error
        self.habits, self._histories, self._amounts = habits, histories, amounts
        self._beliefs.clear()

    def describe(self) -> list[Effect]:
        """What it believes of everybody."""
        return [Effect(topic, name, value) for topic, name, value in beliefs(self.habits)]

    # Planning

    def next_attempt(
        self,
        context: RetryContext | Mapping[str, Any],
        attempts: Sequence[PastAttempt | Mapping[str, Any]],
        now: datetime,
    ) -> datetime | None:
        """The next moment (UTC) to charge, or None to stop; `attempts` are the invoice's so far."""
        known, past = as_told(context, attempts)
        plan = plan_with(self, known, past, [], now)
        return plan.at if isinstance(plan, PlannedRetry) else None

    def next_attempts(
        self,
        asked: Iterable[tuple[RetryContext | Mapping[str, Any], Sequence[PastAttempt | Mapping[str, Any]], datetime]],
    ) -> list[datetime | None]:
        """As next_attempt(), for many: what is believed of their customers is worked out side by side."""
        found: list[datetime | None] = []
        questions = iter(asked)
        while batch := list(islice(questions, PREPARED)):
            told = [(*as_told(context, attempts), now) for context, attempts, now in batch]
            self.prepare([(c, in_order(c, past)) for c, past, now in told if asks_strategy(c, past, now)])
            found += [self.next_attempt(*question) for question in told]
        return found

    def prepare(self, asked: Sequence[tuple[RetryContext, Sequence[PastAttempt]]]) -> None:
        """Work out side by side what is believed of the customers of invoices that propose() is asked about next.

        The attempts are those of a question, oldest first. Of more than PREPARED the first may be forgotten again.
        """
        if self.habits.rows:
            self._beliefs.of([self._asked(context, attempts) for context, attempts in asked], self.habits)

    def min_gap(self, category: Category) -> timedelta:
        """The least time between two charges of one invoice."""
        return timedelta(hours=2 if category is Category.TECHNICAL else MIN_GAP_HOURS)

    def propose(self, question: Question) -> Proposal | None:
        """The first try of the best sequence from the question's earliest to its deadline."""
        if not self.habits.rows:
            return _evenly(question)
        context = question.context
        first = int(-(-question.earliest.timestamp() // HOUR))
        last = int(question.deadline.timestamp()) // HOUR
        if last < first:
            return Proposal(question.earliest, "the last chance before the window ends", "learned.last")
        person = self._person(context)
        belief = self._belief(question)
        utc, local = hours_between(first, last, context.timezone)
        chance = np.full(len(utc), 1 - belief.dead[0])
        step = int(utc[1] - utc[0]) if len(utc) > 1 else 1
        ahead = (first - question.previous.timestamp() / HOUR) / step
        there = with_surprises(money_there(belief, self.habits, local, utc), self._surprise(), round(ahead))
        there = with_blocks(with_bank_hours(there, belief, self.habits, person, local), belief, utc)
        there, weight = with_hidden_hours(there, local, _unexplained(question))
        patience = 1 - DAILY_PATIENCE * (utc - utc[0]) / 24
        tries = question.tries_left
        even = evenly(len(utc), tries, ahead)
        found = choose(there, weight, chance, tries, least_gap=-(-MIN_GAP_HOURS // step), cost=COST, patience=patience)
        gain = met(there, weight, chance, found) - met(there, weight, chance, even)
        if found and gain >= WORTH_LEAVING_EVEN * float(chance.max()):
            pattern, rule = f"{customer_told(belief)}; {len(found)} tries placed together", "learned.sequence"
        else:
            found, rule = even, "learned.even"
            pattern = f"{customer_told(belief)}; evenly spread, nothing better is known"
        at = datetime.fromtimestamp(int(utc[found[0]]) * HOUR, UTC)
        return Proposal(max(at, question.earliest), pattern, rule)

    def probability(self, question: Question, at: datetime) -> float:
        """The chance of approval at that moment, 0 to 1, whatever is planned after it."""
        person = self._person(question.context)
        belief = self._belief(question)
        utc = np.array([int(at.timestamp()) // HOUR])
        local = np.array([local_hour(at, question.context.timezone)])
        money = float(money_there(belief, self.habits, local, utc).mean())
        passing = float(passes(belief, self.habits, person, local)[0]) * unblocked(belief, int(utc[0]))
        foreseen = float(np.clip(money * passing, 0.001, 0.999))
        slope, step = self.habits.calibration
        return float(np.clip(1 / (1 + np.exp(-(slope * np.log(foreseen / (1 - foreseen)) + step))), 0.001, 0.999))

    def _belief(self, question: Question) -> Belief:
        """What is believed of the customer after everything charged so far."""
        return self._beliefs.of([self._asked(question.context, question.attempts)], self.habits)[0]

    def _asked(self, context: RetryContext, attempts: Sequence[PastAttempt]) -> Asked:
        before = self._histories.before(context.customer_id, min(a.at for a in attempts), context.invoice_id)
        return Asked(context, attempts, self._person(context), before)

    def _surprise(self) -> float:
        return max(LEAST_SURPRISE, SURPRISED_BY / (SURPRISED_BY + self.habits.rows))

    def _person(self, context: RetryContext) -> Person:
        habits = self.habits
        return Person(
            habits.countries.get(context.country, 0),
            habits.groups.get(self._group(context), 0),
            habits.banks.get(context.issuer, 0),
        )

    def _group(self, context: RetryContext) -> str:
        """Kind of card, and whether the amount is in the lower, middle or upper third of its currency."""
        third = 0
        if context.amount is not None and context.currency in self._amounts:
            low, high = self._amounts[context.currency]
            third = 1 + (context.amount > low) + (context.amount > high)
        return f"{context.funding}/{third}"

    def _sized(self, contexts: Sequence[RetryContext]) -> Habits:
        """The habits with room for every country, group and bank; new ones begin as everybody."""
        old = self.habits
        countries = indexed(sorted({c.country for c in contexts if c.country}), old.countries)
        groups = indexed(sorted({self._group(c) for c in contexts}), old.groups)
        banks = indexed(sorted({c.issuer for c in contexts if c.issuer}), old.banks)
        return replace(
            old,
            countries=countries,
            groups=groups,
            banks=banks,
            calendars=_grown(old.calendars, countries),
            hours=_grown(old.hours, countries),
            lasting=_grown(old.lasting, groups),
            random=_grown(old.random, groups),
            posting=_grown(old.posting, banks),
            refused=_grown(old.refused, banks),
            weekdays=_grown(old.weekdays, banks),
            refused_before=_grown(old.refused_before, banks),
            weekdays_before=_grown(old.weekdays_before, banks),
            moved=_grown(old.moved, banks),
            funds_spoken=_grown(old.funds_spoken, banks),
            noise_spoken=_grown(old.noise_spoken, banks),
        )

    def _sample(self, contexts: Mapping[str, RetryContext]) -> list[Customer]:
        """Whole customers, evenly chosen, with about SAMPLED_ROWS charges between them."""
        charges = {customer: self._histories.of(customer) for customer in contexts}
        step = max(1, -(-sum(len(c) for c in charges.values()) // SAMPLED_ROWS))
        return [Customer(self._person(contexts[c]), charges[c]) for c in list(contexts)[::step]]


def _grown(table: Floats, names: Mapping[str, int]) -> Floats:
    more = len(names) + 1 - len(table)
    return np.concatenate([table, np.repeat(table[:1], more, axis=0)]) if more > 0 else table


def _unexplained(question: Question) -> list[int]:
    """The local hours at which this invoice's charges were refused without a word of money."""
    return [
        local_hour(a.at, question.context.timezone)
        for a in question.attempts
        if not a.approved and a.verdict.category not in _OF_MONEY
    ]


def _evenly(question: Question) -> Proposal:
    """The next of all tries spread evenly over the window."""
    context = question.context
    step = (context.ends_at - context.failed_at) / max(1, context.max_attempts)
    at = context.failed_at.astimezone(UTC) + step * question.number
    return Proposal(max(at, question.earliest), "evenly spread until there is a history to learn from", "learned.even")
