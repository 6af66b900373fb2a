"""Owns time: month arithmetic, and stepping through everything that falls due, in order."""

from __future__ import annotations

import heapq
from calendar import monthrange
from datetime import UTC, datetime

from .issuers import DAY
from .store import Obj
from .world import World

_SECONDS = {"day": DAY, "week": 7 * DAY}


def add_months(when: int, months: int) -> int:
    """``when`` (seconds UTC) moved by whole months, shortened to the last day of the month."""
    at = datetime.fromtimestamp(when, UTC)
    total = at.year * 12 + at.month - 1 + months
    year, month = total // 12, total % 12 + 1
    return int(at.replace(year=year, month=month, day=min(at.day, monthrange(year, month)[1])).timestamp())


def month_start(year: int, month: int) -> int:
    """First second of a month, UTC."""
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp())


def boundary(anchor: int, interval: str, count: int, now: int, *, before: bool = False) -> int:
    """The first period boundary after ``now``; with ``before`` the last one at or before it.

    Boundaries lie at whole intervals from the anchor, so a subscription begun on the 31st returns to the 31st.
    """
    if interval in _SECONDS:
        length = _SECONDS[interval] * count
        number = (now - anchor) // length
        return anchor + (number if before else number + 1) * length
    months = count * (12 if interval == "year" else 1)
    begun, at = datetime.fromtimestamp(anchor, UTC), datetime.fromtimestamp(now, UTC)
    number = ((at.year - begun.year) * 12 + at.month - begun.month) // months - 1
    while add_months(anchor, (number + 1) * months) <= now:
        number += 1
    return add_months(anchor, (number if before else number + 1) * months)


def set_clock(world: World, now: int) -> int:
    """Move the virtual clock, forwards through everything due; returns how many things were done.

    Moving it backwards only sets it: nothing is undone.
    """
    if world.virtual_now is None or now < world.now():
        started = world.now() if world.virtual_now is None and now > world.now() else now
        world.virtual_now = started
    done = run_due(world, now)
    world.virtual_now = now
    world.dirty = True
    return done


def run_due(world: World, until: int) -> int:
    """Do everything due up to ``until`` (seconds UTC); a virtual clock shows each thing its own moment."""
    done = 0
    while world.due and world.due[0][0] <= until:
        when, _, what, object_id = heapq.heappop(world.due)
        obj = world.find(object_id)
        if obj is None:
            continue
        if world.virtual_now is not None:
            world.virtual_now = max(world.virtual_now, when)
        world.request = {"id": None, "idempotency_key": None}
        done += _do(world, what, when, obj)
    return done


def _do(world: World, what: str, when: int, obj: Obj) -> bool:
    from . import collection, debit_answers, invoices, methods, subscriptions, updater

    if what == "period":
        if obj["items"]["data"][0]["current_period_end"] != when:
            return False
        subscriptions.renew(world, obj)
    elif what == "incomplete":
        subscriptions.expire_incomplete(world, obj)
    elif what == "cancel_at":
        if obj["cancel_at"] != when or obj["status"] == "canceled":
            return False
        collection.end(world, obj, "cancellation_requested")
    elif what == "finalize":
        if obj["status"] != "draft" or not obj["auto_advance"] or obj["automatically_finalizes_at"] != when:
            return False
        invoices.finalize(world, obj)
        if obj["collection_method"] == "send_invoice":
            world.emit("invoice.sent", obj)
        else:
            collection.automatic(world, obj)
    elif what == "retry":
        if obj["status"] != "open" or obj["next_payment_attempt"] != when:
            return False
        collection.retry(world, obj)
    elif what == "due_date":
        if obj["status"] != "open" or obj["due_date"] != when:
            return False
        world.emit("invoice.overdue", obj)
        collection.follow(world, obj, failed_now=obj["collection_method"] == "send_invoice")
    elif what == "debit":
        if obj["status"] != "pending":
            return False
        debit_answers.answer_debit(world, obj)
    elif what == "card_update":
        if obj["customer"] is None or (month_start(obj["card"]["exp_year"], obj["card"]["exp_month"])) != when:
            return False
        updater.changed_by_network(world, obj["id"], {})
        methods.watch_expiry(world, obj)
    return True


def rebuild(world: World) -> None:
    """Write the calendar anew from the objects, after loading them."""
    world.due.clear()
    for subscription in world.tables["subscription"].objects.values():
        if subscription["status"] in {"canceled", "incomplete_expired"}:
            continue
        world.at(subscription["items"]["data"][0]["current_period_end"], "period", subscription["id"])
        if subscription["cancel_at"] and not subscription["cancel_at_period_end"]:
            world.at(subscription["cancel_at"], "cancel_at", subscription["id"])
        if subscription["status"] == "incomplete":
            world.at(subscription["created"] + 23 * 3_600, "incomplete", subscription["id"])
    for invoice in world.tables["invoice"].objects.values():
        if invoice["status"] == "draft" and invoice["automatically_finalizes_at"]:
            world.at(invoice["automatically_finalizes_at"], "finalize", invoice["id"])
        if invoice["status"] == "open":
            if invoice["next_payment_attempt"]:
                world.at(invoice["next_payment_attempt"], "retry", invoice["id"])
            if invoice["due_date"] and invoice["due_date"] > world.now():
                world.at(invoice["due_date"], "due_date", invoice["id"])
    for charge in world.tables["charge"].objects.values():
        if charge["status"] == "pending":
            world.at(world.secret(charge["id"])["answers_at"], "debit", charge["id"])
    from .methods import watch_expiry

    for method in world.tables["payment_method"].objects.values():
        if method["customer"]:
            watch_expiry(world, method)
