"""A bank that wants the customer to confirm: no charge off session again, and the case ends when they have."""

from datetime import timedelta

import pytest

from billing.models import Invoice, RetryState
from billing.retries.loop import plan_retries
from billing.retries.services import retries_resume
from campaigns.engine.assess import assess_customers
from campaigns.models import Case
from customers.models import Interaction
from tests import factories
from tests.billing.ingest.conftest import NOW, deliver, sandbox  # noqa: F401

pytestmark = pytest.mark.django_db


def test_confirmed_by_the_customer_the_case_is_recovered(sandbox, deliver):  # noqa: F811
    factories.ladder()
    sandbox.failing("pm_card_authenticationRequired")
    deliver(sandbox.events())
    invoice = Invoice.objects.get(status="open")
    assert invoice.last_decline_category == "authentication"
    tried = len(sandbox.events("charge.failed", "charge.succeeded"))
    for days in range(20):
        plan_retries(now=NOW + timedelta(days=days), limit=10)
        retries_resume(invoice_ids=[invoice.pk], now=NOW + timedelta(days=days))
    plan_retries(now=NOW, limit=10)
    invoice.refresh_from_db()
    assert invoice.retry_state == RetryState.STOPPED
    assert not invoice.attempts.filter(status="planned").exists()
    assert len(sandbox.events("charge.failed", "charge.succeeded")) == tried
    assert Interaction.objects.filter(kind="retries.stopped").first().data["asks_for"] == "authenticate"
    assess_customers(now=NOW, limit=10)
    case = Case.objects.get()

    # On the processor's page, which the portal links to, the customer answers the bank.
    sandbox.control(f"pay/{invoice.external_id}")
    deliver(sandbox.events())
    assess_customers(now=NOW, limit=10)
    invoice.refresh_from_db()
    case.refresh_from_db()
    assert (invoice.status, invoice.retry_state) == ("paid", RetryState.NONE)
    assert (case.state, case.close_reason) == ("recovered", "paid")
