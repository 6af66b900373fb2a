"""The simulator says beforehand what the real loops then do on a moved clock."""

import csv
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from django.db import transaction
from django.db.models import Min

from billing.imports.parties import Context
from billing.imports.presets import PRESETS
from billing.imports.reading import read_row
from billing.imports.receivables import Receivables
from billing.models import PaymentAttempt
from campaigns.engine.assess import assess_all
from campaigns.engine.run import escalate_all
from campaigns.models import Case, LadderVersion, Message
from campaigns.services.shipped import shipped_load
from campaigns.simulator import ladders, open_cases, receivables
from campaigns.simulator.run import simulate
from customers.models import Customer, Interaction
from tests import factories
from tests.factories import NOW
from tests.scenarios.life import Life

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
FILE = Path(__file__).parents[2] / "data" / "ibm-accounts-receivable.csv"
_DONE = {"sent": "done", "task": "done", "acted": "done"}


def told(events, labels):
    """What the simulator foresees, as the log would have it."""
    steps = [e for e in events if e.step]
    return sorted((labels[e.life], e.at, e.step, _DONE.get(e.kind, e.kind), e.rule) for e in steps)


def logged(since):
    """What the loops wrote into the log."""
    lines = Interaction.objects.filter(kind__startswith="step.", at__gte=since).select_related("customer")
    return sorted(
        (line.customer.name, line.at, line.data["step"], line.kind.removeprefix("step."), line.data.get("rule", ""))
        for line in lines
    )


def turn(now):
    list(assess_all(now=now))
    list(escalate_all(now=now))
    Message.objects.filter(status="queued").update(status="sent", sent_at=now)


def due():
    """The next moment at which a loop finds something to do."""
    waits = [
        Case.objects.aggregate(at=Min("next_action_at"))["at"],
        Customer.objects.aggregate(at=Min("reassess_at"))["at"],
    ]
    return min((at for at in waits if at is not None), default=None)


def live_on(now, until, every_day=lambda now: None):
    """Moves the clock from one moment that is due to the next, with a turn of the loops at each."""
    turn(now)
    midnight = datetime.combine(now.date() + DAY, time.min, tzinfo=UTC)
    while True:
        ahead = due()
        now = midnight if ahead is None or ahead > midnight else max(ahead, now)
        if now > until:
            return
        if now == midnight:
            every_day(now)
            midnight += DAY
        turn(now)


def office_ladder() -> LadderVersion:
    office = {"window_days": [1, 2, 3, 4, 5], "window_from": time(9), "window_to": time(17)}
    return factories.ladder(
        steps=[
            {"offset": 0},
            {"offset": 20, "offset_unit": "hours", "key": "soon"},
            {"offset": 3, "business_days": True, **office},
            {"offset": 4, "condition": {"country": ["US"]}, "key": "americans"},
            {"offset": 2, "anchor": "previous", "action": "call_task", "key": "call", **office},
            {"offset": 25, "key": "last"},
        ],
        min_gap_hours=30,
        end_actions=["call_task"],
    )


def many_cases():
    version = office_ladder()
    places = [("IT", "Europe/Rome"), ("US", ""), ("DE", ""), ("PL", "Europe/Warsaw"), ("", ""), ("FR", "")]
    for number, (country, timezone) in enumerate(places * 3):
        began = NOW - timedelta(days=number % 5, hours=7 * number)
        customer = factories.customer(name=f"C{number:02d}", country=country, timezone=timezone)
        if number == 7:
            customer.email = ""
        if number == 8:
            customer.do_not_contact = True
        customer.save()
        rows = [factories.invoice(customer, first_failed_at=began)]
        if number % 4 == 0:
            rows.append(factories.invoice(customer, first_failed_at=began + DAY, amount_due=900))
        case = factories.case(customer, invoices=rows, ladder_version=version)
        if number == 9:
            case.state, case.rests_until, case.next_action_at = "paused", NOW + 6 * DAY, NOW + 6 * DAY
            case.save()
    return version


def test_open_cases_do_what_was_simulated():
    many_cases()
    until = NOW + 45 * DAY
    # Half way in, so that there are runs, contacts and positions to go on from.
    live_on(NOW, NOW + 4 * DAY)
    now = NOW + 4 * DAY
    ids = open_cases.sample(100)
    lives = open_cases.lives(ids, now)
    foreseen = simulate(lives, [], start=now, until=until).events
    live_on(now, until)
    expected = logged(now + timedelta(seconds=1))
    assert told(foreseen, {life.key: life.label for life in lives}) == expected
    assert len(expected) > 30
    kinds = {line[3] for line in expected}
    assert kinds >= {"done", "deferred", "skipped"}


def test_past_receivables_do_what_was_simulated():
    zone = "Europe/Rome"
    brand = factories.brand(timezone=zone, default_language="en")
    preset = PRESETS["ibm"]
    with FILE.open() as text:
        rows = list(csv.DictReader(text))
    # Whoever is often late: their invoices join, leave and move the anchor.
    late = Counter(row["customerID"] for row in rows if row["Disputed"] == "No" and int(row["DaysLate"]) > 6)
    often = {customer for customer, _count in late.most_common(8)}
    chosen = [row for row in rows if row["customerID"] in often]
    items = [read_row(preset, number, row) for number, row in enumerate(chosen, start=1)]
    shipped_load(now=NOW)
    candidate = ladders.find("invoice_overdue")
    lives = receivables.lives(items, zone_name=zone)
    start = datetime(2012, 2, 1, tzinfo=UTC)
    stop = datetime(2012, 6, 30, tzinfo=UTC)
    foreseen = simulate(lives, candidate.offers, start=start, until=stop).events

    def import_as_of(now):
        context = Context(preset, brand, now.date(), now, email_domain="example.com")
        with transaction.atomic():
            Receivables(context).write(items)

    import_as_of(start)
    live_on(start, stop, import_as_of)
    expected = logged(start)
    # The import comes at midnight in London, what is paid then is paid at midnight in Rome: nothing lies between.
    assert told(foreseen, {life.key: life.label for life in lives}) == expected
    assert len(expected) > 10


def test_charges_and_mails_come_when_they_were_foreseen(stripe_world, smtp_sink):
    life = Life(stripe_world, smtp_sink)
    with life.running():
        life.subscriber({"sandbox_decline": "insufficient_funds"})
        life.to(NOW + 2 * DAY)
        case = Case.objects.get()
        lives = open_cases.lives([case.pk], life.now)
        began = life.now
        until = began + 20 * DAY
        foreseen = simulate(lives, [], start=began, until=until).events
        while True:
            planned = PaymentAttempt.objects.filter(status="planned").aggregate(at=Min("scheduled_for"))["at"]
            waits = [at for at in (due(), planned) if at is not None]
            if not waits or min(waits) > until:
                break
            life.to(max(min(waits), life.now + timedelta(microseconds=1)), step=30 * DAY)
    assert told(foreseen, {case.pk: case.customer.name}) == logged(began + timedelta(seconds=1))
    charged = PaymentAttempt.objects.filter(at__gt=began, origin="retry").order_by("at")
    assert [e.at for e in foreseen if e.kind == "retry"] == [attempt.scheduled_for for attempt in charged]
    assert len(charged) >= 3
