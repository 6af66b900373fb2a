"""Plans the next charge of every invoice that needs one: claims, decides by the pure planner, writes in bulk."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from billing.attempts import new_key, planned_data
from billing.conflicts import conflict_seen
from billing.models import (
    AttemptOrigin,
    AttemptStatus,
    Invoice,
    PaymentAttempt,
    RetryState,
)
from billing.retries.champion.serving import serving
from billing.retries.deciding import Plan, decide, next_number
from billing.retries.loading import Material, load
from billing.retries.planner import NEW_METHOD_RULE
from billing.retries.types import PlannedRetry
from billing.signals import announce_facts_changed
from customers import log
from customers.services import customers_reassess
from customers.wake import wake

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
        plans = decide(invoices, material, models, now)
        _write(plans, material, now)
    return PlanRun(
        planned=sum(plan.retry is not None for plan in plans),
        stopped=sum(plan.state == RetryState.STOPPED for plan in plans),
        left=sum(plan.retry is None and plan.state != RetryState.STOPPED for plan in plans),
    )


def _write(plans: list[Plan], material: Material, now: datetime) -> None:
    attempts = PaymentAttempt.objects.bulk_create(
        PaymentAttempt(
            invoice=plan.invoice,
            number=next_number(material.attempts[plan.invoice.pk]),
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
        data=planned_data(attempt)
        | {
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
