"""What payments make of plans: instalments are paid in their order, and a plan whose sum has come in is completed."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from billing.models import Invoice, InvoiceStatus, PaymentPlan, PlanInstalment
from billing.money import display
from billing.plans.paid import plans_paid
from customers.log import Entry, record_many
from customers.services import customers_reassess


@transaction.atomic
def plans_follow_payment(*, customer_ids: Collection[int], now: datetime) -> int:
    """Marks what has been paid on the active plans of these customers; returns how many plans were completed.

    Constant number of statements. The caller holds the customers' locks.
    """
    plans = list(
        PaymentPlan.objects.filter(customer__in=list(customer_ids), status=PaymentPlan.Status.ACTIVE).prefetch_related(
            "instalments"
        )
    )
    if not plans:
        return 0
    paid = plans_paid([plan.pk for plan in plans])
    left: dict[int, int] = defaultdict(int)
    of_plans = Invoice.objects.filter(payment_plans__in=plans, status=InvoiceStatus.OPEN)
    for plan_id, balance in of_plans.values_list("payment_plans", "balance"):
        left[plan_id] += balance
    newly: list[PlanInstalment] = []
    completed: list[PaymentPlan] = []
    for plan in plans:
        due = 0
        settled = left[plan.pk] == 0
        for instalment in plan.instalments.all():
            due += instalment.amount
            if instalment.paid_at is None and (settled or paid[plan.pk] >= due):
                instalment.paid_at, instalment.charge_at = now, None
                instalment.plan = plan
                newly.append(instalment)
        if settled or paid[plan.pk] >= plan.amount > 0:
            plan.status, plan.closed_at = PaymentPlan.Status.COMPLETED, now
            completed.append(plan)
    if newly:
        PlanInstalment.objects.bulk_update(newly, ["paid_at", "charge_at"])
    if completed:
        PaymentPlan.objects.bulk_update(completed, ["status", "closed_at"])
        PaymentPlan.history.bulk_history_create(completed, update=True)
        PlanInstalment.objects.filter(plan__in=completed).update(charge_at=None)
        # Something may be left of an invoice (a fee of the bank, a credit taken back): that is owed like any other.
        Invoice.objects.filter(payment_plans__in=completed, in_plan=True).update(in_plan=False)
        customers_reassess({plan.customer_id for plan in completed}, now)
    record_many([_paid(each, now) for each in newly] + [_kept(plan, now) for plan in completed])
    return len(completed)


def _paid(instalment: PlanInstalment, now: datetime) -> Entry:
    plan = instalment.plan
    amount = display(instalment.amount, plan.currency)
    return Entry(
        customer_id=plan.customer_id,
        at=now,
        kind="plan.instalment_paid",
        summary=_("Instalment %(number)d paid: %(amount)s.") % {"number": instalment.number, "amount": amount},
        subject=f"plan:{plan.pk}",
        key=f"instalment:{instalment.pk}:paid",
    )


def _kept(plan: PaymentPlan, now: datetime) -> Entry:
    return Entry(
        customer_id=plan.customer_id,
        at=now,
        kind="plan.completed",
        summary=_("The payment plan was kept: %(amount)s.") % {"amount": display(plan.amount, plan.currency)},
        subject=f"plan:{plan.pk}",
        key=f"plan:{plan.pk}:completed",
    )
