"""Owns the charging of instalments: which are due, on which invoice, and how much; the charge itself takes the one
path of all charges (billing.charging).

What is charged is what the plan asks for by now less what has come in, never an instalment's face value: so nothing is
charged twice, whoever paid meanwhile and however often this runs. One part at a time: while any charge of the plan's
invoices is planned, under way or unknown, the plan waits.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from billing.attempts import new_key
from billing.matching import UNRESOLVED, next_number
from billing.models import (
    AttemptOrigin,
    AttemptStatus,
    Invoice,
    InvoiceStatus,
    PaymentAttempt,
    PaymentMethod,
    PaymentPlan,
    PlanInstalment,
)
from billing.money import display
from billing.plans.paid import plans_paid
from billing.plans.services import plan_method
from billing.retries.eligibility import usable
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import Customer
from customers.wake import wake

logger = logging.getLogger(__name__)

#: How soon an instalment is looked at again while its charge runs.
LOOK = timedelta(minutes=5)
#: After a decline the same instalment is tried again the next day, so often at most: then it counts as missed.
AGAIN = timedelta(days=1)
TRIES = 3
#: One that was called off (a limit, a wait, no answer of the processor) is ordered anew after this.
LATER = timedelta(hours=6)
_WAITING = (AttemptStatus.PLANNED, *UNRESOLVED)


@dataclass(frozen=True, slots=True)
class InstalmentRun:
    """What a run did, in instalments: parts ordered, those that wait, and those at rest (paid, missed, plan ended)."""

    ordered: int = 0
    waiting: int = 0
    ended: int = 0

    @property
    def total(self) -> int:
        """Instalments looked at; 0 means that there is nothing to do now."""
        return self.ordered + self.waiting + self.ended


def instalments_due(*, now: datetime, limit: int) -> InstalmentRun:
    """Orders the charges of at most `limit` instalments whose time has come; any number of workers may run it."""
    due = PlanInstalment.objects.filter(charge_at__lte=now).order_by("charge_at", "id")
    counts: Counter[str] = Counter()
    for pk, customer_id in list(due.values_list("pk", "plan__customer_id")[:limit]):
        try:
            with transaction.atomic(durable=True):
                counts[_look(pk, customer_id, now)] += 1
        except Exception:
            # Whatever is wrong with one instalment, those behind it are not to wait for it.
            logger.exception("instalment %s could not be looked at", pk)
            PlanInstalment.objects.filter(pk=pk).update(charge_at=now + timedelta(hours=1))
    if counts["ordered"]:
        wake("billing.tasks.charge_due")
    return InstalmentRun(counts["ordered"], counts["waiting"], counts["ended"])


def _look(pk: int, customer_id: int, now: datetime) -> str:
    """Decides about one instalment with its customer locked, as everything is that touches their invoices."""
    owner = Customer.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=customer_id).first()
    instalment = (
        PlanInstalment.objects.select_for_update(of=("self",), no_key=True)
        .select_related("plan__payment_method")
        .filter(pk=pk, charge_at__lte=now)
        .first()
    )
    if owner is None or instalment is None:
        return "skipped"
    plan = instalment.plan
    invoices = list(plan.invoices.order_by("due_at", "id").select_for_update(no_key=True, of=("self",)))
    tries = list(instalment.attempts.order_by("id"))
    if plan.status != PaymentPlan.Status.ACTIVE:
        return _rest(instalment)
    if PaymentAttempt.objects.filter(invoice__in=invoices, status__in=_WAITING).exists():
        return _again(instalment, now + LOOK)
    asked = sum(plan.instalments.filter(number__lte=instalment.number).values_list("amount", flat=True))
    short = asked - plans_paid([plan.pk])[plan.pk]
    open_ones = [i for i in invoices if i.status == InvoiceStatus.OPEN and i.in_plan and i.balance > 0]
    if short <= 0 or not open_ones:
        return _rest(instalment)
    declined = [each for each in tries if each.status == AttemptStatus.DECLINED]
    if len(declined) >= TRIES or plan.payment_method is None or not usable(plan.payment_method):
        _tell(plan, instalment, now, "plan.instalment_failed", _("Instalment %(number)d is not charged any more."))
        return _rest(instalment)
    if declined and (last := declined[-1].at) is not None and now < last + AGAIN:
        return _again(instalment, last + AGAIN)
    if tries and tries[-1].status == AttemptStatus.CANCELLED and now < (ended := tries[-1].finished_at or now) + LATER:
        return _again(instalment, ended + LATER)
    _order(plan, instalment, open_ones[0], min(short, open_ones[0].balance), plan.payment_method, now)
    return _again(instalment, now + LOOK, "ordered")


@transaction.atomic
def instalment_pay(*, plan_id: int, payment_method_id: int, now: datetime) -> PaymentAttempt:
    """Orders the charge of what is next of an active plan, because the customer asks for it now: what its first unpaid
    instalment asks for, less what has come in. The loop of all charges carries it out.

    Raises SollecitoError: `plan_ended`, `in_flight` (pressed twice, or charged by itself just now), `nothing_due`,
    `no_method` (not theirs, or one its invoice cannot be charged to).
    """
    owner = PaymentPlan.objects.filter(pk=plan_id).values("customer_id")
    customer = Customer.objects.select_for_update(no_key=True).filter(pk__in=owner).first()
    plan = PaymentPlan.objects.filter(pk=plan_id, status=PaymentPlan.Status.ACTIVE).first()
    if customer is None or plan is None:
        raise SollecitoError(_("There is no such plan any more."), code="plan_ended")
    invoices = list(plan.invoices.order_by("due_at", "id").select_for_update(no_key=True, of=("self",)))
    if PaymentAttempt.objects.filter(invoice__in=invoices, status__in=_WAITING).exists():
        raise SollecitoError(_("A charge is under way."), code="in_flight", permanent=False)
    instalment = plan.instalments.filter(paid_at=None).order_by("number").first()
    open_ones = [i for i in invoices if i.status == InvoiceStatus.OPEN and i.in_plan and i.balance > 0]
    if instalment is None or not open_ones:
        raise SollecitoError(_("Nothing is due."), code="nothing_due")
    asked = sum(plan.instalments.filter(number__lte=instalment.number).values_list("amount", flat=True))
    short = asked - plans_paid([plan.pk])[plan.pk]
    if short <= 0:  # paid a moment ago; the instalment is about to be marked so
        raise SollecitoError(_("Nothing is due."), code="nothing_due")
    method = plan_method(customer, payment_method_id, open_ones)
    attempt = _order(plan, instalment, open_ones[0], min(short, open_ones[0].balance), method, now)
    wake("billing.tasks.charge_due")
    return attempt


def _order(
    plan: PaymentPlan,
    instalment: PlanInstalment,
    invoice: Invoice,
    amount: int,
    method: PaymentMethod | None,
    now: datetime,
) -> PaymentAttempt:
    """A planned charge of a part of one invoice, for the loop of all charges to carry out."""
    return PaymentAttempt.objects.create(
        invoice=invoice,
        number=next_number(invoice.pk),
        status=AttemptStatus.PLANNED,
        origin=AttemptOrigin.INSTALMENT,
        idempotency_key=new_key(),
        payment_method=method,
        amount=amount,
        currency=plan.currency,
        part=True,
        instalment=instalment,
        scheduled_for=now,
        explanation=f"Instalment {instalment.number} of the payment plan.",
    )


def _again(instalment: PlanInstalment, at: datetime, outcome: str = "waiting") -> str:
    PlanInstalment.objects.filter(pk=instalment.pk).update(charge_at=at)
    return outcome


def _rest(instalment: PlanInstalment) -> str:
    PlanInstalment.objects.filter(pk=instalment.pk).update(charge_at=None)
    return "ended"


def _tell(plan: PaymentPlan, instalment: PlanInstalment, now: datetime, kind: str, words: str) -> None:
    record(
        Entry(
            customer_id=plan.customer_id,
            at=now,
            kind=kind,
            summary=words % {"number": instalment.number},
            body=display(instalment.amount, plan.currency),
            subject=f"plan:{plan.pk}",
            key=f"instalment:{instalment.pk}:failed",
        )
    )
