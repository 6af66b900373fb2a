"""Telephone calls: one form, one transaction, whatever came of it: a promise, a dispute, another call, no number."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from billing.disputes import dispute_open
from campaigns.engine.calendar import add_days, at_local
from campaigns.engine.load import load_cases
from campaigns.guard.explain import Explanation, explain
from campaigns.guard.zones import zone, zone_name
from campaigns.models import Case, Task
from campaigns.models.case import LIVE_STATES
from campaigns.services.owners import case_assign
from campaigns.services.promises import PROMISE_GRACE_DAYS, promise_record
from campaigns.services.tasks import tasks_close
from customers.errors import SollecitoError
from customers.models import CallOutcome, Channel, Customer, Direction, Interaction, Suppression
from customers.models.interaction import NO_TALK
from customers.notes import call_log
from customers.services import suppression_add

#: Outcomes after which the call that was to be made is not made yet.
_STILL_TO_CALL = NO_TALK - {CallOutcome.LEFT_MESSAGE}
_TELEPHONE = (Channel.CALL, Channel.SMS, Channel.WHATSAPP)
#: Nobody holds the line longer; more is a page left open overnight.
MOST_SECONDS = 4 * 3600
#: When people are called again where nobody named a time, by their own clock.
MORNING = time(10)


@dataclass(frozen=True, slots=True)
class Promised:
    """What was promised: minor units, by the end of a day of the customer's calendar, for some invoices or all."""

    amount: int
    currency: str
    by: date
    grace_days: int = PROMISE_GRACE_DAYS
    invoice_ids: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class Contested:
    """What was disputed on the telephone: an invoice, why, and how much of it (minor units; None: all)."""

    invoice_id: int
    reason: str
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a call left behind. `repeated`: the same form had been saved before, and nothing was done now."""

    promise_id: int | None = None
    task_id: int | None = None
    dispute_id: int | None = None
    repeated: bool = False


@transaction.atomic
def call_record(
    *,
    customer_id: int,
    outcome: str,
    actor_id: int,
    now: datetime,
    case_id: int | None = None,
    direction: str = Direction.OUT,
    number: str = "",
    contact_id: int | None = None,
    seconds: int | None = None,
    text: str = "",
    promise: Promised | None = None,
    dispute: Contested | None = None,
    call_again_at: datetime | None = None,
    key: str = "",
) -> CallResult:
    """Logs a call and does what follows from its outcome, all or nothing; `key` is the form's: twice it acts once.

    A call that was made is logged whatever the guard would have said of it; its word is kept with the call. A promise
    rests the case; a dispute takes the invoice out of it; a wrong number is not used again on any channel; a refusal
    asks somebody to decide; `call_again_at` (aware UTC) puts the next call on the list, for `actor_id`. Open call
    tasks of the case are done with it, or put off to the next morning where nobody was reached. Whoever spoke with a
    customer nobody looks after looks after them from now on. `seconds` is how long it took. Raises SollecitoError as
    call_log, promise_record and dispute_open do, for a promise or dispute that does not go with the outcome, and for
    a call back in the past.
    """
    customer = Customer.objects.select_for_update(no_key=True).select_related("brand").get(pk=customer_id)
    log_key = f"call:{key}" if key else None
    if log_key and Interaction.objects.filter(key=log_key).exists():
        return CallResult(repeated=True)
    _check(outcome, promise, dispute, call_again_at, now)
    case = _case(customer, case_id)
    verdict = guard_word(case, now) if case is not None and direction == Direction.OUT else None
    against = verdict is not None and verdict.level != "ok"
    data: dict[str, object] = {"case": case.pk if case else None, "number": number, "contact": contact_id}
    if seconds is not None and 0 <= seconds <= MOST_SECONDS:
        data["seconds"] = seconds
    if verdict is not None:
        data["guard"] = {"level": verdict.level, "rule": verdict.rule, "words": verdict.sentence}
    call_log(
        customer_id=customer.pk,
        outcome=outcome,
        actor_id=actor_id,
        now=now,
        text=text,
        direction=direction,
        subject=f"case:{case.pk}" if case else "",
        data=data,
        remark=_("made although: %(why)s") % {"why": verdict.sentence} if verdict and against else "",
        key=log_key,
    )
    promised = disputed = None
    if promise is not None:
        promised = promise_record(
            customer_id=customer.pk,
            brand_id=case.brand_id if case else customer.brand_id,
            amount=promise.amount,
            currency=promise.currency,
            promised_on=promise.by,
            grace_days=promise.grace_days,
            invoice_ids=promise.invoice_ids,
            note=text,
            actor_id=actor_id,
            now=now,
        )
    if dispute is not None:
        disputed = dispute_open(
            invoice_id=dispute.invoice_id,
            amount=dispute.amount,
            reason=dispute.reason,
            note=text,
            owner_id=actor_id,
            actor_id=actor_id,
            now=now,
        )
    if outcome == CallOutcome.WRONG_NUMBER and number:
        _never_again(customer, number, now)
    _settle_tasks(case, outcome, now)
    if case is not None and case.owner_id is None and outcome not in NO_TALK:
        # What was agreed on comes back to who agreed on it, not to nobody.
        case_assign(case_id=case.pk, owner_id=actor_id, actor_id=actor_id, now=now)
        case.owner_id = actor_id
    task = _next_task(customer, case, outcome, number, text, call_again_at, actor_id, now)
    return CallResult(
        promise_id=promised.pk if promised else None,
        task_id=task.pk if task else None,
        dispute_id=disputed.pk if disputed else None,
    )


def guard_word(case: Case, now: datetime) -> Explanation | None:
    """What the guard says of a call to the case's customer at `now`; None for a case that has ended."""
    loaded = load_cases([case.pk], now).cases
    return explain(loaded[0].snapshot.guard, Channel.CALL.value, now) if loaded else None


def _check(
    outcome: str, promise: Promised | None, dispute: Contested | None, again_at: datetime | None, now: datetime
) -> None:
    if outcome == CallOutcome.PROMISED and promise is None:
        raise SollecitoError(_("Say how much was promised, and by when."), code="promise_missing")
    if outcome == CallOutcome.DISPUTED and dispute is None:
        raise SollecitoError(_("Say what is disputed, and why."), code="dispute_missing")
    if (promise is not None and outcome != CallOutcome.PROMISED) or (
        dispute is not None and outcome != CallOutcome.DISPUTED
    ):
        raise SollecitoError(_("This does not go with how the call ended."), code="call_outcome")
    if outcome == CallOutcome.CALL_BACK and again_at is None:
        raise SollecitoError(_("Say when to call back."), code="call_back_missing")
    if again_at is not None and again_at <= now:
        raise SollecitoError(_("Call back in the future."), code="call_back_past")


def _case(customer: Customer, case_id: int | None) -> Case | None:
    """The case named, or the customer's live one; locked, as whatever follows writes to it."""
    rows = Case.objects.select_for_update(no_key=True).filter(customer=customer)
    if case_id is None:
        return rows.filter(state__in=LIVE_STATES).order_by("id").first()
    found = rows.filter(pk=case_id).first()
    if found is None:
        raise SollecitoError(_("There is no such case."), code="case_missing")
    return found


def _never_again(customer: Customer, number: str, now: datetime) -> None:
    for channel in _TELEPHONE:
        suppression_add(
            channel=channel,
            address=number,
            reason=Suppression.Reason.WRONG_NUMBER,
            evidence=_("Somebody else answered the telephone."),
            now=now,
            country=customer.country,
        )


def _settle_tasks(case: Case | None, outcome: str, now: datetime) -> None:
    """The call that was asked for is made, or has to be tried again tomorrow; the call's own line tells of both."""
    if case is None:
        return
    due = Task.objects.filter(case=case, kind=Task.Kind.CALL, status=Task.Status.OPEN, due_at__lte=now)
    if outcome in _STILL_TO_CALL:
        due.update(due_at=next_morning(case.customer, now))
    else:
        tasks_close(tasks=due, status=Task.Status.DONE, now=now)


def next_morning(customer: Customer, now: datetime) -> datetime:
    """Ten o'clock of the customer's next day, aware UTC."""
    tz = zone(customer_zone_name(customer))
    return at_local(add_days(now, 1, tz).astimezone(tz).date(), MORNING, tz)


def customer_zone_name(customer: Customer) -> str:
    """IANA name of the zone a customer is reckoned to live in; `brand` is loaded."""
    return zone_name(timezone=customer.timezone, country=customer.country, brand_timezone=customer.brand.timezone)


def _next_task(
    customer: Customer,
    case: Case | None,
    outcome: str,
    number: str,
    text: str,
    again_at: datetime | None,
    actor_id: int,
    now: datetime,
) -> Task | None:
    """What a person has to do next because of the call, if anything."""
    task = Task(customer=customer, case=case, created_at=now, notes=text.strip(), assignee_id=actor_id)
    if again_at is not None:
        task.kind, task.title, task.due_at = Task.Kind.CALL, _("Call back, as agreed"), again_at
    elif outcome == CallOutcome.REFUSED:
        task.kind, task.title, task.due_at = Task.Kind.REVIEW, _("Refuses to pay: decide how to go on"), now
        task.assignee_id = case.owner_id if case else None
    elif outcome == CallOutcome.WRONG_NUMBER:
        task.kind, task.title, task.due_at = Task.Kind.REVIEW, _("Find another telephone number"), now
        task.notes = number
    else:
        return None
    task.save()
    return task


def suggested_day(now: datetime, customer: Customer) -> date:
    """A week from now by the customer's calendar: what a promise starts from."""
    return (now.astimezone(zone(customer_zone_name(customer))) + timedelta(days=7)).date()
