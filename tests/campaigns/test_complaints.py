"""What users of other tools complain about, one test each: it does not happen here. Through the real loops."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from celery import current_app
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from billing.models import Adjustment, AttemptStatus, Dispute, Fee
from campaigns.delivery import deliver_due
from campaigns.engine.assess import assess_all, assess_customers
from campaigns.engine.run import escalate_all
from campaigns.models import Case, Message, StepRun, Task
from campaigns.services.cases import case_pause
from campaigns.signals import case_exhausted
from campaigns.tracking import Told, delivery_event_record
from customers.models import Customer, Interaction, Suppression
from dunning_site.schedules import schedules_sync
from tests import factories
from tests.campaigns.engine.test_scenarios import DAY, fail, play, settle, tick
from tests.factories import NOW

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def days_of(kind="dunning"):
    """Days after NOW on which messages were queued."""
    return [(m.queued_at - NOW).days for m in Message.objects.filter(purpose=kind).order_by("queued_at", "id")]


def test_complaint_1_the_ladder_does_not_jump_when_the_oldest_invoice_is_paid():
    factories.ladder(end_actions=["cancel_subscription"])
    customer = factories.customer()
    bills = []
    done = play(
        {
            0: lambda at: bills.append(fail(customer, at)),
            6: lambda at: fail(customer, at),
            7: lambda at: settle(bills[0], at),
        },
        days=12,
    )
    # Day 7: the younger debt is a day old. It has earned the first rung, not the last warning.
    assert done == [(0, "step-1"), (3, "step-2"), (9, "step-2")]


def test_complaint_2_retries_and_ladder_are_one_clock():
    factories.ladder(steps=[{"offset": 1, "wait_for_retry_hours": 48}, {"offset": 9}])
    customer = factories.customer()
    invoice = fail(customer, NOW)
    attempt = factories.attempt(
        invoice, status=AttemptStatus.PLANNED, origin="retry", scheduled_for=NOW + 2 * DAY, probability=0.6, at=None
    )
    for hours in range(0, 48, 6):
        tick(NOW + hours * HOUR)
    assert not Message.objects.exists(), "no mail hours before a charge that will probably succeed"
    attempt.status, attempt.at = AttemptStatus.DECLINED, NOW + 2 * DAY
    attempt.save()
    invoice.last_decline_category = "expired"
    invoice.save()
    tick(NOW + 2 * DAY + 2 * HOUR)
    assert Message.objects.count() == 1
    invoice.refresh_from_db()
    assert invoice.retry_not_before > NOW + 2 * DAY + 2 * HOUR, (
        "no charge of the old card right after asking for a new"
    )


def test_complaint_3_the_decline_reason_drives_the_ladder():
    factories.ladder(
        steps=[
            {"offset": 0, "key": "new-card", "condition": {"asks_for": "new_card"}},
            {"offset": 0, "key": "wait", "condition": {"asks_for": {"not": ["new_card"]}}},
        ]
    )
    for category in ("expired", "insufficient_funds"):
        fail(factories.customer(), NOW, last_decline_category=category)
    tick(NOW)
    tick(NOW)
    taken = [
        (run.case.case_invoices.get().invoice.last_decline_category, run.step.key)
        for run in StepRun.objects.filter(decision="done").order_by("id")
    ]
    assert sorted(taken) == [("expired", "new-card"), ("insufficient_funds", "wait")]


def test_complaint_4_something_happens_at_the_end():
    factories.ladder(
        steps=[{"offset": 0}],
        end_after_hours=24,
        trigger="invoice_overdue",
        end_actions=["write_off", "tag", "suspend_service"],
        end_params={"tag": {"tag": "written-off"}},
    )
    customer = factories.customer(source="manual", external_id=None)
    invoice = factories.invoice(
        customer, source="manual", external_id=None, collection_method="manual", first_failed_at=None, due_at=NOW
    )
    customer.reassess_at = NOW
    customer.save()
    for day in range(4):
        tick(NOW + day * DAY)
    for row in (invoice, customer):
        row.refresh_from_db()
    assert (invoice.status, customer.tags) == ("uncollectible", ["written-off"])
    assert Adjustment.objects.get().amount == 4900
    assert Interaction.objects.filter(kind="service.suspend").count() == 1
    assert Case.objects.get().state == "lost"


def test_complaint_5_finished_but_not_paid_is_told_once_with_the_balance(django_capture_on_commit_callbacks):
    told = []

    def hear(**kwargs):
        told.append(kwargs["balances"])

    factories.ladder(steps=[{"offset": 0}], end_after_hours=24)
    fail(factories.customer(), NOW)
    case_exhausted.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            for number in range(100):
                tick(NOW + number * timedelta(minutes=45))
    finally:
        case_exhausted.disconnect(hear)
    assert told == [{"EUR": 4900}]
    assert Interaction.objects.filter(kind="case.exhausted").count() == 1


def test_complaint_6_a_paid_invoice_is_not_chased_again_by_a_late_failure():
    factories.ladder()
    customer = factories.customer()
    invoice = fail(customer, NOW)
    tick(NOW)
    settle(invoice, NOW + DAY)
    tick(NOW + DAY)
    factories.attempt(invoice, at=NOW + 2 * DAY)  # an old charge is cancelled at the bank, a day later
    customer.reassess_at = NOW + 2 * DAY
    customer.save()
    for day in range(2, 9):
        tick(NOW + day * DAY)
    assert [case.state for case in Case.objects.all()] == ["recovered"]
    assert days_of() == [0]


def test_complaint_7_two_currencies_do_not_use_the_ladder_up_twice_as_fast():
    factories.ladder()
    customer = factories.customer()
    done = play(
        {0: lambda at: (fail(customer, at), fail(customer, at, currency="USD"), fail(customer, at, currency="JPY"))},
        days=8,
    )
    assert done == [(0, "step-1"), (3, "step-2"), (7, "step-3")]
    assert Case.objects.count() == 1


def test_complaint_8_an_invoice_that_is_not_ready_stops_nobody(monkeypatch):
    factories.ladder()
    broken, sound = factories.customer(), factories.customer()
    fail(broken, NOW, status="draft")
    fail(sound, NOW)
    from campaigns.engine import assess as loop

    judge = loop.assess

    def stumble(standing, offers, now):
        if standing.customer_id == broken.pk:
            raise ValueError("not ready")
        return judge(standing, offers, now)

    factories.invoice(broken, first_failed_at=NOW)
    monkeypatch.setattr(loop, "assess", stumble)
    result = assess_customers(now=NOW)
    assert (result.failed, result.opened) == (1, 1)
    assert Case.objects.get().customer == sound


def test_complaint_11_one_disputed_invoice_is_left_out_and_the_others_go_on():
    factories.ladder()
    customer = factories.customer()
    bills = [fail(customer, NOW) for _ in range(2)]
    Dispute.objects.create(invoice=bills[0], amount=4900, currency="EUR", opened_at=NOW)
    bills[0].disputed_at = NOW
    bills[0].save()
    for day in range(8):
        tick(NOW + day * DAY)
    assert days_of() == [0, 3, 7]


def test_complaint_12_credit_notes_are_taken_off_what_is_asked_for():
    factories.ladder(steps=[{"offset": 0, "condition": {"balance": {"at_least": {"EUR": 30}}}}])
    small, large = factories.customer(), factories.customer()
    fail(small, NOW, amount_due=4900, amount_credited=4000)
    fail(large, NOW, amount_due=4900, amount_credited=1000)
    tick(NOW)
    assert [message.customer for message in Message.objects.all()] == [large]


def test_complaint_13_a_pause_pauses(admin_user):
    factories.ladder()
    fail(factories.customer(), NOW)
    tick(NOW)
    case = Case.objects.get()
    case_pause(case_id=case.pk, until=NOW + 20 * DAY, reason="Holiday", actor_id=admin_user.pk, now=NOW + DAY)
    for day in range(1, 25):
        tick(NOW + day * DAY)
    # It goes on where it stood: nothing of what was missed comes in a burst.
    assert days_of() == [0, 20, 24]


def test_complaint_14_a_missed_day_is_not_lost_and_reminders_end():
    factories.ladder()
    customer = factories.customer()
    done = play({0: lambda at: fail(customer, at)}, days=60, down=[3, 4])
    assert done == [(0, "step-1"), (5, "step-2"), (7, "step-3"), (10, "case.lost")]


def test_complaint_15_however_often_the_loops_run_each_notice_is_sent_once():
    factories.ladder()
    fail(factories.customer(), NOW)
    for number in range(4 * 24 * 4):
        at = NOW + number * timedelta(minutes=15)
        list(assess_all(now=at))
        list(escalate_all(now=at))
        list(escalate_all(now=at))
        Message.objects.filter(status="queued").update(status="sent", sent_at=at)
    assert days_of() == [0, 3]


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "Pacific/Honolulu", "Asia/Kolkata", "America/New_York"])
def test_complaint_16_nine_in_the_morning_is_the_customers(zone):
    factories.ladder(
        steps=[{"offset": 1, "window_from": time(9), "window_to": time(18), "window_days": [1, 2, 3, 4, 5]}]
    )
    fail(factories.customer(timezone=zone, country=""), NOW)
    for number in range(24 * 4 * 6):
        tick(NOW + number * timedelta(minutes=15))
    local = Message.objects.get().queued_at.astimezone(ZoneInfo(zone))
    assert 9 <= local.hour <= 18
    assert local.isoweekday() <= 5
    assert NOW + DAY <= local.astimezone(UTC) <= NOW + 3 * DAY


def test_complaint_18_interest_is_not_forgotten_when_the_principal_is_paid():
    due = datetime(2026, 1, 9, 12, tzinfo=UTC)
    factories.ladder(
        trigger="invoice_overdue",
        steps=[
            {"offset": 30, "action": "interest", "channel": ""},
            {"offset": 31, "action": "late_fee", "channel": "", "params": {"on_payment": "forgive"}},
        ],
    )
    customer = factories.customer(source="manual", external_id=None, kind="business")
    invoice = factories.invoice(
        customer,
        source="manual",
        external_id=None,
        collection_method="manual",
        first_failed_at=None,
        due_at=due,
        amount_due=100_000,
    )
    customer.reassess_at = due
    customer.save()
    for day in range(0, 40):
        tick(due + day * DAY)
    assert {fee.kind for fee in Fee.objects.all()} == {"interest", "late_fee"}
    settle(invoice, due + 40 * DAY)
    tick(due + 40 * DAY)
    interest, fixed = Fee.objects.get(kind="interest"), Fee.objects.get(kind="late_fee")
    # 39 days at 10.15 %: from the day after the due date to the day before the payment. The fixed sum was forgiven.
    assert (interest.status, interest.amount, interest.currency) == ("open", 100_000 * 1015 * 39 // 3_650_000, "EUR")
    assert (fixed.status, fixed.amount) == ("waived", 4000)


def test_complaint_20_service_goes_on_until_the_ladder_says_otherwise_and_comes_back_with_the_money():
    factories.ladder(steps=[{"offset": 0}, {"offset": 7, "action": "suspend_service", "channel": ""}, {"offset": 20}])
    customer = factories.customer()
    bills = []
    play({0: lambda at: bills.append(fail(customer, at)), 9: lambda at: settle(bills[0], at)}, days=12)
    told = [
        ((line.at - NOW).days, line.kind)
        for line in Interaction.objects.filter(kind__startswith="service.").order_by("id")
    ]
    assert told == [(7, "service.suspend"), (9, "service.resume")]


def test_complaint_21_a_second_failure_in_the_grace_period_brings_no_second_first_mail():
    factories.ladder()
    customer = factories.customer()
    done = play({0: lambda at: fail(customer, at), 1: lambda at: fail(customer, at)}, days=7)
    assert done == [(0, "step-1"), (3, "step-2"), (7, "step-3")]


def test_complaint_22_customers_are_told_before_all_retries_are_used_up():
    factories.ladder(steps=[{"offset": 0, "wait_for_retry_hours": 24}, {"offset": 3}])
    customer = factories.customer()
    invoice = fail(customer, NOW)
    for number in range(1, 5):
        factories.attempt(invoice, at=NOW + number * DAY, origin="retry")
    factories.attempt(
        invoice, status=AttemptStatus.PLANNED, origin="retry", scheduled_for=NOW + 20 * DAY, probability=0.4, at=None
    )
    for day in range(5):
        tick(NOW + day * DAY)
    assert days_of() == [0, 3]


def test_a_notice_that_bounces_goes_another_way_and_then_to_a_person():
    """The rival lost 938 of 1,000 letters and escalated all of them (heard before pressed)."""
    factories.ladder(steps=[{"offset": 0, "fallback_channels": ["sms"]}, {"offset": 3}])
    factories.text(factories.template(), channel="sms")
    customer = factories.customer(phone="+390612345678")
    fail(customer, NOW)
    tick(NOW, outcome="bounced")
    Case.objects.update(next_action_at=NOW + HOUR)
    tick(NOW + HOUR, outcome="failed")
    assert [(m.channel, m.status) for m in Message.objects.order_by("id")] == [("email", "bounced"), ("sms", "failed")]
    for day in range(1, 10):
        tick(NOW + day * DAY)
    assert Message.objects.count() == 2
    assert Case.objects.get().position == 1, "nobody climbs by notices that never arrived"
    Task.objects.filter(status="open").update(status="done")
    tick(NOW + 11 * DAY)
    assert Message.objects.count() == 3


# --- Sending.


def _receivable(customer, **fields):
    """An invoice whose charge failed, as the ingest loop leaves it: the customer is to be looked at."""
    row = factories.invoice(customer, **fields)
    Customer.objects.filter(pk=customer.pk).update(reassess_at=NOW)
    return row


def test_complaint_9_the_run_is_scheduled_and_needs_nobody(smtp_sink, settings, monkeypatch):
    settings.CUSTOMER_LINKS = "tests.campaigns.links.links_for_mail"
    monkeypatch.setattr("customers.clock._source", lambda: NOW)
    factories.ladder(steps=[{"offset": 0}])
    _receivable(factories.customer(email="anna@example.com"))
    schedules_sync()
    current_app.loader.import_default_modules()  # as a worker does when it starts
    rows = PeriodicTask.objects.filter(enabled=True, task__startswith="campaigns.tasks.").order_by("pk")
    often = rows.filter(interval__every__lte=300, interval__period=IntervalSchedule.SECONDS)
    # What beat does within five minutes, once each, in the order of the schedule, is all a mail needs.
    for row in often:
        current_app.tasks[row.task]()
    assert [mail.recipients for mail in smtp_sink.mails()] == [("anna@example.com",)]
    # Nothing but the counting of what talks brought may be seldom; it needs nobody either, and mails nothing.
    seldom = rows.difference(often)
    assert [row.task for row in seldom] == ["campaigns.tasks.count_chances"]
    for row in seldom:
        current_app.tasks[row.task]()
    assert len(smtp_sink.mails()) == 1


def test_complaint_10_a_reminder_to_a_blocked_address_is_not_queued_for_ever(smtp_sink, settings):
    settings.CUSTOMER_LINKS = "tests.campaigns.links.links_for_mail"
    case = factories.case(factories.customer(email="anna@example.com"), ladder_version=factories.ladder())
    message = factories.message(case)
    Suppression.objects.create(channel="email", address="anna@example.com", reason="complaint", created_at=NOW)
    assert deliver_due(now=NOW).cancelled == 1
    message.refresh_from_db()
    assert (message.status, message.rule) == ("cancelled", "address.suppressed")
    assert "anna@example.com" in message.reason
    assert Task.objects.get().customer_id == case.customer_id
    assert not Message.objects.filter(status__in=["queued", "sending"]).exists()
    assert smtp_sink.mails() == []


@pytest.mark.parametrize("times", [1, 22])
def test_complaint_15_a_loop_that_runs_every_minute_mails_once(smtp_sink, settings, times):
    settings.CUSTOMER_LINKS = "tests.campaigns.links.links_for_mail"
    factories.ladder(steps=[{"offset": 0}, {"offset": 3}])
    customer = factories.customer(email="anna@example.com")
    _receivable(customer)
    for minute in range(times):
        at = NOW + timedelta(minutes=minute)
        Customer.objects.update(reassess_at=at)  # as if a webhook had come again
        for _result in assess_all(now=at):
            pass
        for _result in escalate_all(now=at):
            pass
        deliver_due(now=at)
    assert len(smtp_sink.mails()) == 1


def test_complaint_17_which_contacts_are_dead_is_one_list(admin_client, django_assert_max_num_queries):
    messages = []
    for n in range(40):
        customer = factories.customer(email=f"debtor{n}@example.com")
        messages.append(
            factories.message(factories.case(customer), status="sent", sent_at=NOW, send_at=None, provider_id=f"<{n}>")
        )
    for n in (3, 17, 31):
        told = Told(
            kind="bounced", at=NOW, external_id=f"b{n}", provider_id=f"<{n}>", reject_reason="bounced",
            detail=f"550 5.1.1 <debtor{n}@example.com>: no such user",
        )  # fmt: skip
        assert delivery_event_record(told=told, now=NOW)
    with django_assert_max_num_queries(25):
        page = admin_client.get("/admin/customers/suppression/").content.decode()
    assert {n for n in range(40) if f"debtor{n}@example.com" in page} == {3, 17, 31}
    bounced = admin_client.get("/admin/campaigns/message/?status__exact=bounced").content.decode()
    assert {n for n in range(40) if f"debtor{n}@example.com" in bounced} == {3, 17, 31}
    # Each is somebody's to mend, and the customer's log says why.
    assert set(Task.objects.values_list("customer_id", flat=True)) == {messages[n].customer_id for n in (3, 17, 31)}
    assert Interaction.objects.filter(kind="message.bounced", body__contains="5.1.1").count() == 3
