"""Plans the next charge of every invoice that needs one: claims, decides by the pure planner, writes in bulk."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import connection, transaction

from billing.attempts import new_key
from billing.conflicts import conflict_seen
from billing.models import (
    AttemptOrigin,
    AttemptStatus,
    Invoice,
    PaymentAttempt,
    PaymentMethod,
    ProcessorAccount,
    RetryState,
)
from billing.retries.champion.lot import Drawn
from billing.retries.champion.serving import Serving, serving
from billing.retries.declines import AsksFor
from billing.retries.eligibility import credential_of, refusal
from billing.retries.loading import Material, context_of, declines_elsewhere, load, past_attempts
from billing.retries.methods import DEFAULT, Candidate, expired
from billing.retries.parts import part_of, part_words
from billing.retries.planner import NEW_METHOD_RULE, Strategy, plan_with
from billing.retries.types import PlannedRetry, Stop
from billing.signals import announce_facts_changed
from customers import log
from customers.services import customers_reassess
from customers.wake import wake

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
# Plain SQL: the loops ask every few seconds, mostly in vain, and composing the wide query by the ORM costs more
# than running it. Customers are locked too, as every lock order begins with them (billing.locks).
_CLAIM = """
    SELECT i.id FROM billing_invoice i JOIN customers_customer c ON c.id = i.customer_id
     WHERE i.retry_state = 'needs_plan' ORDER BY i.id LIMIT %s
       FOR NO KEY UPDATE OF i, c SKIP LOCKED
"""
_SET_STATES = """
    UPDATE billing_invoice i SET retry_state = u.state, retry_reason = u.reason
      FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS u(id, state, reason)
     WHERE i.id = u.id
"""


@dataclass(frozen=True, slots=True)
class PlanRun:
    """What a run decided, in invoices; `left` ones are not ours to retry now, or are being charged."""

    planned: int = 0
    stopped: int = 0
    left: int = 0

    @property
    def total(self) -> int:
        """Invoices decided; 0 means that there is nothing to do now."""
        return self.planned + self.stopped + self.left


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


def plan_retries(*, now: datetime, limit: int) -> PlanRun:
    """Plans at most `limit` invoices whose `retry_state` is needs_plan, in one short transaction.

    Any number of workers may run it: locked rows are passed over. The number of queries is the same for one invoice
    and for a thousand.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM, [limit])
            ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return PlanRun()
        invoices = list(
            Invoice.objects.select_related(
                "customer__brand",
                "subscription__default_payment_method",
                "default_payment_method",
                "retry_method",
            )
            .filter(pk__in=ids)
            .order_by("id")
        )
        material = load(invoices, now)
        models = serving({invoice.customer_id for invoice in invoices}, now)
        plans = [decide(invoice, material, models, now) for invoice in invoices]
        _write(plans, material, now)
    return PlanRun(
        planned=sum(plan.retry is not None for plan in plans),
        stopped=sum(plan.state == RetryState.STOPPED for plan in plans),
        left=sum(plan.retry is None and plan.state != RetryState.STOPPED for plan in plans),
    )


def decide(invoice: Invoice, material: Material, models: Serving, now: datetime) -> Plan:
    """When and on what to charge an invoice next, or why not; reads nothing but `material` and `models`.

    Notes there when it charges: the batch's other invoices may be of the same card.
    """
    if material.busy(invoice):
        return Plan(invoice, RetryState.PLANNED)
    account = material.accounts.get(invoice.source)
    refused = refusal(
        invoice, account=account, promised=material.is_promised(invoice), origin=AttemptOrigin.RETRY, now=now
    )
    if refused is not None or account is None:
        code, reason = (refused.code, refused.reason) if refused else ("no_processor", "")
        state = RetryState.NONE if code in _NOT_OURS else RetryState.STOPPED
        return Plan(invoice, state, reason, rule=f"invoice.{code}")
    stops: list[Stop] = []
    for candidate in material.methods(invoice, now):
        drawn = _ask(invoice, account, candidate, material, models, now)
        if isinstance(drawn.answer, PlannedRetry):
            material.planned[credential_of(candidate.method)].append(drawn.answer.at)
            told = _with_method(drawn.answer, candidate, stops)
            part = part_of(invoice, account, material.attempts[invoice.pk])
            if part:
                words = part_words(invoice, part, material.attempts[invoice.pk])
                told = replace(told, explanation=f"{told.explanation} {words}")
            return Plan(invoice, RetryState.PLANNED, retry=told, method=candidate.method, drawn=drawn, part=part)
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


def _ask(
    invoice: Invoice,
    account: ProcessorAccount,
    candidate: Candidate,
    material: Material,
    models: Serving,
    now: datetime,
) -> Drawn:
    method = candidate.method
    charges = material.charges[credential_of(method)]
    attempts = material.attempts[invoice.pk]
    terms = material.terms_of(invoice)
    # The ladder may ask for quiet: the planner then chooses as if it were that moment.
    start = max(now, invoice.retry_not_before) if invoice.retry_not_before else now
    context = context_of(invoice, account, candidate, now, terms)
    past = past_attempts(attempts, method)
    history = [charge.at for charge in charges if charge.at is not None]
    declines = declines_elsewhere(charges, invoice, method)

    def ask(strategy: Strategy) -> PlannedRetry | Stop:
        planned = material.planned[credential_of(method)]
        return plan_with(strategy, context, past, history, start, card_declines=declines, card_planned=planned)

    return models.plan(terms, str(invoice.pk), _next_number(attempts), ask, now)


def _next_number(attempts: list[PaymentAttempt]) -> int:
    return 1 + max((attempt.number for attempt in attempts), default=0)


def _write(plans: list[Plan], material: Material, now: datetime) -> None:
    attempts = PaymentAttempt.objects.bulk_create(
        PaymentAttempt(
            invoice=plan.invoice,
            number=_next_number(material.attempts[plan.invoice.pk]),
            status=AttemptStatus.PLANNED,
            origin=AttemptOrigin.NEW_METHOD if plan.retry.rule == NEW_METHOD_RULE else AttemptOrigin.RETRY,
            idempotency_key=new_key(),
            payment_method=plan.method,
            amount=plan.part or plan.invoice.balance,
            part=bool(plan.part),
            currency=plan.invoice.currency,
            scheduled_for=plan.retry.at,
            strategy=plan.retry.strategy,
            probability=plan.retry.probability,
            explanation=plan.retry.explanation[:500],
            reasons=list(plan.retry.reasons),
            retry_model_id=plan.drawn.model_id,
            propensity=plan.drawn.propensity,
            options=list(plan.drawn.options),
        )
        for plan in plans
        if plan.retry is not None and plan.drawn is not None
    )
    rows = [(plan.invoice.pk, str(plan.state), plan.reason[:255]) for plan in plans]
    with connection.cursor() as cursor:
        cursor.execute(_SET_STATES, [list(column) for column in zip(*rows, strict=True)])
    conflicts = {plan.invoice.source for plan in plans if plan.rule == "invoice.schedule_conflict"}
    if conflicts:
        conflict_seen(conflicts, now=now)
    stopped = [plan for plan in plans if plan.state == RetryState.STOPPED]
    made = {attempt.invoice_id: attempt for attempt in attempts}
    log.record_many(
        [_planned(plan, plan.retry, made[plan.invoice.pk], now) for plan in plans if plan.retry is not None]
        + [_stopped(plan, len(material.attempts[plan.invoice.pk]), now) for plan in stopped]
    )
    # The ladder chooses its next step by whether a retry is still to come.
    concerned = {plan.invoice.customer_id for plan in stopped}
    customers_reassess(concerned, now)
    announce_facts_changed(concerned)
    if any(attempt.scheduled_for is not None and attempt.scheduled_for <= now for attempt in attempts):
        wake("billing.tasks.charge_due")


def _planned(plan: Plan, retry: PlannedRetry, attempt: PaymentAttempt, now: datetime) -> log.Entry:
    return log.Entry(
        customer_id=plan.invoice.customer_id,
        at=now,
        kind="attempt.planned",
        summary=f"Next charge of {plan.invoice} planned: {retry.explanation}",
        body="\n".join(retry.reasons),
        subject=f"invoice:{plan.invoice.pk}",
        data={
            "attempt": attempt.pk,
            "at": retry.at.isoformat(),
            "probability": retry.probability,
            "strategy": retry.strategy,
            "rule": retry.rule,
        },
        key=f"attempt:{attempt.pk}:planned",
    )


def _stopped(plan: Plan, attempts: int, now: datetime) -> log.Entry:
    return log.Entry(
        customer_id=plan.invoice.customer_id,
        at=now,
        kind="retries.stopped",
        summary=f"No further charge of {plan.invoice} is planned: {plan.reason}",
        outcome=plan.rule[:40],
        subject=f"invoice:{plan.invoice.pk}",
        data={"rule": plan.rule, "asks_for": plan.asks_for},
        # Asked again with nothing new, the answer is the same and is not worth another line.
        key=f"invoice:{plan.invoice.pk}:stopped:{attempts}:{plan.rule}"[:200],
    )
