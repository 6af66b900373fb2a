"""Owns the decision for each invoice of a batch: when and on what to charge it next, or why not. Reads no rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from billing.models import AttemptOrigin, Invoice, PaymentAttempt, PaymentMethod, RetryState
from billing.retries.champion.learnable import PREPARED
from billing.retries.champion.lot import Drawn
from billing.retries.champion.serving import Serving
from billing.retries.declines import AsksFor
from billing.retries.eligibility import credential_of, refusal
from billing.retries.loading import Material, context_of, declines_elsewhere, past_attempts
from billing.retries.methods import DEFAULT, Candidate, expired
from billing.retries.parts import part_of, part_words
from billing.retries.planner import Strategy, asks_strategy, in_order, plan_with
from billing.retries.policies import Terms
from billing.retries.types import PastAttempt, PlannedRetry, RetryContext, Stop

#: These are no end of the retries: it is not our turn, or there is nothing to retry.
_NOT_OURS = frozenset(
    {
        "not_open",
        "nothing_owed",
        "no_processor",
        "observe",
        "not_taken_over",
        "sent_for_payment",
        "schedule_conflict",
    }
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision for one invoice: a charge on a method, or the state it rests in and why."""

    invoice: Invoice
    state: RetryState
    reason: str = ""
    retry: PlannedRetry | None = None
    method: PaymentMethod | None = None
    rule: str = ""
    asks_for: str = ""
    drawn: Drawn | None = None
    #: Minor units asked for in place of the whole; 0: the whole.
    part: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of an invoice, were it charged on one of its methods; `start` is the moment it is asked as of."""

    candidate: Candidate
    terms: Terms
    context: RetryContext
    attempts: list[PastAttempt]
    history: list[datetime]
    declines: list[PastAttempt]
    start: datetime

    def plan(self, strategy: Strategy, planned: Sequence[datetime]) -> PlannedRetry | Stop:
        """The strategy's answer; `planned` are the moments at which the same card is going to be charged."""
        return plan_with(
            strategy,
            self.context,
            self.attempts,
            self.history,
            self.start,
            card_declines=self.declines,
            card_planned=planned,
        )

    @property
    def open(self) -> bool:
        """Whether a strategy is asked at all."""
        return asks_strategy(self.context, self.attempts, self.start, card_declines=self.declines)


def decide(invoices: Sequence[Invoice], material: Material, models: Serving, now: datetime) -> list[Plan]:
    """The plan of each invoice, from `material` and `models` alone.

    Notes in `material` when it charges: the batch's other invoices may be of the same card.
    """
    plans: list[Plan] = []
    for begun in range(0, len(invoices), PREPARED):
        part = invoices[begun : begun + PREPARED]
        resting = {invoice.pk: _resting(invoice, material, now) for invoice in part}
        asked = {i.pk: _questions(i, material, now) for i in part if resting[i.pk] is None}
        first = [questions[0] for questions in asked.values() if questions and questions[0].open]
        models.prepare([(one.terms, one.context, in_order(one.context, one.attempts)) for one in first], now)
        for invoice in part:
            plans.append(resting[invoice.pk] or _decided(invoice, asked[invoice.pk], material, models, now))
    return plans


def _resting(invoice: Invoice, material: Material, now: datetime) -> Plan | None:
    """The plan of an invoice that is being charged, or that is not to be retried now."""
    if material.busy(invoice):
        return Plan(invoice, RetryState.PLANNED)
    account = material.accounts.get(invoice.source)
    refused = refusal(
        invoice, account=account, promised=material.is_promised(invoice), origin=AttemptOrigin.RETRY, now=now
    )
    if refused is None and account is not None:
        return None
    code, reason = (refused.code, refused.reason) if refused else ("no_processor", "")
    state = RetryState.NONE if code in _NOT_OURS else RetryState.STOPPED
    return Plan(invoice, state, reason, rule=f"invoice.{code}")


def _questions(invoice: Invoice, material: Material, now: datetime) -> list[_Asked]:
    """One for each method the invoice may be charged on, best first."""
    account, terms = material.accounts[invoice.source], material.terms_of(invoice)
    # The ladder may ask for quiet: the planner then chooses as if it were that moment.
    start = max(now, invoice.retry_not_before) if invoice.retry_not_before else now
    asked = []
    for candidate in material.methods(invoice, now):
        charges = material.charges[credential_of(candidate.method)]
        asked.append(
            _Asked(
                candidate=candidate,
                terms=terms,
                context=context_of(invoice, account, candidate, material.attempts[invoice.pk], now, terms),
                attempts=past_attempts(material.attempts[invoice.pk], candidate.method),
                history=[charge.at for charge in charges if charge.at is not None],
                declines=declines_elsewhere(charges, invoice, candidate.method),
                start=start,
            )
        )
    return asked


def _decided(
    invoice: Invoice, questions: Sequence[_Asked], material: Material, models: Serving, now: datetime
) -> Plan:
    """The first method on which there is a next charge, or why there is none."""
    attempts = material.attempts[invoice.pk]
    stops: list[Stop] = []
    for asked in questions:
        method = asked.candidate.method
        planned = material.planned[credential_of(method)]
        ask = partial(asked.plan, planned=planned)
        drawn = models.plan(asked.terms, str(invoice.pk), next_number(attempts), ask, now)
        if isinstance(drawn.answer, PlannedRetry):
            planned.append(drawn.answer.at)
            told = _with_method(drawn.answer, asked.candidate, stops)
            part = part_of(invoice, material.accounts[invoice.source], attempts)
            if part:
                told = replace(told, explanation=f"{told.explanation} {part_words(invoice, part, attempts)}")
            return Plan(invoice, RetryState.PLANNED, retry=told, method=method, drawn=drawn, part=part)
        stops.append(drawn.answer)
    stop = stops[0] if stops else Stop("No stored payment method can be charged.", "method.none", AsksFor.NEW_CARD)
    return Plan(invoice, RetryState.STOPPED, stop.reason, rule=stop.rule, asks_for=stop.asks_for.value)


def _with_method(retry: PlannedRetry, candidate: Candidate, stops: Sequence[Stop]) -> PlannedRetry:
    """The same retry with the words for its method, where that is not simply the default or will be out of date."""
    method = candidate.method
    if expired(method, retry.at):
        told = f"The date on {method} ({method.exp_month:02}/{method.exp_year}) will have passed unless it is renewed."
        retry = replace(retry, explanation=f"{retry.explanation} {told}")
    if candidate.why == DEFAULT:
        return retry
    why = candidate.why + (f"; before it: {stops[0].reason.rstrip('.')}" if stops else "")
    return replace(retry, explanation=f"{retry.explanation} On {method}: {why}.")


def next_number(attempts: Sequence[PaymentAttempt]) -> int:
    """The number of the next attempt on an invoice that has had these."""
    return 1 + max((attempt.number for attempt in attempts), default=0)
