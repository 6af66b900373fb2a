"""What steps and ends of a ladder do besides writing: orders, fees, tags, hand-overs; each once, by its own key.

Everything here runs in the transaction that writes the decision: nothing outside is called, orders to the processor
go to billing's outbox. What touches the customer's row or invoices needs the customer's lock first (billing.locks);
`lock_customers` takes it without waiting, because this loop holds cases already.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from billing.commands import Order, commands_enqueue
from billing.fees import fees_charge
from billing.models import ProcessorCommand
from billing.retries.services import retries_hasten
from billing.uncollectible import invoices_give_up
from campaigns.agencies.services import Given, handovers_open
from campaigns.engine.one_clock import chargeable
from campaigns.engine.types import CaseSnapshot, Decision, Outcome
from campaigns.engine.words import phrase as _
from campaigns.models import Task
from campaigns.models.ladder import Action
from campaigns.signals import announce_service
from customers.log import Entry, record_many
from customers.models import Interaction

_TASKS = frozenset({Action.CALL_TASK.value, Action.NOTIFY_STAFF.value})
#: Actions that change rows of the customer or of billing.
_NEEDS_LOCK = frozenset(
    {
        Action.TAG.value,
        Action.LATE_FEE.value,
        Action.INTEREST.value,
        Action.MARK_UNCOLLECTIBLE.value,
        Action.WRITE_OFF.value,
        Action.HAND_TO_AGENCY.value,
    }
)
_FEES = frozenset({Action.LATE_FEE.value, Action.INTEREST.value})
_GIVE_UP = frozenset({Action.MARK_UNCOLLECTIBLE.value, Action.WRITE_OFF.value})
_LOCK = """
    SELECT id FROM customers_customer WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""
_TAG = """
    UPDATE customers_customer c SET tags = array_append(c.tags, u.tag)
      FROM unnest(%s::bigint[], %s::varchar[]) AS u(id, tag)
     WHERE c.id = u.id AND NOT (c.tags @> ARRAY[u.tag])
    RETURNING c.id, u.tag
"""


class Effect(NamedTuple):
    """One action to be done for a case; `key` makes it one however often it is asked for."""

    case: CaseSnapshot
    action: str
    params: Mapping[str, Any]
    name: str
    key: str


def effects_of(case: CaseSnapshot, decision: Decision) -> list[Effect]:
    """The actions a decision orders, in their order."""
    found = []
    act = decision.act
    if act is not None and act.action != Action.MESSAGE:
        found.append(Effect(case, act.action, act.params, act.name, f"take:{case.case_id}:{act.id}:{case.round}"))
    if decision.outcome is Outcome.ENDED:
        for action in decision.end_actions:
            if action not in _TASKS:  # decide has asked for the end's task itself
                params = case.ladder.end_params.get(action, {})
                found.append(
                    Effect(case, action, params, _("The ladder ended unpaid"), f"end:{case.case_id}:{case.round}")
                )
    return found


def needs_lock(decision: Decision) -> bool:
    """True if carrying it out takes the customer's lock."""
    ends = decision.outcome is Outcome.ENDED and not _NEEDS_LOCK.isdisjoint(decision.end_actions)
    return ends or (decision.act is not None and decision.act.action in _NEEDS_LOCK)


def lock_customers(customer_ids: Collection[int]) -> set[int]:
    """Locks those customers nobody else holds, without waiting, and says which. One statement, or none."""
    if not customer_ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [sorted(customer_ids)])
        return {pk for (pk,) in cursor.fetchall()}


def carry_out(effects: Sequence[Effect], now: datetime) -> list[Task]:
    """Does what `effects_of` found at `now` (aware UTC), each kind for the whole batch at once; returns the tasks for
    staff, to be written with the others."""
    by_action: dict[str, list[Effect]] = {}
    for effect in effects:
        by_action.setdefault(effect.action, []).append(effect)
    entries: list[Entry] = []
    tasks: list[Task] = []
    for action, rows in by_action.items():
        if action in _TASKS:
            tasks += [_task(effect, now) for effect in rows]
        elif action == Action.RETRY_NOW:
            _retry(rows, now)
        elif action in _FEES:
            tasks += _fees(action, rows, now)
        elif action == Action.TAG:
            _tag(rows, entries, now)
        elif action == Action.SUSPEND_SERVICE:
            _suspend(rows, entries, now)
        elif action == Action.CANCEL_SUBSCRIPTION:
            _cancel_subscriptions(rows, now)
        elif action == Action.HAND_TO_AGENCY:
            _hand_over(rows, entries, now)
        elif action in _GIVE_UP:
            keys = {invoice.id: f"case:{e.case.case_id}" for e in rows for invoice in e.case.invoices}
            invoices_give_up(
                keys=keys, write_off=action == Action.WRITE_OFF, reason=_("The ladder ended unpaid."), now=now
            )
    record_many(entries)
    return tasks


def _retry(rows: Iterable[Effect], now: datetime) -> None:
    by_name: dict[str, list[int]] = {}
    for effect in rows:
        by_name.setdefault(effect.name, []).extend(chargeable(effect.case))
    for name, ids in by_name.items():
        retries_hasten(invoice_ids=ids, reason=name, now=now)


def _fees(kind: str, rows: Iterable[Effect], now: datetime) -> list[Task]:
    """Charges them; what no law or no rate allows is for a person, with the reason."""
    groups: dict[tuple[str, str], list[Effect]] = {}
    for effect in rows:
        choice = (str(effect.params.get("regime", "auto")), str(effect.params.get("on_payment", "keep")))
        groups.setdefault(choice, []).append(effect)
    tasks = []
    for (regime, on_payment), chosen in groups.items():
        ids = [invoice.id for effect in chosen for invoice in effect.case.invoices]
        refused = fees_charge(invoice_ids=ids, kind=kind, regime=regime, on_payment=on_payment, now=now).refused
        for effect in chosen:
            why = sorted({refused[invoice.id] for invoice in effect.case.invoices if invoice.id in refused})
            if why:
                task = _task(effect, now)
                task.title = _("“%(step)s” could not be charged") % {"step": effect.name}
                task.notes, task.key = "\n".join(why), f"{effect.key}:{kind}"
                tasks.append(task)
    return tasks


def _tag(rows: Sequence[Effect], entries: list[Entry], now: datetime) -> None:
    wanted = {(effect.case.customer_id, str(effect.params["tag"]).strip()): effect for effect in rows}
    with connection.cursor() as cursor:
        cursor.execute(_TAG, [[pk for pk, _tag in wanted], [tag for _pk, tag in wanted]])
        for pk, tag in cursor.fetchall():
            words = _("Tagged “%(tag)s”.") % {"tag": tag}
            entries.append(_entry(wanted[pk, tag], now, kind="customer.tagged", summary=words, data={"tag": tag}))


def service_key(case_id: int) -> str:
    """Key of the one line of the log that asks for a case's service to be suspended."""
    return f"case:{case_id}:service.suspend"


def give_back(recovered: Mapping[int, int], now: datetime) -> None:
    """Asks for what the ladder had suspended once the debt is settled; `recovered` are cases with their customers."""
    keys = {service_key(case_id): case_id for case_id in recovered}
    if not keys:
        return
    suspended = Interaction.objects.filter(key__in=keys).values_list("key", flat=True)
    ended = sorted(keys[key] for key in suspended if key)
    record_many(
        Entry(
            customer_id=recovered[case_id],
            at=now,
            kind="service.resume",
            summary=_("The service is to be given back."),
            subject=f"case:{case_id}",
            key=f"case:{case_id}:service.resume",
        )
        for case_id in ended
    )
    for case_id in ended:
        announce_service(case_id=case_id, customer_id=recovered[case_id], suspend=False)


def _suspend(rows: Iterable[Effect], entries: list[Entry], now: datetime) -> None:
    for effect in rows:
        case = effect.case
        words = _("The service is to be suspended.")
        entries.append(_entry(effect, now, kind="service.suspend", summary=words, key=service_key(case.case_id)))
        announce_service(case_id=case.case_id, customer_id=case.customer_id, suspend=True)


def _hand_over(rows: Sequence[Effect], entries: list[Entry], now: datetime) -> None:
    handovers_open(given=[Given(e.case.case_id, str(e.params.get("agency", ""))) for e in rows], now=now)
    for effect in rows:
        agency = str(effect.params.get("agency", ""))
        words = _("Handed to an agency: %(agency)s") % {"agency": agency} if agency else _("Handed to an agency.")
        entries.append(
            _entry(
                effect,
                now,
                kind="case.handed_over",
                summary=words,
                key=f"{effect.key}:handed_over",
                data={"agency": agency, "balances": effect.case.balances()},
            )
        )


def _cancel_subscriptions(rows: Iterable[Effect], now: datetime) -> None:
    kind = ProcessorCommand.Kind.CANCEL_SUBSCRIPTION
    orders = [
        Order(kind, f"case:{effect.case.case_id}:{kind}:{pk}", subscription_id=pk)
        for effect in rows
        for pk in dict.fromkeys(i.subscription_id for i in effect.case.invoices if i.subscription_id is not None)
    ]
    commands_enqueue(orders=orders, now=now)


def _entry(effect: Effect, now: datetime, **fields: Any) -> Entry:
    return Entry(customer_id=effect.case.customer_id, at=now, subject=f"case:{effect.case.case_id}", **fields)


def _task(effect: Effect, now: datetime) -> Task:
    call = effect.action == Action.CALL_TASK
    return Task(
        customer_id=effect.case.customer_id,
        case_id=effect.case.case_id,
        kind=Task.Kind.CALL if call else Task.Kind.REVIEW,
        title=effect.name,
        notes=str(effect.params.get("script" if call else "notes", "")),
        key=effect.key,
        due_at=now,
        created_at=now,
    )
