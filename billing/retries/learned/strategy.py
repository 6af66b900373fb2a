"""Owns the learned strategy: it reads rows, keeps what was learned, and proposes the first try of the best sequence."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from billing.retries.learned.belief import Belief, Charges, Person, begin, coarse, refined, take_in
from billing.retries.learned.calendars import HOUR, local_hour
from billing.retries.learned.fitting import Customer, indexed, learn
from billing.retries.learned.habits import APPROVED, Habits, code_group
from billing.retries.learned.scenarios import choose, evenly, hours_between, met, money_there, passes, with_hidden_hours, with_surprises
from billing.retries.planner import Proposal, Question, plan_with
from billing.retries.taxonomy import Category
from billing.retries.types import PastAttempt, PlannedRetry, RetryContext

#: Charges of one customer that are looked back on.
LOOK_BACK = 64
SAMPLED_ROWS = 24_000
COST = 0.001
#: How much more likely (given a live card) the sequence must be to succeed than even spreading, to be preferred to it.
WORTH_LEAVING_EVEN = 0.05
DAILY_PATIENCE = 0.002
_KEPT_BELIEFS = 256


class LearnedStrategy:
    """Meets the money: see the package's modules for how."""

    name = "learned"

    def __init__(self) -> None:
        self.habits = Habits.flat()
        self._rows: dict[str, list[tuple[int, int, int, str]]] = {}
        self._persons: dict[str, Person] = {}
        self._beliefs: OrderedDict[tuple[str, str, int], Belief] = OrderedDict()
        self._amounts: dict[str, tuple[float, float]] = {}

    def fit(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Learn from history rows; called again, it goes on from what it knows."""
        amounts: dict[str, list[float]] = {}
        facts: list[tuple[Mapping[str, Any], str]] = []
        for row in rows:
            customer = str(row.get("customer_id") or "")
            if not customer or row.get("at") is None:
                continue
            facts.append((row, customer))
            if row.get("amount") is not None:
                amounts.setdefault(str(row.get("currency") or ""), []).append(float(row["amount"]))
        for currency, known in amounts.items():
            low, high = np.quantile(known, [1 / 3, 2 / 3])
            self._amounts[currency] = (float(low), float(high))
        context_of: dict[str, RetryContext] = {}
        for row, customer in facts:
            self._add(customer, row)
            if customer not in context_of:
                context_of[customer] = RetryContext.from_mapping({**row, "failed_at": row["at"]})
        names = list(context_of.values())
        self.habits = self._sized(names)
        for customer, context in context_of.items():
            self._persons[customer] = self._person(context)
            self._rows[customer].sort()
        self._beliefs.clear()
        sample = self._sample(list(context_of))
        if sample:
            self.habits = learn(sample, replace(self.habits, rows=self.habits.rows + len(facts)))

    def observe(self, context: RetryContext | Mapping[str, Any], attempt: PastAttempt | Mapping[str, Any]) -> None:
        """Take one outcome in as it arrives."""
        if not isinstance(context, RetryContext):
            context = RetryContext.from_mapping(context)
        told = attempt if isinstance(attempt, PastAttempt) else PastAttempt.from_mapping(attempt)
        if context.customer_id:
            self._insert(context.customer_id, context.timezone, context.invoice_id, told)

    def next_attempt(
        self,
        context: RetryContext | Mapping[str, Any],
        attempts: Sequence[PastAttempt | Mapping[str, Any]],
        now: datetime,
    ) -> datetime | None:
        """The next moment (UTC) to charge, or None to stop."""
        if not isinstance(context, RetryContext):
            context = RetryContext.from_mapping(context)
        past = [a if isinstance(a, PastAttempt) else PastAttempt.from_mapping(a) for a in attempts]
        plan = plan_with(self, context, past, [], now)
        return plan.at if isinstance(plan, PlannedRetry) else None

    def next_attempts(
        self, asked: Iterable[tuple[RetryContext | Mapping[str, Any], Sequence[PastAttempt | Mapping[str, Any]], datetime]]
    ) -> list[datetime | None]:
        """As next_attempt(), for many."""
        return [self.next_attempt(*question) for question in asked]

    def min_gap(self, category: Category) -> timedelta:
        """The least time between two charges of one invoice."""
        return timedelta(hours=MIN_GAP)

    def propose(self, question: Question) -> Proposal | None:
        """The first try of the best sequence from the question's earliest to its deadline."""
        context = question.context
        person = self._person(context)
        if not self.habits.rows:
            return _evenly(question)
        belief = self._belief(question, person)
        first = int(-(-question.earliest.timestamp() // HOUR))
        last = int(question.deadline.timestamp()) // HOUR
        if last < first:
            return None
        utc, local = hours_between(first, last, context.timezone)
        chance = passes(belief, self.habits, person, local, utc)
        there = with_surprises(money_there(belief, self.habits, local, utc), self._surprise())
        patience = 1 - DAILY_PATIENCE * (utc - utc[0]) / 24
        step = int(utc[1] - utc[0]) if len(utc) > 1 else 1
        there, weight = with_hidden_hours(there, local, self._unexplained(question))
        tries = question.tries_left
        found = choose(there, weight, chance, tries, least_gap=-(-MIN_GAP // step), cost=COST, patience=patience)
        even = evenly(len(utc), tries, (int(utc[0]) - question.previous.timestamp() / HOUR) / step)
        gain = met(there, weight, chance, found) - met(there, weight, chance, even)
        if not found or gain < WORTH_LEAVING_EVEN * float(chance.max()):
            found = even
        at = datetime.fromtimestamp(int(utc[found[0]]) * HOUR, UTC)
        return Proposal(max(at, question.earliest), "learned", "learned.sequence")

    def _unexplained(self, question: Question) -> list[int]:
        """The local hours at which this invoice's charges were refused without a word of money."""
        return [
            local_hour(a.at, question.context.timezone)
            for a in question.attempts
            if not a.approved and a.verdict.category not in _OF_MONEY
        ]

    def _surprise(self) -> float:
        """The share of futures of which nothing is known: all of them before anything was learned."""
        return max(LEAST_SURPRISE, SURPRISED_BY / (SURPRISED_BY + self.habits.rows))

    def probability(self, question: Question, at: datetime) -> float:
        """The chance of approval at that moment."""
        return 0.0

    def _belief(self, question: Question, person: Person) -> Belief:
        context = question.context
        begun = min(attempt.at for attempt in question.attempts)
        before = self._history(context, begun)
        key = (context.customer_id, context.invoice_id, len(before))
        belief = self._beliefs.get(key) if context.customer_id else None
        if belief is None:
            wide = take_in(begin(coarse(self.habits, [person])), [person], [before], self.habits)
            belief = refined(wide, self.habits, person, before)
            self._beliefs[key] = belief
            if len(self._beliefs) > _KEPT_BELIEFS:
                self._beliefs.popitem(last=False)
        own = [(int(a.at.timestamp()) // HOUR, local_hour(a.at, context.timezone), _said(a)) for a in question.attempts]
        everything = Charges.of([*zip(before.utc, before.local, before.said, strict=True), *own])
        return take_in(belief.copy(), [person], [everything], self.habits, start=len(before))

    def _history(self, context: RetryContext, begun: datetime) -> Charges:
        limit = int(begun.timestamp()) // HOUR
        rows = self._rows.get(context.customer_id, ()) if context.customer_id else ()
        return Charges.of([row[:3] for row in rows if row[3] != context.invoice_id and row[0] <= limit][-LOOK_BACK:])

    def _person(self, context: RetryContext) -> Person:
        habits = self.habits
        return Person(
            habits.countries.get(context.country, 0),
            habits.groups.get(self._group(context), 0),
            habits.banks.get(context.issuer, 0),
        )

    def _group(self, context: RetryContext) -> str:
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

        def grown(table: Any, names: Mapping[str, int]) -> Any:
            more = len(names) + 1 - len(table)
            return np.concatenate([table, np.repeat(table[:1], more, axis=0)]) if more > 0 else table

        return replace(
            old,
            countries=countries,
            groups=groups,
            banks=banks,
            calendars=grown(old.calendars, countries),
            hours=grown(old.hours, countries),
            lasting=grown(old.lasting, groups),
            random=grown(old.random, groups),
            refused=grown(old.refused, banks),
            funds_spoken=grown(old.funds_spoken, banks),
        )

    def _add(self, customer: str, row: Mapping[str, Any]) -> None:
        told = PastAttempt.from_mapping(row)
        zone = str(row.get("timezone") or "UTC")
        self._rows.setdefault(customer, []).append(
            (int(told.at.timestamp()) // HOUR, local_hour(told.at, zone), _said(told), str(row.get("invoice_id") or ""))
        )

    def _insert(self, customer: str, zone: str, invoice: str, told: PastAttempt) -> None:
        row = (int(told.at.timestamp()) // HOUR, local_hour(told.at, zone), _said(told), invoice)
        rows = self._rows.setdefault(customer, [])
        if row not in rows:
            rows.append(row)
            rows.sort()

    def _sample(self, customers: Sequence[str]) -> list[Customer]:
        total = sum(min(len(self._rows[c]), LOOK_BACK) for c in customers)
        step = max(1, -(-total // SAMPLED_ROWS))
        return [
            Customer(self._persons[c], Charges.of([row[:3] for row in self._rows[c][-LOOK_BACK:]]))
            for c in customers[::step]
        ]


MIN_GAP = 12
_OF_MONEY = (Category.INSUFFICIENT_FUNDS, Category.LIMIT_VELOCITY)
LEAST_SURPRISE = 0.12
SURPRISED_BY = 300.0


def _evenly(question: Question) -> Proposal:
    """The next of all tries spread evenly over the window."""
    context = question.context
    step = (context.ends_at - context.failed_at) / context.max_attempts
    at = context.failed_at.astimezone(UTC) + step * question.number
    return Proposal(max(at, question.earliest), "evenly spread until there is a history to learn from", "learned.even")


def _said(attempt: PastAttempt) -> int:
    return APPROVED if attempt.approved else code_group(attempt.verdict.category)
