"""Writes a batch of assessments: one statement per table, in the caller's transaction, customers locked."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from billing.fees import fees_follow_payment
from billing.models import Invoice, InvoiceStatus, PaymentPlan, Promise, RetryState
from billing.plans.following import plans_follow_payment
from billing.retries.services import retries_resume
from campaigns.engine.addressees import addressees, load_people
from campaigns.engine.arrays import array
from campaigns.engine.attribution import attribute
from campaigns.engine.effects import give_back
from campaigns.engine.specs import published_texts
from campaigns.engine.standing import Assessment
from campaigns.engine.variants import variants_for
from campaigns.experiments.treatment import expose
from campaigns.signals import announce_closed
from campaigns.worklist.marks import work_mark
from customers.log import Entry, record_many
from customers.models import Channel
from customers.wake import wake

DELIVER = "campaigns.tasks.deliver_due"
ESCALATE = "campaigns.tasks.escalate_due"
#: Code of the template that thanks for the payment.
RECEIPT = "payment_received"

# The partial unique index decides who opened the case, should another transaction have done so.
_OPEN = """
    INSERT INTO campaigns_case
           (customer_id, brand_id, ladder_version_id, trigger, state, opened_at, anchor_at, round, position,
            next_action_at, next_action_reason, rests_until, rest_reason, close_reason, created_at,
            payment_method_id, subscription_id)
    SELECT customer_id, brand_id, version_id, trigger, state, %s, anchor_at, 1, 0, next_action_at, reason,
           rests_until, rest_reason, '', %s, payment_method_id, subscription_id
      FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::timestamptz[],
                  %s::timestamptz[], %s::text[], %s::timestamptz[], %s::text[], %s::bigint[], %s::bigint[])
           AS u(customer_id, brand_id, version_id, trigger, state, anchor_at, next_action_at, reason, rests_until,
                rest_reason, payment_method_id, subscription_id)
    ON CONFLICT (customer_id, brand_id)
          WHERE state IN ('open', 'paused', 'promised', 'in_plan', 'disputed', 'agency') DO NOTHING
    RETURNING id, customer_id, brand_id
"""
_UPDATE = """
    UPDATE campaigns_case c
       SET state = u.state, anchor_at = u.anchor_at, round = u.round, position = u.position,
           next_action_at = u.next_action_at, next_action_reason = u.reason, rests_until = u.rests_until,
           rest_reason = u.rest_reason, close_reason = u.close_reason,
           closed_at = CASE WHEN u.close_reason <> '' THEN %s END,
           ladder_version_id = COALESCE(u.version_id, c.ladder_version_id),
           trigger = CASE WHEN u.trigger <> '' THEN u.trigger ELSE c.trigger END
      FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::int[], %s::int[], %s::timestamptz[], %s::text[],
                  %s::timestamptz[], %s::text[], %s::text[], %s::bigint[], %s::text[])
           AS u(id, state, anchor_at, round, position, next_action_at, reason, rests_until, rest_reason,
                close_reason, version_id, trigger)
     WHERE c.id = u.id
"""
_JOIN = """
    INSERT INTO campaigns_caseinvoice (case_id, invoice_id, joined_at, outcome)
    SELECT u.case_id, u.invoice_id, %s, '' FROM unnest(%s::bigint[], %s::bigint[]) AS u(case_id, invoice_id)
    ON CONFLICT (case_id, invoice_id) DO UPDATE SET left_at = NULL, outcome = ''
"""
_LEAVE = """
    UPDATE campaigns_caseinvoice m SET left_at = %s, outcome = u.outcome
      FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS u(case_id, invoice_id, outcome)
     WHERE m.case_id = u.case_id AND m.invoice_id = u.invoice_id
"""
_LOOK = """
    UPDATE customers_customer c SET reassess_at = u.at
      FROM unnest(%s::bigint[], %s::timestamptz[]) AS u(id, at)
     WHERE c.id = u.id
"""
_RECEIPTS_FOR = """
    SELECT c.id, c.customer_id, c.brand_id, cu.email, cu.phone, cu.language, b.default_language
      FROM campaigns_case c
      JOIN customers_customer cu ON cu.id = c.customer_id
      JOIN customers_brand b ON b.id = c.brand_id
     WHERE c.id = ANY(%s)
"""
_RECEIPTS = """
    INSERT INTO campaigns_message
           (customer_id, brand_id, case_id, contact_id, purpose, channel, template_version_id, language, recipient,
            key, status, subject, html, text, queued_at, send_at, attempts, provider_id, reason, rule)
    SELECT u.customer_id, u.brand_id, u.case_id, u.contact_id, 'receipt', 'email', u.version_id, u.language,
           u.recipient, 'case:' || u.case_id || ':receipt', 'queued', '', '', '', %s, %s, 0, '', '', ''
      FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[])
           AS u(customer_id, brand_id, case_id, contact_id, version_id, language, recipient)
    ON CONFLICT (key) DO NOTHING
"""
# A case that was closed has nothing waiting: what is still in the outbox asks for money that is not owed.
_CANCEL = """
    UPDATE campaigns_message SET status = 'cancelled', reason = %s, rule = 'case.closed'
     WHERE case_id = ANY(%s) AND status = 'queued' AND purpose = 'dunning'
"""
_TASKS = """
    UPDATE campaigns_task SET status = 'cancelled', closed_at = %s WHERE case_id = ANY(%s) AND status = 'open'
"""
_PROMISES = """
    UPDATE billing_promise p SET status = u.status, closed_at = %s
      FROM unnest(%s::bigint[], %s::text[]) AS u(id, status)
     WHERE p.id = u.id AND p.status = 'open'
"""
_PLANS = """
    UPDATE billing_paymentplan SET status = 'broken', closed_at = %s WHERE id = ANY(%s) AND status = 'active'
"""
# Out of the plan they are pressed for again; the retry loop is told by _resume_retries.
_OUT_OF_PLAN = """
    UPDATE billing_invoice i SET in_plan = false
      FROM billing_paymentplan_invoices m
     WHERE m.invoice_id = i.id AND m.paymentplan_id = ANY(%s) AND i.in_plan
"""


def write(
    changes: Sequence[Assessment],
    next_looks: Mapping[int, datetime | None],
    unattributed: Collection[int],
    now: datetime,
) -> None:
    """Writes what was judged at `now`, and when each claimed customer is looked at next."""
    looks = dict(next_looks)
    with connection.cursor() as cursor:
        # Closed before opened: a customer and brand have one live case at any moment.
        _existing(cursor, changes, now)
        changes = _opened(cursor, changes, looks, now)
        joins = [(change.case_id, invoice_id) for change in changes for invoice_id in change.joins]
        if joins:
            cursor.execute(_JOIN, [now, *_columns(joins)])
        leaves = [(change.case_id, *leave) for change in changes for leave in change.leaves]
        if leaves:
            cursor.execute(_LEAVE, [now, *_columns(leaves)])
        promises = [(change.promise_id, change.promise_status) for change in changes if change.promise_id]
        if promises:
            cursor.execute(_PROMISES, [now, *_columns(promises)])
        plans = [change.plan_broken_id for change in changes if change.plan_broken_id]
        if plans:
            cursor.execute(_PLANS, [now, plans])
            cursor.execute(_OUT_OF_PLAN, [plans])
        cursor.execute(_LOOK, _columns(sorted(looks.items())))
        _receipts(cursor, [change.case_id for change in changes if change.receipt and change.case_id], now)
    attribute({*unattributed, *(pk for change in changes for pk, outcome in change.leaves if outcome == "paid")})
    fees_follow_payment(customer_ids=looks, now=now)
    plans_follow_payment(customer_ids=looks, now=now)
    _history(promises, plans)
    give_back({change.case_id: change.customer_id for change in changes if change.receipt and change.case_id}, now)
    _resume_retries(changes, now)
    _tell(changes, now)
    work_mark(looks, now)


def _resume_retries(changes: Sequence[Assessment], now: datetime) -> None:
    """Has the retries of those whose rest ended planned again; they stopped for it and would never know."""
    woken = {
        (change.customer_id, change.brand_id)
        for change in changes
        if change.promise_status or change.plan_broken_id or any(told.kind == "case.woken" for told in change.told)
    }
    if not woken:
        return
    candidates = Invoice.objects.filter(
        status=InvoiceStatus.OPEN,
        retry_state__in=(RetryState.STOPPED, RetryState.NONE),
        customer__in={customer_id for customer_id, _brand in woken},
    ).values_list("id", "customer_id", "brand_id")
    resting = [pk for pk, *owner in candidates if tuple(owner) in woken]
    if resting:
        retries_resume(invoice_ids=resting, now=now)


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _opened(
    cursor: Any, changes: Sequence[Assessment], looks: dict[int, datetime | None], now: datetime
) -> list[Assessment]:
    """Opens the cases asked for; the changes with the new ids, without those somebody else opened meanwhile."""
    rows = [
        (
            change.customer_id, change.brand_id, change.opening.ladder.version_id, change.opening.trigger,
            change.fields.state, change.fields.anchor_at, change.fields.next_action_at,
            change.fields.next_action_reason[:255], change.fields.rests_until, change.fields.rest_reason[:255],
            change.opening.payment_method_id, change.opening.subscription_id,
        )
        for change in changes
        if change.opening is not None and change.fields is not None
    ]  # fmt: skip
    if not rows:
        return list(changes)
    cursor.execute(_OPEN, [now, now, *_columns(rows)])
    ids = {(customer_id, brand_id): pk for pk, customer_id, brand_id in cursor.fetchall()}
    wake(ESCALATE)
    expose(
        (
            (arm_id, change.customer_id, ids[change.customer_id, change.brand_id])
            for change in changes
            if change.opening is not None
            and (arm_id := change.opening.ladder.arm_id) is not None
            and (change.customer_id, change.brand_id) in ids
        ),
        now,
    )
    kept = []
    for change in changes:
        if change.opening is None:
            kept.append(change)
        elif (pk := ids.get((change.customer_id, change.brand_id))) is not None:
            kept.append(replace(change, case_id=pk))
        else:
            looks[change.customer_id] = now
    return kept


def _existing(cursor: Any, changes: Sequence[Assessment], now: datetime) -> None:
    rows = [
        (
            change.case_id, fields.state, fields.anchor_at, fields.round, fields.position, fields.next_action_at,
            fields.next_action_reason[:255], fields.rests_until, fields.rest_reason[:255], fields.close_reason,
            fields.version_id, fields.trigger,
        )
        for change in changes
        if change.opening is None and (fields := change.fields) is not None
    ]  # fmt: skip
    if not rows:
        return
    cursor.execute(_UPDATE, [now, *_columns(rows)])
    closed = [
        change for change in changes if change.fields is not None and change.fields.close_reason and change.case_id
    ]
    if closed:
        ids = [change.case_id for change in closed]
        cursor.execute(_CANCEL, [_("The case is closed."), ids])
        cursor.execute(_TASKS, [now, ids])
    for change in closed:
        assert change.case_id is not None
        assert change.fields is not None
        announce_closed(
            case_id=change.case_id,
            customer_id=change.customer_id,
            state=change.fields.state,
            reason=change.fields.close_reason,
        )


def _receipts(cursor: Any, case_ids: Sequence[int], now: datetime) -> None:
    """Queues the thank-you of each case; where no template or address is there, none."""
    if not case_ids:
        return
    texts = published_texts([RECEIPT])
    general = next(iter(texts), None)
    if general is None or not texts[general].text_channel(Channel.EMAIL.value):
        return
    cursor.execute(_RECEIPTS_FOR, [list(case_ids)])
    cases = cursor.fetchall()
    people = load_people(cursor, array([case[1] for case in cases]))
    variants = variants_for([general], {case[1] for case in cases}, now)
    if variants.of:
        texts = published_texts()
    rows = []
    for case_id, customer_id, brand_id, email, phone, language, brand_language in cases:
        who = addressees(email, phone, language, people.get(customer_id, ())).get(Channel.EMAIL.value)
        if who is not None:
            fitting = (texts.get(variant.instead_id) for variant in variants.fitting(general, customer_id))
            text = next((t for t in fitting if t and t.text_channel(Channel.EMAIL.value)), texts[general])
            spoken = text.language(Channel.EMAIL.value, who.language, language, brand_language)
            rows.append((customer_id, brand_id, case_id, who.contact_id, text.version_id, spoken, who.address))
    if rows:
        cursor.execute(_RECEIPTS, [now, now, *_columns(rows)])
        wake(DELIVER)


def _history(promises: Sequence[tuple[int | None, str]], plans: Sequence[int]) -> None:
    """Keeps the history of promises and plans, which plain SQL passes by."""
    if plans:
        broken = list(PaymentPlan.objects.filter(pk__in=plans))
        PaymentPlan.history.bulk_history_create(broken, update=True)
    if promises:
        rows = list(Promise.objects.filter(pk__in=[pk for pk, _status in promises]))
        Promise.history.bulk_history_create(rows, update=True)


def _tell(changes: Sequence[Assessment], now: datetime) -> None:
    record_many(
        Entry(
            customer_id=change.customer_id,
            at=now,
            kind=line.kind,
            summary=line.summary,
            subject=f"case:{change.case_id}" if change.case_id else "",
            data=line.data,
        )
        for change in changes
        for line in change.told
    )
