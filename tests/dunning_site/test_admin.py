"""Every page of the back office opens, at a fixed number of queries, for whom the roles say."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from billing.imports.presets import PRESETS
from billing.models import (
    Allocation,
    ApprovalLimit,
    ApprovalRequest,
    AttemptStatus,
    Dispute,
    Fee,
    ImportMapping,
    ImportRun,
    InboxEvent,
    Invoice,
    Payment,
    PaymentPlan,
    PlanInstalment,
    PlanPolicy,
    ProcessorCommand,
    Promise,
    RetryModel,
    RetryModelEvent,
    RetryPolicy,
    RiskModel,
    UnknownCode,
)  # fmt: skip
from campaigns.models import (
    Agency,
    AgencyRecovery,
    DeliveryEvent,
    ExperimentExposure,
    Handover,
    HandoverInvoice,
    InboundMessage,
    Message,
    Playbook,
    PolicyOverride,
    PrintBatch,
    Segment,
    SimulationRun,
    StepRun,
    Task,
)
from campaigns.worklist.refresh import work_refresh
from customers.clock import running_on
from customers.consent import Evidence, Source, opt_out_record
from customers.log import Entry, record_many
from customers.models import BulkItem, BulkJob, Customer, ExportRun, RoleVisibility, Suppression, Team
from portal.models import PortalLink
from tests import factories as make
from tests.factories import NOW

OURS = {"customers", "billing", "campaigns", "portal"}
MODELS = sorted(
    (model for model in admin.site._registry if model._meta.app_label in OURS), key=lambda m: m._meta.label_lower
)


def world(n: int, *, serial: int = 0) -> Customer:
    """One row of everything `n` times; returns a customer who has `n` of everything."""
    make.account()
    one = make.customer(name="Wąchock-Świętokrzyskie Przedsiębiorstwo Handlowo-Usługowe Szczęsny i Wspólnicy")
    make.contact(one)
    version = make.ladder()
    template = make.template()
    layout = PRESETS["standard"].as_json()
    case = None
    for i in range(n):
        other = make.customer()
        sub = make.subscription(one)
        card = make.payment_method(one)
        invoice = make.invoice(one, subscription=sub, default_payment_method=card)
        make.attempt(invoice, payment_method=card)
        make.attempt(invoice, payment_method=card, status=AttemptStatus.PLANNED, at=None, scheduled_for=NOW)
        make.case(other, ladder_version=version)
        closed = {"state": "recovered", "closed_at": NOW, "close_reason": "paid", "next_action_at": None}
        row = make.case(one, invoices=[invoice], ladder_version=version, **({} if case is None else closed))
        case = case or row
        step = version.steps.order_by("position")[i % 3]
        run = StepRun.objects.create(case=row, step=step, scheduled_for=NOW, decided_at=NOW, decision="done")
        message = Message.objects.create(
            customer=one, brand=one.brand, case=row, step_run=run, channel="email", status="sent", language="en",
            template_version=template.versions.get(), recipient="x@example.com", key=f"m{serial}-{row.pk}",
            subject="Hello",
            html="<p>Hello</p><script>alert(1)</script>", text="Hello", queued_at=NOW, sent_at=NOW,
        )  # fmt: skip
        DeliveryEvent.objects.create(message=message, kind="delivered", at=NOW, external_id=f"e{i}")
        Task.objects.create(customer=one, case=row, kind="call", title=f"Call {i}", due_at=NOW, created_at=NOW)
        Promise.objects.create(
            customer=one, brand=one.brand, amount=100, currency="EUR", promised_on=NOW.date(), expires_at=NOW,
            status="kept", created_at=NOW,
        )  # fmt: skip
        plan = PaymentPlan.objects.create(
            customer=one, brand=one.brand, currency="EUR", status="completed", created_at=NOW
        )
        PlanInstalment.objects.create(plan=plan, number=1, due_on=NOW.date(), amount=100)
        Dispute.objects.create(invoice=invoice, amount=100, currency="EUR", opened_at=NOW, status="won")
        Fee.objects.create(
            customer=one, invoice=invoice, kind="interest", amount=100, currency="EUR", rule="eu.interest", at=NOW
        )
        payment = Payment.objects.create(customer=one, amount=100, allocated=100, currency="EUR", received_at=NOW)
        allocation = Allocation.objects.create(payment=payment, invoice=invoice, amount=100)
        agency = Agency.objects.create(code=f"a{serial}-{invoice.pk}", name="Agency")
        handover = Handover.objects.create(
            case=row, agency=agency, status="ended", handed_at=NOW, ended_at=NOW, commission_bps=2500
        )
        HandoverInvoice.objects.create(handover=handover, invoice=invoice, balance=100, currency="EUR")
        AgencyRecovery.objects.create(
            handover=handover, allocation=allocation, amount=100, commission=25, currency="EUR", at=NOW
        )
        Playbook.objects.create(name="Any call", body="Hello {{ customer.name }}")
        staff = User.objects.get_or_create(username="office")[0]
        job = BulkJob.objects.create(act="customers.tag", asked_by=staff, created_at=NOW, total=1)
        BulkItem.objects.create(job=job, target=one.pk)
        ExportRun.objects.create(model="customers.customer", asked_by=staff, created_at=NOW)
        ImportRun.objects.create(
            file_name="open.csv", sha256="", brand=one.brand, as_of=NOW.date(), status="mapping", asked_by=staff,
            created_at=NOW, layout=layout,
        )  # fmt: skip
        ImportMapping.objects.create(name=f"Ours {serial}-{i}", code=f"ours-{serial}-{i}", layout=layout)
        UnknownCode.objects.create(
            field="decline_code", code=f"new_{serial}_{i}", seen=1, first_seen_at=NOW, last_seen_at=NOW,
            example=invoice.attempts.first(),
        )  # fmt: skip
        model = RetryModel.objects.create(
            strategy="rules", state="retired", fitted_at=NOW, trained_from=NOW, trained_until=NOW, rows=1,
            customers=1, data=b"", checksum="",
        )  # fmt: skip
        RiskModel.objects.create(
            state="retired", fitted_at=NOW, trained_from=NOW, trained_until=NOW, rows=1, customers=1
        )
        RetryModelEvent.objects.create(model=model, at=NOW, kind="retired", reason="x", alert=True)
        RetryPolicy.objects.create(name="All", segment="late")
        PlanPolicy.objects.create(brand=make.brand(code=f"plans-{invoice.pk}"))
        ProcessorCommand.objects.create(
            kind="mark_uncollectible", invoice=invoice, key=f"k{serial}-{invoice.pk}", due_at=NOW, created_at=NOW
        )
        InboxEvent.objects.create(
            source="stripe", event_id=f"evt{serial}-{invoice.pk}", type="invoice.paid", occurred_at=NOW,
            received_at=NOW, payload={"a": "<script>"}, status="failed", error="boom",
        )  # fmt: skip
        Suppression.objects.create(
            channel="email", address=f"a{serial}-{invoice.pk}@example.com", reason="manual", created_at=NOW
        )
        PortalLink.objects.create(
            customer=one, brand=one.brand, token_hash=f"{serial}-{invoice.pk}", created_at=NOW,
            expires_at=NOW + timedelta(days=9),
        )  # fmt: skip
        SimulationRun.objects.create(
            ladder=version.ladder, version=version, source="open_cases", created_at=NOW, cases=10
        )
        Segment.objects.create(code=f"s{serial}-{invoice.pk}", name="Late", query="overdue_days > 1")
        experiment = make.experiment(ladder=version.ladder)
        ExperimentExposure.objects.create(
            experiment=experiment, arm=experiment.arms.earliest("position"), customer=one, case=row, at=NOW
        )
        InboundMessage.objects.create(
            channel="email", external_id=f"i{serial}-{invoice.pk}", kind="human", received_at=NOW,
            sender="x@example.com", customer=one, case=row,
        )  # fmt: skip
        opt_out_record(
            channel="email", address=f"o{serial}-{invoice.pk}@example.com", customer_id=one.pk, now=NOW,
            evidence=Evidence(Source.REPLY, text="STOP"),
        )  # fmt: skip
        PolicyOverride.objects.create(
            code="it", valid_from=NOW.date() + timedelta(days=invoice.pk), note="x",
            rules={"channels": {"call": {"basis": "house", "source": "x", "per_week": 1}}},
        )  # fmt: skip
        printer = User.objects.get_or_create(username="printer")[0]
        ApprovalRequest.objects.create(
            act="write_off", customer=one, invoice=invoice, summary="Write off", amounts={"EUR": 100},
            key=f"{serial}-{i}", requested_by=printer, requested_at=NOW, payload={"invoice_ids": [invoice.pk]},
        )  # fmt: skip
        group = Group.objects.create(name=f"g{serial}-{i}")
        ApprovalLimit.objects.create(act="write_off", group=group, currency="EUR", amount=1)
        RoleVisibility.objects.create(group=group)
        Team.objects.create(name=f"t{serial}-{i}").members.add(printer)
        PrintBatch.objects.create(created_at=NOW, created_by=User.objects.get_or_create(username="printer")[0])
        record_many(
            Entry(customer_id=one.pk, at=NOW - timedelta(minutes=i * 3 + k), kind=kind, summary=f"{kind} {i}",
                  subject=f"invoice:{invoice.pk}")
            for k, kind in enumerate(("attempt.declined", "message.sent", "case.opened"))
        )  # fmt: skip
    work_refresh(now=NOW, only=[one.pk])
    return one


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "boss-password"))
    return client


def changelist(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def change(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m._meta.label_lower)
def test_lists_open_empty(boss: Client, model: Any) -> None:
    assert boss.get(changelist(model)).status_code == 200


def do(row: Any, slug: str) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_do", args=[row.pk, slug])


def test_an_action_asks_first_and_acts_on_post_only(boss: Client) -> None:
    case = make.case(make.customer())
    page = boss.get(do(case, "pause"))
    assert page.status_code == 200
    assert "csrfmiddlewaretoken" in page.content.decode()
    case.refresh_from_db()
    assert case.state == "open"
    answer = boss.post(do(case, "pause"), {"until_0": "", "until_1": "", "reason": "On holiday"}, follow=True)
    case.refresh_from_db()
    assert (case.state, case.rest_reason) == ("paused", "On holiday")
    assert "The case rests." in answer.content.decode()
    assert case.customer.interactions.filter(kind="case.paused", actor__username="boss").count() == 1


def test_an_action_without_its_token_is_refused(db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "boss-password"))
    case = make.case(make.customer())
    assert client.post(do(case, "pause"), {"reason": "x"}).status_code == 403
    case.refresh_from_db()
    assert case.state == "open"


def test_what_a_service_refuses_is_shown_and_changes_nothing(boss: Client) -> None:
    case = make.case(make.customer(), invoices=[])
    data = {"promise_amount": "12.50", "promise_currency": "eur", "promised_on": "2026-03-12"}
    answer = boss.post(do(case, "promise"), data, follow=True)
    assert answer.status_code == 200
    assert not Promise.objects.exists()
    # Said in the form, with what was typed still there.
    assert answer.context["form"].non_field_errors()
    assert answer.context["form"]["promise_amount"].value() == "12.50"


def test_a_promise_is_typed_in_major_units(boss: Client) -> None:
    customer = make.customer()
    case = make.case(customer, invoices=[make.invoice(customer, amount_due=500, currency="JPY")])
    with running_on(lambda: NOW):
        boss.post(
            do(case, "promise"), {"promise_amount": "500", "promise_currency": "JPY", "promised_on": "2026-03-12"}
        )
    promise = Promise.objects.get()
    assert (promise.amount, promise.currency) == (500, "JPY")


def test_notes_land_in_the_log(boss: Client) -> None:
    customer = make.customer()
    boss.post(do(customer, "note"), {"text": "Called.\nWill pay.", "direction": "in", "channel": "call"})
    line = customer.interactions.get()
    assert (line.kind, line.direction, line.channel, line.summary) == ("note.added", "in", "call", "Called.")
    assert "Will pay." in boss.get(change(customer)).content.decode()


def test_tasks_are_done_once(boss: Client) -> None:
    customer = make.customer()
    task = Task.objects.create(customer=customer, kind="call", title="Call", due_at=NOW, created_at=NOW)
    boss.post(do(task, "done"), {"outcome": "Will pay on Friday"})
    boss.post(do(task, "done"), {"outcome": "again"})
    task.refresh_from_db()
    assert task.status == "done"
    assert customer.interactions.filter(kind="task.done").count() == 1


def test_failed_events_are_put_back_and_others_left_alone(boss: Client) -> None:
    common = {"source": "stripe", "type": "x", "occurred_at": NOW, "received_at": NOW, "payload": {}}
    failed = InboxEvent.objects.create(event_id="a", status="failed", attempts=9, **common)
    done = InboxEvent.objects.create(event_id="b", status="done", **common)
    data = {"action": "try_again", "_selected_action": [failed.pk, done.pk]}
    answer = boss.post(changelist(InboxEvent), data, follow=True)
    failed.refresh_from_db()
    done.refresh_from_db()
    assert failed.retry_at is not None
    assert done.status == "done"
    assert "1 put back into the queue, 1 left alone" in answer.content.decode()


def test_a_portal_link_is_shown_once_and_can_be_revoked(boss: Client) -> None:
    customer = make.customer()
    shown = boss.post(do(customer, "portal-link")).content.decode()
    link = PortalLink.objects.get()
    assert "/p/" in shown
    assert link.token_hash not in shown
    boss.post(do(link, "revoke"))
    link.refresh_from_db()
    assert link.revoked_at is not None
    assert customer.interactions.filter(actor__username="boss").count() == 2


def test_retries_can_be_held_and_released(boss: Client) -> None:
    make.account()
    customer = make.customer()
    invoice = make.invoice(customer, retry_state="planned")
    make.attempt(invoice, status=AttemptStatus.PLANNED, at=None, scheduled_for=NOW)
    boss.post(do(invoice, "hold"), {"until_0": "2099-01-01", "until_1": "09:00:00", "reason": "Asked us to"})
    invoice.refresh_from_db()
    assert invoice.retry_not_before is not None
    assert invoice.attempts.get().status == AttemptStatus.CANCELLED
    boss.post(do(invoice, "release"))
    invoice.refresh_from_db()
    assert invoice.retry_not_before is None
    assert list(customer.interactions.order_by("id").values_list("kind", flat=True)) == [
        "attempt.cancelled",
        "retry.held",
        "retry.released",
    ]


def test_the_method_of_the_retries_can_be_chosen(boss: Client) -> None:
    make.account()
    customer = make.customer()
    invoice = make.invoice(customer, retry_state="stopped")
    make.payment_method(customer)
    other = make.payment_method(customer, is_default=False, last4="1881")
    asked = boss.get(do(invoice, "method")).content.decode()
    assert "1881 (stored, not charged unless chosen)" in asked
    boss.post(do(invoice, "method"), {"method": other.pk})
    invoice.refresh_from_db()
    assert (invoice.retry_method, invoice.retry_state) == (other, "needs_plan")


def test_a_message_is_shown_in_a_frame_without_scripts(boss: Client) -> None:
    one = world(1)
    page = boss.get(change(one.messages.get())).content.decode()
    assert '<iframe class="sol-mail" sandbox=""' in page
    assert "<script>alert(1)" not in page


def test_editing_a_flag_is_logged_and_wakes_the_cases(boss: Client) -> None:
    customer = make.customer()
    form = {
        f: getattr(customer, f) or "" for f in ("name", "kind", "email", "phone", "country", "language", "timezone")
    }
    data = form | {"brand": customer.brand_id, "do_not_contact": "on", "metadata": "{}", "tags": ""}
    answer = boss.post(f"{change(customer)}?section=details", data)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    customer.refresh_from_db()
    assert customer.do_not_contact
    assert customer.reassess_at is not None
    assert customer.interactions.get().data == {"fields": ["do_not_contact"]}
    assert customer.history.count() == 2


@pytest.mark.parametrize("term", ["szczęsny", "customer-mail@", "cus_wanted"])
def test_customers_are_found_by_part_of_name_or_mail_and_by_id(boss: Client, term: str) -> None:
    wanted = make.customer(name="Hanna Szczęsny", email="customer-mail@example.com", external_id="cus_wanted")
    make.customer()
    found = boss.get(changelist(Customer), {"q": term}).context["cl"].result_list
    assert list(found) == [wanted]


def test_invoices_are_found_by_the_beginning_of_their_number(boss: Client) -> None:
    wanted = make.invoice(make.customer(), number="INV-77-001")
    make.invoice(make.customer(), number="XX-77-001")
    found = boss.get(changelist(Invoice), {"q": "INV-77"}).context["cl"].result_list
    assert list(found) == [wanted]


def test_lists_count_no_further_than_their_limit(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("customers.admin.base.COUNT_LIMIT", 3)
    for _i in range(5):
        make.customer()
    page = boss.get(changelist(Customer))
    assert page.context["cl"].result_count == 3
    assert "more than 3" in page.content.decode()


def test_the_timeline_pages_by_key(boss: Client) -> None:
    customer = make.customer()
    record_many(
        Entry(customer_id=customer.pk, at=NOW + timedelta(seconds=i // 3), kind="note.added", summary=f"line {i}!")
        for i in range(120)
    )
    seen, url = [], f"{change(customer)}?section=timeline"
    for _page in range(3):
        context = boss.get(url).context
        seen += [line.entry.summary for line in context["timeline"]]
        url = change(customer) + context["timeline_more"]
    assert context["timeline_more"] == ""
    assert seen == [f"line {i}!" for i in reversed(range(120))]


def test_a_template_with_an_unknown_variable_is_refused_with_its_line(boss: Client) -> None:
    template = make.template()
    boss.post(do(template, "draft"))
    version = template.versions.get(status="draft")
    text = version.texts.get()
    body = "<mj-section><mj-column>\n<mj-text>Dear {{ custmer.name }}</mj-text>\n</mj-column></mj-section>"
    data = {
        "texts-TOTAL_FORMS": 1, "texts-INITIAL_FORMS": 1, "texts-0-id": text.pk, "texts-0-version": version.pk,
        "texts-0-language": "en", "texts-0-channel": "email", "texts-0-subject": "Hello", "texts-0-body": body,
        "texts-0-text": "",
    }  # fmt: skip
    answer = boss.post(f"{change(version)}?section=details", data)
    assert answer.status_code == 200
    shown = answer.content.decode()
    assert "Line 2:" in shown
    assert "custmer" in shown
    text.refresh_from_db()
    assert text.body != body


def test_a_draft_ladder_is_edited_published_and_then_closed_to_change(boss: Client) -> None:
    live = make.ladder()
    boss.post(do(live.ladder, "draft"))
    draft = live.ladder.versions.get(status="draft")
    assert draft.steps.count() == 3
    boss.post(do(draft, "publish"))
    draft.refresh_from_db()
    live.refresh_from_db()
    assert (draft.status, live.status) == ("published", "retired")
    assert boss.post(f"{change(draft)}?section=details", {}).status_code == 403
