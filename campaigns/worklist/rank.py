"""Owns the order of work: what a person should do about a customer next, what that is worth, and why. Pure.

    expected value = owed, in comparable cents, × chance that the act brings it in within a week × urgency

Something that cannot wait whatever it is worth stands above: a promise broken today, then a customer who waits for an
answer or a call that was agreed on. A case that rests by a promise, a plan, a dispute or a pause is not on the list.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from campaigns.engine.calendar import at_local
from campaigns.guard.check import check
from campaigns.guard.types import Blocked, Deferred
from campaigns.guard.zones import zone
from campaigns.models.case import CaseState
from campaigns.models.task import Task
from campaigns.models.work import WorkAction
from campaigns.worklist.chances import Chances
from campaigns.worklist.types import BANDS, Owed, Ranked, Reason, TaskFact, Window, WorkFacts, band_of
from campaigns.worklist.windows import by_hours, call_window
from campaigns.worklist.worth import comparable
from customers.models import Channel

#: What must come first, whatever it is worth.
TOP_BROKEN, TOP_WAITING, TOP_NONE = 2, 1, 0
#: Above any score: a hundred billion euros.
_STEP = 10**13
#: House rules. Nobody answered: another hour of the day, then another day.
TRY_AGAIN, TRY_TOMORROW, TRIES_A_DAY = timedelta(hours=4), timedelta(hours=20), 2
#: After a talk a customer is left in peace at least so long; the guard's rules may ask for more.
AFTER_TALK = timedelta(hours=24)
#: A mail is given so long before somebody calls after it.
AFTER_MAIL = timedelta(hours=24)
#: How much sooner something should be done than its value says: suppositions, told with each row.
URGENCY: Mapping[str, float] = {"broken": 1.5, "step": 1.3, "mailed": 0.5}
#: What a person's letter does beside a talk, where nobody may or can call: a supposition.
WRITTEN = 0.5
#: So many days a debt may still be paid without anybody's doing, as the customer's risk foretells.
FRESH = 30
#: A decision brings no money in by itself.
DECIDED = 0.1
_RESTS = {
    CaseState.PAUSED: "paused",
    CaseState.PROMISED: "promised",
    CaseState.IN_PLAN: "in_plan",
    CaseState.DISPUTED: "disputed",
    CaseState.AGENCY: "agency",
}


def is_work(facts: WorkFacts) -> bool:
    """True if there may be something for a person to do: a case with something owed, or an open task."""
    return bool(facts.tasks) or (facts.case_id is not None and bool(facts.debts))


def rank(facts: WorkFacts, chances: Chances, now: datetime) -> Ranked:
    """The row of a customer at `now` (aware UTC)."""
    tz = zone(facts.zone)
    pressed = [debt for debt in facts.debts if debt.pressed]
    window = call_window(facts.guard, now) if facts.guard is not None else Window()
    due = [task for task in facts.tasks if task.due_at <= now]
    top, first = _first(facts, due, now, tz)
    action, why, allowed = _action(facts, due, window, now)
    reasons = [*first, *_task_reasons(due), *why]
    balances = _balances(pressed or list(facts.debts))
    currency = max(balances, key=lambda code: comparable(balances[code], code), default="")
    of_currency = [debt for debt in (pressed or facts.debts) if debt.currency == currency]
    oldest = min((debt.since for debt in pressed or facts.debts), default=now)
    days = (now - oldest).days
    reason = min(pressed or facts.debts, key=lambda debt: debt.since, default=None)
    chance, told = _chance(facts, pressed, action, chances, now)
    urgency, hurry = _urgency(facts, due, now)
    reasons += [*told, *hurry]
    score = round(sum(comparable(debt.balance, debt.currency) for debt in pressed) * chance * urgency)
    rest, due_at = _rest(facts, due, action, None if top == TOP_BROKEN else allowed, now)
    return Ranked(
        action=action,
        rank=top * _STEP + min(score, _STEP - 1),
        score=score,
        chance=chance,
        reasons=tuple(reasons),
        flags=tuple(_flags(facts)),
        due_at=due_at,
        rest=rest,
        window=window,
        balances=balances,
        currency=currency,
        balance=balances.get(currency, 0),
        ageing=_ageing(of_currency, now),
        invoices=len(pressed or facts.debts),
        oldest_days=days,
        reason=reason.reason if reason is not None else "",
        refresh_at=_refresh_at(facts, due_at, now, tz),
    )


def _first(facts: WorkFacts, due: list[TaskFact], now: datetime, tz: ZoneInfo) -> tuple[int, list[Reason]]:
    """What must come first, and in what words."""
    broken = facts.broken_at
    if broken is not None:
        spoken = max((call.at for call in facts.calls if call.talk), default=None)
        today = broken.astimezone(tz).date() == now.astimezone(tz).date()
        if today and (spoken is None or spoken < broken):
            return TOP_BROKEN, [Reason("broken_today", {"at": broken.isoformat()})]
    for task in due:
        if task.key.startswith("reply:"):
            return TOP_WAITING, [Reason("reply", {"at": (task.created_at or task.due_at).isoformat()})]
        if task.kind == Task.Kind.CALL and not task.key.startswith("step:"):
            return TOP_WAITING, [Reason("agreed", {"at": task.due_at.isoformat(), "title": task.title})]
    return TOP_NONE, []


def _task_reasons(due: list[TaskFact]) -> Iterator[Reason]:
    for task in due:
        if not task.key.startswith("reply:") and (task.kind != Task.Kind.CALL or task.key.startswith("step:")):
            yield Reason("task", {"title": task.title})


def _action(
    facts: WorkFacts, due: list[TaskFact], window: Window, now: datetime
) -> tuple[str, list[Reason], datetime | None]:
    """What to do, why that, and from when on the rules on repeated contact allow it (None: now).

    Never a call the guard forbids, or puts off for more than the hour.
    """
    if any(task.key.startswith("reply:") for task in due):
        return WorkAction.ANSWER, [], None
    if facts.guard is None or any(task.kind != Task.Kind.CALL for task in due):
        return WorkAction.DECIDE, [], None
    if not window.rule or (window.start is not None and by_hours(window.rule)):
        return WorkAction.CALL, [], None
    mail = check(facts.guard, Channel.EMAIL, now)
    why = Reason("no_call", {"rule": window.rule, "until": window.start.isoformat() if window.start else None})
    if not isinstance(mail, Blocked):
        later = mail.until if isinstance(mail, Deferred) and not by_hours(mail.rule) else None
        # A call that may be made later on is worth waiting for: a letter would use up the contact.
        return WorkAction.WRITE, [why], window.start or later
    if window.rule == "address.missing" and mail.rule == "address.missing":
        return WorkAction.FIND, [Reason("no_address")], None
    return WorkAction.DECIDE, [why, Reason("no_mail", {"rule": mail.rule})], window.start


def _chance(
    facts: WorkFacts, pressed: list[Owed], action: str, chances: Chances, now: datetime
) -> tuple[float, list[Reason]]:
    """Chance that the act brings the money in within a week where it would not come by itself."""
    if not pressed:
        return 0.0, []
    oldest = min(pressed, key=lambda debt: debt.since)
    band = band_of((now - oldest.since).days)
    found = chances.of(oldest.reason, band)
    basis = {"talks": found.talks, "paid": found.paid, "reason": oldest.reason, "band": BANDS[band]}
    told = [Reason("chance", {"share": round(found.value, 3), "talks": found.talks})]
    chance = found.value
    tries, talks = len(facts.calls), sum(call.talk for call in facts.calls)
    if action == WorkAction.CALL and tries:
        # Even odds before anybody tried, worth two calls.
        reach = (talks + 1) / (tries + 2)
        # What is counted holds for those who were reached; who is hard to reach is worth less, nobody more.
        chance *= min(2 * reach, 1.0)
        told.append(Reason("reach", {"calls": tries, "talks": talks}))
    elif action in (WorkAction.DECIDE, WorkAction.FIND):
        chance *= DECIDED
    elif action == WorkAction.WRITE:
        chance *= WRITTEN
    if (now - oldest.since).days <= FRESH and facts.late_chance is not None:
        # Who pays by themselves sooner or later is helped less by a call; who is late as a rule, as much as anybody.
        chance *= 0.5 + 0.5 * facts.late_chance
        told.append(Reason("late", {"share": round(facts.late_chance, 3), "supposed": facts.late_supposed}))
    charge = min((debt for debt in pressed if debt.charge_at), key=lambda debt: debt.charge_at or now, default=None)
    if charge is not None and charge.charge_at is not None and charge.charge_chance:
        chance *= 1 - charge.charge_chance
        told.append(Reason("charge", {"at": charge.charge_at.isoformat(), "share": round(charge.charge_chance, 3)}))
    told.append(Reason("basis", basis))
    return chance, told


def _urgency(facts: WorkFacts, due: list[TaskFact], now: datetime) -> tuple[float, list[Reason]]:
    factor, told = 1.0, []
    if facts.broken_at is not None and now - facts.broken_at < timedelta(days=7):
        factor *= URGENCY["broken"]
        told.append(Reason("broken", {"at": facts.broken_at.isoformat(), "count": facts.broken}))
    if any(task.kind == Task.Kind.CALL and task.key.startswith("step:") for task in due):
        factor *= URGENCY["step"]
        told.append(Reason("step"))
    if facts.written_at is not None and now - facts.written_at < AFTER_MAIL:
        factor *= URGENCY["mailed"]
        told.append(Reason("mailed", {"at": facts.written_at.isoformat()}))
    return factor, told


def _rest(
    facts: WorkFacts, due: list[TaskFact], action: str, allowed: datetime | None, now: datetime
) -> tuple[str, datetime | None]:
    """Why the row is not on the list and until when; ("", a moment past) where it is. The longest rest counts."""
    snooze = _snooze(facts, due, now)
    if any(task.kind != Task.Kind.CALL for task in due):
        # Somebody waits for an answer, or something failed that only a person mends: rests of the debt do not matter.
        return ("snoozed", snooze) if snooze else ("", now)
    standing = _standing(facts)
    if standing is not None and (standing[1] is None or standing[1] > now):
        return standing
    if facts.case_id is None:
        coming = min((task.due_at for task in facts.tasks), default=now)
        return ("", now) if coming <= now else ("task_later", coming)
    waits = [("snoozed", snooze)] if snooze else []
    waits += _after_calls(facts, action, now)
    if allowed is not None:
        waits.append(("contact_rules", allowed))
    waits = [(why, until) for why, until in waits if until > now]
    return max(waits, key=lambda wait: wait[1]) if waits else ("", now)


def _snooze(facts: WorkFacts, due: list[TaskFact], now: datetime) -> datetime | None:
    """The end of a snooze that still stands: news from the customer or a broken promise ends it at once."""
    if facts.snoozed_until is None or facts.snoozed_until <= now:
        return None
    since = facts.snoozed_at or facts.snoozed_until
    news = [facts.heard_at, facts.broken_at, *(t.created_at for t in due if t.key.startswith("reply:"))]
    return None if any(moment is not None and moment > since for moment in news) else facts.snoozed_until


def _standing(facts: WorkFacts) -> tuple[str, datetime | None] | None:
    """A rest of the debt itself."""
    if facts.promised_until is not None:
        return "promised", facts.promised_until
    if facts.state in _RESTS:
        return _RESTS[CaseState(facts.state)], facts.rests_until
    if facts.case_id is not None and not any(debt.pressed for debt in facts.debts):
        return ("in_plan" if facts.in_plan else "disputed" if facts.debts else "nothing_owed"), None
    return None


def _after_calls(facts: WorkFacts, action: str, now: datetime) -> list[tuple[str, datetime]]:
    waits = []
    if talks := [call.at for call in facts.calls if call.talk]:
        waits.append(("talked", max(talks) + AFTER_TALK))
    tried = [call.at for call in facts.calls if not call.talk and call.at > now - timedelta(hours=24)]
    if action == WorkAction.CALL and tried:
        waits.append(("tried", max(tried) + (TRY_TOMORROW if len(tried) >= TRIES_A_DAY else TRY_AGAIN)))
    return waits


def _flags(facts: WorkFacts) -> Iterator[Reason]:
    if facts.promised_until is not None:
        yield Reason("promise", {"until": facts.promised_until.isoformat()})
    if facts.in_plan or any(debt.in_plan for debt in facts.debts):
        yield Reason("plan")
    if facts.disputes or any(debt.disputed for debt in facts.debts):
        yield Reason("dispute")
    if facts.broken:
        yield Reason("promises_broken", {"count": facts.broken})
    guard = facts.guard
    if guard is not None:
        for name in ("vulnerable", "do_not_contact", "legal_hold", "bankrupt", "no_dunning"):
            if getattr(guard, name):
                yield Reason(name)


def _balances(debts: list[Owed]) -> dict[str, int]:
    found: dict[str, int] = {}
    for debt in debts:
        found[debt.currency] = found.get(debt.currency, 0) + debt.balance
    return dict(sorted(found.items()))


def _ageing(debts: list[Owed], now: datetime) -> tuple[int, ...]:
    bars = [0] * len(BANDS)
    for debt in debts:
        bars[band_of((now - debt.since).days)] += debt.balance
    return tuple(bars)


def _refresh_at(facts: WorkFacts, due_at: datetime | None, now: datetime, tz: ZoneInfo) -> datetime:
    """The soonest of: the end of its rest, the next task, the end of a mail's day, and the night, when all ages grow.

    The night is spread over an hour by the customer's number, so that a zone's customers do not come all at once.
    """
    tomorrow = now.astimezone(tz).date() + timedelta(days=1)
    night = at_local(tomorrow, time(0), tz) + timedelta(seconds=facts.customer_id % 3600)
    moments = [night, *(task.due_at for task in facts.tasks)]
    if due_at is not None:
        moments.append(due_at)
    if facts.written_at is not None:
        moments.append(facts.written_at + AFTER_MAIL)
    return min(moment for moment in moments if moment > now).astimezone(UTC)
