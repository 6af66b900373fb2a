"""What people decide about a case: pause, go on, close, take a promise; each a line in the customer's log."""

from datetime import date, datetime, time, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from billing.models import Invoice, Promise
from billing.money import display
from billing.signals import announce_facts_changed
from campaigns.engine.calendar import at_local
from campaigns.guard.zones import zone, zone_name
from campaigns.models import Case, CaseState, CloseReason, Message, MessagePurpose, MessageStatus, Task
from campaigns.models.case import TRANSITIONS
from campaigns.services.case_acts import case_do, pause_act, resume_act
from campaigns.signals import announce_closed
from customers.errors import SollecitoError, check_transition
from customers.log import Entry, record
from customers.models import ActorKind, Customer
from customers.services import customers_reassess

#: Days after the promised one before a promise counts as broken: transfers take a working day or two.
PROMISE_GRACE_DAYS = 2
#: A promise further away is a payment plan.
PROMISE_DAYS_AT_MOST = 60


def _locked(case_id: int) -> Case:
    """The case, locked after its customer, as the assess loop does it."""
    customer_id = Case.objects.filter(pk=case_id).values_list("customer_id", flat=True).first()
    if customer_id is None:
        raise SollecitoError(_("There is no such case."), code="case_missing")
    Customer.objects.select_for_update(no_key=True).get(pk=customer_id)
    return Case.objects.select_for_update(no_key=True).get(pk=case_id)


def _tell(case: Case, now: datetime, kind: str, summary: str, actor_id: int, reason: str) -> None:
    record(
        Entry(
            customer_id=case.customer_id,
            at=now,
            kind=kind,
            summary=summary,
            body=reason.strip(),
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            subject=f"case:{case.pk}",
        )
    )


def case_pause(*, case_id: int, until: datetime | None, reason: str, actor_id: int, now: datetime) -> None:
    """Lets a live case rest until `until` (aware UTC), or until somebody resumes it where that is None.

    What is in the outbox is stopped by the guard at the moment of sending. Raises SollecitoError if there is no
    such case or `until` is not after `now`, IllegalTransition if the case has ended.
    """
    case_do(case_id=case_id, act=pause_act(until=until, reason=reason, now=now), actor_id=actor_id, now=now)


def case_resume(*, case_id: int, actor_id: int, now: datetime) -> None:
    """Ends a rest: the case goes on with the step it stood before, due at once if its day has come.

    A promise, plan or dispute that still stands lets it rest again at the next assessment. Raises as case_pause.
    """
    if not Case.objects.filter(pk=case_id, state=CaseState.OPEN).exists():
        case_do(case_id=case_id, act=resume_act(), actor_id=actor_id, now=now)


@transaction.atomic
def case_close(*, case_id: int, reason: str, actor_id: int, now: datetime) -> None:
    """Closes a live case without result; its invoices do not open another one.

    Withdraws what is queued and open tasks. Raises as case_pause, and SollecitoError without a reason.
    """
    if not reason.strip():
        raise SollecitoError(_("Say why the case is closed."), code="reason_missing")
    case = _locked(case_id)
    if case.state not in TRANSITIONS or not TRANSITIONS[case.state]:
        raise SollecitoError(_("The case has ended already."), code="case_closed")
    check_transition(TRANSITIONS, what="Case", source=case.state, target=CaseState.CANCELLED)
    case.state, case.close_reason, case.closed_at = CaseState.CANCELLED, CloseReason.STAFF, now
    case.next_action_at, case.next_action_reason = None, ""
    case.save(update_fields=["state", "close_reason", "closed_at", "next_action_at", "next_action_reason"])
    Message.objects.filter(case=case, status=MessageStatus.QUEUED, purpose=MessagePurpose.DUNNING).update(
        status=MessageStatus.CANCELLED, reason=_("The case is closed."), rule="case.closed"
    )
    Task.objects.filter(case=case, status=Task.Status.OPEN).update(status=Task.Status.CANCELLED, closed_at=now)
    # What was never in this case (it failed a second ago) may need one of its own.
    customers_reassess([case.customer_id], now)
    _tell(case, now, "case.cancelled", _("Closed by staff."), actor_id, reason)
    announce_closed(case_id=case.pk, customer_id=case.customer_id, state=case.state, reason=case.close_reason)


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
) -> Promise:
    """Takes a promise to pay `amount` (minor units) by the end of `promised_on` (the customer's local date).

    Until that day and PROMISE_GRACE_DAYS have passed nobody writes and nothing is charged. Without `actor_id`
    the customer made it in the portal. Raises SollecitoError for a day in the past or too far, an amount that is
    not positive or more than is owed, or while another promise stands.
    """
    customer = Customer.objects.select_for_update(no_key=True).select_related("brand").get(pk=customer_id)
    tz = zone(zone_name(timezone=customer.timezone, country=customer.country, brand_timezone=customer.brand.timezone))
    today = now.astimezone(tz).date()
    if not today <= promised_on <= today + timedelta(days=PROMISE_DAYS_AT_MOST):
        raise SollecitoError(
            _("A promise is for one of the next %(days)s days.") % {"days": PROMISE_DAYS_AT_MOST},
            code="promise_date",
        )
    owed = sum(
        Invoice.objects.filter(customer=customer, brand_id=brand_id, currency=currency, status="open").values_list(
            "balance", flat=True
        )
    )
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
        expires_at=at_local(promised_on + timedelta(days=1 + PROMISE_GRACE_DAYS), time(0), tz),
        note=note.strip()[:500],
        actor_id=actor_id,
        created_at=now,
    )
    customers_reassess([customer.pk], now)
    announce_facts_changed([customer.pk])
    record(
        Entry(
            customer_id=customer.pk,
            at=now,
            kind="promise.made",
            summary=_("Promise to pay %(amount)s by %(day)s.")
            % {"amount": display(amount, currency), "day": promised_on.isoformat()},
            body=note.strip(),
            actor_kind=ActorKind.USER if actor_id else ActorKind.CUSTOMER,
            actor_id=actor_id,
            subject=f"promise:{promise.pk}",
        )
    )
    return promise
