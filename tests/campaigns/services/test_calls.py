"""A call is logged with all that follows from it, once, whatever the guard would have said."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from billing.models import Dispute, Invoice, Payment, Promise
from billing.settling import payment_allocate
from campaigns.contacts import logged
from campaigns.engine.assess import assess_customers
from campaigns.models import Case, Task
from campaigns.services.calls import CallResult, Contested, Promised, call_record
from customers.errors import SollecitoError
from customers.models import Interaction, Suppression
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
FRIDAY = date(2026, 3, 13)


@pytest.fixture
def actor() -> int:
    return get_user_model().objects.create_user("mia", is_staff=True).pk


@pytest.fixture
def case() -> Case:
    return factories.case(factories.customer(phone="+39021234567", email="", country="IT"), position=1)


def call(case: Case, outcome: str, actor: int, **options: Any) -> CallResult:
    values: dict[str, Any] = {
        "customer_id": case.customer_id, "case_id": case.pk, "outcome": outcome, "actor_id": actor, "now": NOW,
        "number": "+39021234567", "key": "form-1",
    } | options  # fmt: skip
    return call_record(**values)


def promised(**fields: Any) -> Promised:
    return Promised(**({"amount": 4900, "currency": "EUR", "by": FRIDAY} | fields))


def test_a_promise_on_the_telephone_rests_the_case_at_once(case: Case, actor: int) -> None:
    result = call(case, "promised", actor, promise=promised(), seconds=95, text="Pays on Friday.")
    promise = Promise.objects.get(pk=result.promise_id)
    assert (promise.amount, promise.promised_on, promise.actor_id) == (4900, FRIDAY, actor)
    # The end of Friday in Rome and two days of grace.
    assert promise.expires_at == datetime(2026, 3, 15, 23, 0, tzinfo=UTC)
    case.refresh_from_db()
    assert (case.state, case.rests_until, case.next_action_at) == ("promised", promise.expires_at, None)
    lines = Interaction.objects.order_by("id")
    assert [line.kind for line in lines] == ["call.logged", "promise.made", "case.rested", "case.assigned"]
    assert lines[0].data["seconds"] == 95
    # Nobody looked after them: who took the promise does, and is who it comes back to.
    assert case.owner_id == actor
    # The loop agrees, and has nothing to add.
    before = Interaction.objects.count()
    assess_customers(now=NOW)
    case.refresh_from_db()
    assert (case.state, Interaction.objects.count()) == ("promised", before)


def test_a_broken_promise_brings_the_customer_back_and_the_log_tells_it(case: Case, actor: int) -> None:
    call(case, "promised", actor, promise=promised(grace_days=0))
    assess_customers(now=NOW)
    expiry = Promise.objects.get().expires_at
    assert expiry == datetime(2026, 3, 13, 23, 0, tzinfo=UTC)
    assess_customers(now=expiry - timedelta(seconds=1))
    assert Promise.objects.get().status == "open"
    assess_customers(now=expiry)
    case.refresh_from_db()
    assert (Promise.objects.get().status, case.state, case.next_action_at) == ("broken", "open", expiry)
    told = list(Interaction.objects.order_by("id").values_list("kind", flat=True))
    assert told == ["call.logged", "promise.made", "case.rested", "case.assigned", "promise.broken", "case.woken"]


def test_saved_twice_the_form_acts_once(case: Case, actor: int) -> None:
    first = call(case, "promised", actor, promise=promised())
    assert call(case, "promised", actor, promise=promised()) == CallResult(repeated=True)
    assert first.promise_id is not None
    assert (Promise.objects.count(), Interaction.objects.filter(kind="call.logged").count()) == (1, 1)


def test_a_promise_that_cannot_be_taken_leaves_no_call_behind(case: Case, actor: int) -> None:
    with pytest.raises(SollecitoError) as error:
        call(case, "promised", actor, promise=promised(amount=4901))
    assert error.value.code == "promise_amount"
    assert not Interaction.objects.exists()


def test_a_call_back_is_a_task_at_the_time_that_was_agreed(case: Case, actor: int) -> None:
    at = NOW + 2 * DAY
    task = Task.objects.get(pk=call(case, "call_back", actor, call_again_at=at).task_id)
    assert (task.kind, task.due_at, task.assignee_id, task.case_id) == ("call", at, actor, case.pk)


@pytest.mark.parametrize(
    ("outcome", "options", "code"),
    [
        ("call_back", {}, "call_back_missing"),
        ("call_back", {"call_again_at": NOW}, "call_back_past"),
        ("promised", {}, "promise_missing"),
        ("spoke", {"promise": promised()}, "call_outcome"),
        ("disputed", {}, "dispute_missing"),
        ("shouted", {}, "call_outcome"),
    ],
)
def test_what_does_not_go_together_is_refused(
    case: Case, actor: int, outcome: str, options: dict[str, Any], code: str
) -> None:
    with pytest.raises(SollecitoError) as error:
        call(case, outcome, actor, **options)
    assert error.value.code == code
    assert not Interaction.objects.exists()


def test_a_wrong_number_is_used_on_no_channel_again(case: Case, actor: int) -> None:
    result = call(case, "wrong_number", actor)
    found = Suppression.objects.filter(address="+39021234567", reason="wrong_number")
    assert set(found.values_list("channel", flat=True)) == {"call", "sms", "whatsapp"}
    assert Task.objects.get(pk=result.task_id).kind == "review"


def test_a_refusal_asks_somebody_to_decide(case: Case, actor: int) -> None:
    boss = get_user_model().objects.create_user("boss", is_staff=True)
    Case.objects.filter(pk=case.pk).update(owner=boss)
    task = Task.objects.get(pk=call(case, "refused", actor, text="Never ordered it.").task_id)
    assert (task.kind, task.assignee_id, task.notes) == ("review", boss.pk, "Never ordered it.")


def test_a_dispute_takes_the_invoice_out_of_the_case(case: Case, actor: int) -> None:
    invoice = Invoice.objects.get()
    result = call(case, "disputed", actor, dispute=Contested(invoice.pk, "Not as ordered", 1000))
    dispute = Dispute.objects.get(pk=result.dispute_id)
    assert (dispute.amount, dispute.reason, dispute.owner_id) == (1000, "Not as ordered", actor)
    assess_customers(now=NOW)
    case.refresh_from_db()
    assert case.state == "disputed"


@pytest.mark.parametrize(("outcome", "open_after"), [("spoke", 0), ("left_message", 0), ("no_answer", 1)])
def test_the_call_that_was_asked_for_is_done_or_put_off(case: Case, actor: int, outcome: str, open_after: int) -> None:
    Task.objects.create(customer=case.customer, case=case, kind="call", title="Call", due_at=NOW, created_at=NOW)
    call(case, outcome, actor)
    waiting = Task.objects.filter(status="open")
    assert waiting.count() == open_after
    # Tomorrow at ten in Rome.
    assert all(task.due_at == datetime(2026, 3, 11, 9, 0, tzinfo=UTC) for task in waiting)


def test_a_call_the_guard_was_against_is_logged_with_its_word(case: Case, actor: int) -> None:
    # A conversation yesterday: nobody is called again so soon.
    case.customer.country, case.customer.timezone = "US", "America/New_York"
    case.customer.save()
    call(case, "spoke", actor, now=NOW - DAY + timedelta(hours=4), key="form-0")
    call(case, "spoke", actor, now=NOW + timedelta(hours=4))
    line = Interaction.objects.order_by("-id").first()
    assert line is not None
    assert line.data["guard"]["level"] == "wait"
    assert line.data["guard"]["rule"].startswith("after_call.")
    assert "made although" in line.summary
    assert len(logged([case.customer_id], NOW + timedelta(hours=5))[case.customer_id].made) == 2


def test_a_promise_about_one_invoice_is_kept_by_that_invoice_only(actor: int) -> None:
    customer = factories.customer()
    one, other = factories.invoice(customer), factories.invoice(customer)
    case = factories.case(customer, invoices=[one, other])
    call(case, "promised", actor, promise=promised(invoice_ids=[one.pk]))
    # They pay the other one.
    money = Payment.objects.create(customer=customer, amount=4900, currency="EUR", received_at=NOW + DAY)
    payment_allocate(payment=money, invoice=other)
    assess_customers(now=NOW + DAY)
    assert Promise.objects.get().status == "open"
    money = Payment.objects.create(customer=customer, amount=4900, currency="EUR", received_at=NOW + DAY)
    payment_allocate(payment=money, invoice=one)
    customer.refresh_from_db()
    assess_customers(now=customer.reassess_at or NOW + 9 * DAY)
    assert Promise.objects.get().status == "kept"


def test_a_promise_about_somebody_elses_invoice_is_refused(case: Case, actor: int) -> None:
    stranger = factories.invoice(factories.customer())
    with pytest.raises(SollecitoError) as error:
        call(case, "promised", actor, promise=promised(invoice_ids=[stranger.pk]))
    assert error.value.code == "promise_invoices"
