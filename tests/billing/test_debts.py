"""Credits fall on the invoice once and charge nobody for what was given; disputes rest an invoice until answered."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from billing.commands import run_commands
from billing.credits import invoice_credit
from billing.disputes import dispute_answer, dispute_assign, dispute_open
from billing.ingest.process import process_inbox
from billing.models import Adjustment, Invoice, PaymentAttempt, ProcessorCommand, RetryState
from billing.retries.loop import plan_retries
from customers.errors import IllegalTransition, SollecitoError
from customers.models import Interaction
from tests import factories
from tests.factories import NOW
from tests.stripe_world import declining

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def actor() -> int:
    return User.objects.create_user("mia").pk


def own(**fields: Any) -> Invoice:
    """An invoice no processor knows."""
    return factories.invoice(factories.customer(source="manual"), source="manual", external_id=None, **fields)


def credit(invoice: Invoice, amount: int, actor: int, **options: Any) -> Adjustment:
    values: dict[str, Any] = {
        "invoice_id": invoice.pk, "amount": amount, "reason": "Outage in February", "actor_id": actor, "now": NOW,
    } | options  # fmt: skip
    return invoice_credit(**values)


@pytest.mark.parametrize(
    ("paid", "amount", "after"),
    [(0, 900, ("open", 4000)), (0, 4900, ("void", 0)), (1000, 3900, ("paid", 0))],
)
def test_in_our_own_books_a_credit_counts_at_once(actor: int, paid: int, amount: int, after: tuple[str, int]) -> None:
    invoice = own(amount_paid=paid)
    credit(invoice, amount, actor)
    invoice.refresh_from_db()
    assert (invoice.status, invoice.balance) == after
    assert invoice.amount_credited == amount
    assert Interaction.objects.get(kind="invoice.credited").actor_id == actor


@pytest.mark.parametrize(("amount", "status", "left"), [(900, "open", 4000), (4900, "void", 0)])
def test_at_the_processor_it_is_a_credit_note_and_the_fact_lowers_the_invoice(
    stripe_world: Any, actor: int, amount: int, status: str, left: int
) -> None:
    invoice = stripe_world.owing()
    credit(invoice, amount, actor)
    invoice.refresh_from_db()
    assert invoice.balance == 4900
    assert invoice.retry_not_before is not None
    with pytest.raises(SollecitoError) as refused:
        credit(invoice, 100, actor)
    assert refused.value.code == "in_flight"
    for _run in range(2):
        run_commands(now=NOW, limit=10)
    process_inbox(now=NOW, limit=10)
    invoice.refresh_from_db()
    assert (invoice.status, invoice.balance, invoice.amount_credited) == (status, left, 0)
    assert stripe_world.charged(invoice) == []
    assert len(stripe_world.server.world.tables["credit_note"].objects) == 1


def test_a_credit_note_that_is_refused_is_no_credit(stripe_world: Any, actor: int) -> None:
    invoice = stripe_world.owing()
    Invoice.objects.filter(pk=invoice.pk).update(amount_due=9900)
    credit(invoice, 9000, actor)
    assert run_commands(now=NOW, limit=10).failed == 1
    assert not Adjustment.objects.exists()
    assert ProcessorCommand.objects.get().status == "failed"
    assert Adjustment.history.count() == 2


@pytest.mark.parametrize(
    ("change", "amount", "code"),
    [
        ({"status": "paid"}, 100, "not_open"),
        ({"in_plan": True}, 100, "in_plan"),
        ({}, 0, "credit_amount"),
        ({}, 4901, "credit_amount"),
    ],
)
def test_what_cannot_be_credited(actor: int, change: dict[str, Any], amount: int, code: str) -> None:
    with pytest.raises(SollecitoError) as refused:
        credit(own(**change), amount, actor)
    assert refused.value.code == code
    assert not Adjustment.objects.exists()


def test_a_dispute_stops_the_charges_and_its_answer_lets_them_go_on(stripe_world: Any, actor: int) -> None:
    invoice = stripe_world.owing(declining("insufficient_funds"))
    factories.attempt(invoice)
    Invoice.objects.filter(pk=invoice.pk).update(retry_state=RetryState.NEEDS_PLAN)
    plan_retries(now=NOW, limit=10)
    dispute = dispute_open(invoice_id=invoice.pk, reason="Not as ordered", amount=1000, actor_id=actor, now=NOW)
    invoice.refresh_from_db()
    assert (invoice.disputed_at, invoice.retry_state) == (NOW, RetryState.STOPPED)
    assert not PaymentAttempt.objects.filter(status="planned").exists()
    with pytest.raises(SollecitoError) as refused:
        dispute_open(invoice_id=invoice.pk, reason="Again", actor_id=actor, now=NOW)
    assert refused.value.code == "dispute_open"
    dispute_assign(dispute_id=dispute.pk, owner_id=actor, actor_id=actor, now=NOW)
    dispute_answer(dispute_id=dispute.pk, status="won", answer="It is what was agreed.", actor_id=actor, now=NOW)
    invoice.refresh_from_db()
    assert (invoice.disputed_at, invoice.retry_state) == (None, RetryState.NEEDS_PLAN)
    told = list(Interaction.objects.filter(kind__startswith="dispute.").order_by("id").values_list("kind", flat=True))
    assert told == ["dispute.opened", "dispute.assigned", "dispute.closed"]
    with pytest.raises(IllegalTransition):
        dispute_answer(dispute_id=dispute.pk, status="lost", answer="No.", actor_id=actor, now=NOW)


def test_a_banks_dispute_is_answered_at_the_processor(actor: int) -> None:
    invoice = factories.invoice(factories.customer())
    dispute = invoice.disputes.create(source="stripe", external_id="du_1", amount=1, currency="EUR", opened_at=NOW)
    with pytest.raises(SollecitoError) as refused:
        dispute_answer(dispute_id=dispute.pk, status="won", answer="x", actor_id=actor, now=NOW)
    assert refused.value.code == "dispute_of_bank"
