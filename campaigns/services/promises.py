"""Promises to pay: taken by staff or from the customer, and the rest they bring the case, at once."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, time, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from billing.models import Invoice, InvoiceStatus, Promise
from billing.money import display
from billing.signals import announce_facts_changed
from campaigns.engine.calendar import at_local
from campaigns.engine.keeping import resting
from campaigns.engine.standing import PromiseFact
from campaigns.guard.zones import zone, zone_name
from campaigns.models import Case, CaseState
from campaigns.models.ladder import PRE_DUNNING
from customers.errors import SollecitoError
from customers.log import Entry, record_many
from customers.models import ActorKind, Customer
from customers.services import customers_reassess
from customers.wake import wake

#: Days after the promised one before a promise counts as broken: transfers take a working day or two.
PROMISE_GRACE_DAYS = 2
#: More grace than this is another promise.
PROMISE_GRACE_AT_MOST = 14
#: A promise further away is a payment plan.
PROMISE_DAYS_AT_MOST = 60


@transaction.atomic
def promise_record(
    *,
    customer_id: int,
    brand_id: int,
    amount: int,
    currency: str,
    promised_on: date,
    now: datetime,
    note: str = "",
    actor_id: int | None = None,
    invoice_ids: Collection[int] = (),
    grace_days: int = PROMISE_GRACE_DAYS,
) -> Promise:
    """Takes a promise to pay `amount` (minor units) by the end of `promised_on` (the customer's local date).

    It is about `invoice_ids`, or about all that is owed to the brand. Until that day and `grace_days` have passed
    nobody writes and nothing is charged: the customer's live case rests from this transaction on. Without `actor_id`
    the customer made it in the portal. Raises SollecitoError for a day in the past or too far, more than
    PROMISE_GRACE_AT_MOST days of grace, invoices that are not theirs or not open, an amount that is not positive or
    more than is owed, or while another promise stands.
    """
    customer = Customer.objects.select_for_update(no_key=True).select_related("brand").get(pk=customer_id)
    tz = zone(zone_name(timezone=customer.timezone, country=customer.country, brand_timezone=customer.brand.timezone))
    today = now.astimezone(tz).date()
    if not today <= promised_on <= today + timedelta(days=PROMISE_DAYS_AT_MOST):
        raise SollecitoError(
            _("A promise is for one of the next %(days)s days.") % {"days": PROMISE_DAYS_AT_MOST},
            code="promise_date",
        )
    if not 0 <= grace_days <= PROMISE_GRACE_AT_MOST:
        raise SollecitoError(
            _("At most %(days)s days of grace.") % {"days": PROMISE_GRACE_AT_MOST}, code="promise_grace"
        )
    about = _about(customer, brand_id, currency, invoice_ids)
    owed = sum(invoice.balance for invoice in about)
    if not 0 < amount <= owed:
        raise SollecitoError(
            _("The promised amount is between nothing and the %(owed)s owed.") % {"owed": display(owed, currency)},
            code="promise_amount",
        )
    if Promise.objects.filter(customer=customer, brand_id=brand_id, status=Promise.Status.OPEN).exists():
        raise SollecitoError(_("Another promise stands already."), code="promise_open")
    promise = Promise.objects.create(
        customer=customer,
        brand_id=brand_id,
        amount=amount,
        currency=currency,
        promised_on=promised_on,
        grace_days=grace_days,
        expires_at=at_local(promised_on + timedelta(days=1 + grace_days), time(0), tz),
        note=note.strip()[:500],
        actor_id=actor_id,
        created_at=now,
    )
    if invoice_ids:
        promise.invoices.set(about)
    customers_reassess([customer.pk], now)
    announce_facts_changed([customer.pk])
    words = _("Promise to pay %(amount)s by %(day)s.")
    made = Entry(
        customer_id=customer.pk,
        at=now,
        kind="promise.made",
        summary=words % {"amount": display(amount, currency), "day": promised_on.isoformat()},
        body=note.strip(),
        actor_kind=ActorKind.USER if actor_id else ActorKind.CUSTOMER,
        actor_id=actor_id,
        subject=f"promise:{promise.pk}",
    )
    record_many([made, *cases_rest([promise], now)])
    wake("campaigns.tasks.assess_customers")
    return promise


def _about(customer: Customer, brand_id: int, currency: str, invoice_ids: Collection[int]) -> list[Invoice]:
    rows = Invoice.objects.filter(customer=customer, brand_id=brand_id, currency=currency, status=InvoiceStatus.OPEN)
    if not invoice_ids:
        return list(rows)
    found = list(rows.filter(pk__in=invoice_ids))
    if len(found) != len(set(invoice_ids)):
        raise SollecitoError(
            _("These are not all open invoices of this customer in one currency."), code="promise_invoices"
        )
    return found


def cases_rest(promises: Sequence[Promise], now: datetime) -> list[Entry]:
    """Lets the live cases of promises rest in the same breath: whoever takes one sees that it holds. Returns the lines
    to be written of it, in the caller's transaction; two statements."""
    by_owner = {(promise.customer_id, promise.brand_id): promise for promise in promises}
    found = (
        Case.objects.select_for_update(no_key=True)
        .filter(customer__in={promise.customer_id for promise in promises}, state=CaseState.OPEN)
        .exclude(trigger__in=PRE_DUNNING)
        .order_by("pk")
    )
    lines, cases = [], []
    for case in found:
        promise = by_owner.get((case.customer_id, case.brand_id))
        if promise is None:
            continue
        cases.append(case)
        state, until, why = resting(PromiseFact(promise.pk, promise.amount, promise.expires_at))
        case.state, case.rests_until, case.rest_reason = state, until, why
        case.next_action_at, case.next_action_reason = None, why
        lines.append(
            Entry(
                customer_id=case.customer_id,
                at=now,
                kind="case.rested",
                summary=why,
                subject=f"case:{case.pk}",
                data={"state": state, "promise": promise.pk},
            )
        )
    Case.objects.bulk_update(cases, ("state", "rests_until", "rest_reason", "next_action_at", "next_action_reason"))
    return lines
