"""An account with a history, brought in by listing."""

import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from billing.ingest import backfill as module
from billing.ingest.backfill import backfill
from billing.ingest.state import canonical_state
from billing.models import BackfillCursor, Invoice, PaymentAttempt, PaymentMethod
from customers.models import Contact, Customer
from tests import factories
from tests.billing.ingest.conftest import NOW

pytestmark = pytest.mark.django_db
SINCE = datetime(2025, 1, 1, tzinfo=UTC)


def test_what_is_owed_comes_in_with_its_charges_and_nothing_twice(sandbox):
    _customer, _subscription, failed = sandbox.failing()
    account = factories.account()
    report = backfill(account=account, now=NOW)
    assert report.seen == {"customer": 1, "subscription?status=all": 1, "invoice?status=open": 1}
    invoice = Invoice.objects.get()
    assert (invoice.external_id, invoice.status, invoice.retry_state) == (failed.id, "open", "needs_plan")
    attempt = PaymentAttempt.objects.get()
    assert (attempt.decline_code, attempt.at) == ("insufficient_funds", invoice.first_failed_at)
    assert Contact.objects.get().email == "ann@example.com"
    assert PaymentMethod.objects.filter(last4="4242", is_default=True).count() == 1
    assert Customer.objects.get().reassess_at is not None
    before = canonical_state()
    backfill(account=account, now=NOW)
    assert canonical_state() == before


def test_events_after_a_backfill_change_nothing(sandbox, deliver):
    sandbox.failing()
    backfill(account=factories.account(), now=NOW, since=SINCE)
    before = canonical_state()
    deliver(sandbox.events())
    after = canonical_state()
    assert {t: after[t] for t in ("invoices", "payments", "allocations", "attempts")} == {
        t: before[t] for t in ("invoices", "payments", "allocations", "attempts")
    }


def test_a_broken_backfill_goes_on_where_it_stopped(sandbox, monkeypatch):
    for n in range(5):
        sandbox.client.customers.create({"name": f"C{n}", "email": f"c{n}@example.com"})
    account = factories.account()
    monkeypatch.setattr(module, "PAGE", 2)
    take, taken = module._take, []

    def break_after_three(account, kind, obj, *rest):
        if len(taken) == 3:
            raise KeyboardInterrupt
        taken.append(obj["id"])
        take(account, kind, obj, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_take", break_after_three)
        with pytest.raises(KeyboardInterrupt):
            backfill(account=account, now=NOW)
    assert BackfillCursor.objects.get().cursor == taken[1]
    report = backfill(account=account, now=NOW)
    assert report.seen["customer"] == 3
    assert Customer.objects.count() == 5


def test_the_command_fills_the_mirror_too(sandbox, monkeypatch):
    import stripe
    from djstripe.models import Invoice as Mirrored

    monkeypatch.setattr(stripe, "api_base", sandbox.server.url)
    sandbox.failing()
    factories.account()
    out = StringIO()
    call_command("stripe_backfill", since=SINCE, mirror=True, json=True, stdout=out)
    told = json.loads(out.getvalue())
    assert told["errors"] == []
    assert told["seen"]["invoice?status=paid?since=2025-01-01"] == 1
    assert Mirrored.objects.count() == Invoice.objects.count() == 2


def test_without_stripe_the_command_says_so(settings):
    factories.account()
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    with pytest.raises(CommandError, match="Run the command again"):
        call_command("stripe_backfill")
