"""Agreeing on a payment plan and ending one; staff and the customer's own page use the same services."""

from collections.abc import Collection
from datetime import date, datetime, time

from django.db import transaction
from django.utils.translation import gettext as _

from billing.gateways import is_chargeable
from billing.matching import UNRESOLVED
from billing.models import (
    Invoice,
    PaymentAttempt,
    PaymentMethod,
    PaymentPlan,
    PlanInstalment,
    RetryState,
)
from billing.money import display, step
from billing.plans.offering import payer_of, plan_owed, plan_rules
from billing.plans.terms import against, deposit_of, parts
from billing.retries.eligibility import usable
from billing.retries.services import retries_resume
from billing.settling import planned_cancel
from billing.signals import announce_facts_changed
from customers.display import customer_zone, zone
from customers.errors import SollecitoError, check_transition
from customers.log import Entry, record
from customers.models import ActorKind, Customer
from customers.services import customers_reassess
from customers.wake import wake

#: When instalments are charged, by the customer's clock: after banks' night runs, while somebody can react.
CHARGED_AT = time(10)
_TRANSITIONS = {str(source): frozenset(map(str, to)) for source, to in PaymentPlan.TRANSITIONS.items()}


def plan_chargeable(*, customer_id: int, brand_id: int, currency: str, payment_method_id: int) -> bool:
    """Whether the instalments of a plan over all this customer owes could be charged to a stored method."""
    customer = Customer.objects.select_related("brand").get(pk=customer_id)
    try:
        plan_method(customer, payment_method_id, plan_owed(customer, brand_id, currency))
    except SollecitoError:
        return False
    return True


@transaction.atomic
def plan_create(
    *,
    customer_id: int,
    brand_id: int,
    currency: str,
    count: int,
    interval: str,
    first_on: date,
    now: datetime,
    invoice_ids: Collection[int] = (),
    payment_method_id: int | None = None,
    note: str = "",
    actor_id: int | None = None,
    beyond_rules: bool = False,
    key: str = "",
    consent: str = "",
    total_shown: int | None = None,
) -> PaymentPlan:
    """Agrees on `count` instalments over the open invoices named, or all in `currency`; the first is due `first_on`
    (the customer's local date), the others every `interval` (PaymentPlan.Interval).

    From this transaction on its invoices are neither pressed for nor charged as a whole. With `payment_method_id` the
    instalments are charged to it on their days; else the customer pays them. `beyond_rules` is a person's decision
    to pass the brand's rules; without `actor_id` the customer agreed in the portal, to the words in `consent`. `key`
    is the form's: sent twice it makes one plan. `total_shown` (minor units) is what they were shown: another sum by
    now, and nothing is agreed on (`plan_changed`). Raises SollecitoError: `plan_invoices`, `plan_count`, `plan_date`,
    `plan_open`, `in_flight` (a charge of one of them is under way), `no_method`, `plan_rules`, `plan_changed`.
    """
    customer = (
        Customer.objects.select_for_update(no_key=True, of=("self",)).select_related("brand").get(pk=customer_id)
    )
    if key and (known := PaymentPlan.objects.filter(key=key, customer=customer).first()) is not None:
        return known
    invoices = _invoices(customer, brand_id, currency, invoice_ids)
    total = sum(invoice.balance for invoice in invoices)
    if total_shown not in (None, total):
        raise SollecitoError(_("Meanwhile another sum is owed."), code="plan_changed")
    today = now.astimezone(zone(customer_zone(customer))).date()
    if not 2 <= count <= min(60, total // step(currency)):
        raise SollecitoError(_("A plan has two to sixty instalments."), code="plan_count")
    if first_on < today:
        raise SollecitoError(_("The first instalment is due today or later."), code="plan_date")
    rules, payer = plan_rules(brand_id), payer_of(customer_id, currency, now)
    wanted = parts(
        total=total,
        count=count,
        interval=PaymentPlan.Interval(interval),
        first_on=first_on,
        first_percent=deposit_of(rules, payer),
        unit=step(currency),
    )
    refused = against(rules, wanted, currency=currency, payer=payer, today=today)
    if refused and not (beyond_rules and actor_id is not None):
        raise SollecitoError(refused, code="plan_rules")
    if PaymentPlan.objects.filter(customer=customer, brand_id=brand_id, status=PaymentPlan.Status.ACTIVE).exists():
        raise SollecitoError(_("Another plan stands already."), code="plan_open")
    if PaymentAttempt.objects.filter(invoice__in=invoices, status__in=UNRESOLVED).exists():
        raise SollecitoError(
            _("A charge is under way; agree on the plan when it is over."), code="in_flight", permanent=False
        )
    method = plan_method(customer, payment_method_id, invoices) if payment_method_id is not None else None
    plan = PaymentPlan.objects.create(
        customer=customer,
        brand_id=brand_id,
        currency=currency,
        amount=total,
        interval=interval,
        payment_method=method,
        consent=consent,
        note=note.strip()[:500],
        actor_id=actor_id,
        key=key or None,
        created_at=now,
    )
    plan.invoices.set(invoices)
    local = zone(customer_zone(customer))
    PlanInstalment.objects.bulk_create(
        PlanInstalment(
            plan=plan,
            number=part.number,
            due_on=part.due_on,
            amount=part.amount,
            charge_at=max(datetime.combine(part.due_on, CHARGED_AT, tzinfo=local), now) if method else None,
        )
        for part in wanted
    )
    for invoice in invoices:
        planned_cancel(invoice_id=invoice.pk, reason=_("A payment plan was agreed on."), now=now)
    Invoice.objects.filter(pk__in=[invoice.pk for invoice in invoices]).update(
        in_plan=True, retry_state=RetryState.NONE, retry_reason=""
    )
    customers_reassess([customer.pk], now)
    announce_facts_changed([customer.pk])
    words = _("Payment plan: %(amount)s in %(count)d instalments from %(day)s.")
    values = {"amount": display(total, currency), "count": count, "day": first_on.isoformat()}
    _tell(plan, now, "plan.made", words % values, actor_id, "\n".join(filter(None, (note.strip(), refused, consent))))
    wake("campaigns.tasks.assess_customers")
    return plan


@transaction.atomic
def plan_cancel(*, plan_id: int, reason: str, actor_id: int, now: datetime) -> PaymentPlan:
    """Ends an active plan by hand: what is left is pressed for and charged again as before it.

    A charge of an instalment that is under way ends as it ends. Raises SollecitoError without a reason or plan,
    IllegalTransition if it has ended.
    """
    if not reason.strip():
        raise SollecitoError(_("Say why the plan ends."), code="reason_missing")
    owner = PaymentPlan.objects.filter(pk=plan_id).values("customer_id")
    Customer.objects.select_for_update(no_key=True).filter(pk__in=owner).values_list("pk").first()
    plan = PaymentPlan.objects.select_for_update().filter(pk=plan_id).first()
    if plan is None:
        raise SollecitoError(_("There is no such plan."), code="plan_missing")
    if plan.status == PaymentPlan.Status.CANCELLED:
        raise SollecitoError(_("The plan has been ended already."), code="plan_ended")
    check_transition(_TRANSITIONS, what="Plan", source=plan.status, target=PaymentPlan.Status.CANCELLED)
    plan.status, plan.closed_at = PaymentPlan.Status.CANCELLED, now
    plan.save(update_fields=["status", "closed_at"])
    PlanInstalment.objects.filter(plan=plan).update(charge_at=None)
    freed = list(plan.invoices.filter(in_plan=True).order_by("pk").values_list("pk", flat=True))
    for invoice_id in freed:
        planned_cancel(invoice_id=invoice_id, reason=_("The payment plan has ended."), now=now)
    Invoice.objects.filter(pk__in=freed).update(in_plan=False)
    retries_resume(invoice_ids=freed, now=now)
    customers_reassess([plan.customer_id], now)
    announce_facts_changed([plan.customer_id])
    _tell(plan, now, "plan.cancelled", _("The payment plan was ended by staff."), actor_id, reason)
    wake("campaigns.tasks.assess_customers")
    return plan


def _invoices(customer: Customer, brand_id: int, currency: str, invoice_ids: Collection[int]) -> list[Invoice]:
    """Those the plan is over, locked; the customer's row is locked before them."""
    found = plan_owed(customer, brand_id, currency)
    if invoice_ids:
        found = [invoice for invoice in found if invoice.pk in set(invoice_ids)]
    if not found or (invoice_ids and len(found) != len(set(invoice_ids))):
        raise SollecitoError(
            _("These are not all open, undisputed invoices of this customer in one currency."), code="plan_invoices"
        )
    return list(Invoice.objects.filter(pk__in=[row.pk for row in found]).order_by("pk").select_for_update(no_key=True))


def plan_method(customer: Customer, method_id: int, invoices: Collection[Invoice]) -> PaymentMethod:
    """The stored method instalments of these invoices can be charged to.

    Every invoice must be one its processor charges by our order only: where the processor retries by itself, it would
    charge the whole beside us. Raises SollecitoError (`no_method`).
    """
    method = customer.payment_methods.filter(pk=method_id, source=customer.source).first()
    ours = all(
        is_chargeable(row.source)
        and row.source == customer.source
        and row.external_id
        and method is not None
        and row.held_as == method.held_as
        and row.processor_next_attempt_at is None
        for row in invoices
    )
    if method is None or not usable(method) or not ours:
        raise SollecitoError(_("The instalments cannot be charged to this payment method."), code="no_method")
    return method


def _tell(plan: PaymentPlan, now: datetime, kind: str, summary: str, actor_id: int | None, body: str) -> None:
    record(
        Entry(
            customer_id=plan.customer_id,
            at=now,
            kind=kind,
            summary=summary,
            body=body.strip(),
            actor_kind=ActorKind.USER if actor_id else ActorKind.CUSTOMER,
            actor_id=actor_id,
            subject=f"plan:{plan.pk}",
        )
    )
