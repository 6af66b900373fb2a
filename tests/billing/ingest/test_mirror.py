"""dj-stripe's copy follows the facts, once per object, and is never in their way."""

import pytest
import stripe
from djstripe import models

from billing.ingest import mirror
from billing.ingest.mirror import mirror_inbox
from billing.models import InboxEvent
from tests.billing.ingest.conftest import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def mirrored(sandbox, monkeypatch):
    monkeypatch.setattr(stripe, "api_base", sandbox.server.url)
    return sandbox


def test_the_latest_state_of_each_object_is_mirrored(mirrored, deliver, monkeypatch):
    customer, subscription, invoice = mirrored.failing()
    deliver(mirrored.events())
    written = []
    plain = mirror.mirror_object
    monkeypatch.setattr(mirror, "mirror_object", lambda obj: (written.append(obj["id"]), plain(obj)))
    result = mirror_inbox(now=NOW, limit=1000)
    assert result.failed == 0, InboxEvent.objects.exclude(error="").values_list("type", "error")
    assert len(written) == len(set(written)) == result.synced
    assert models.Customer.objects.get().id == customer.id
    assert models.Invoice.objects.get(id=invoice.id).stripe_data["status"] == "open"
    assert models.Subscription.objects.get(id=subscription.id).stripe_data["status"] == "past_due"
    assert not InboxEvent.objects.filter(mirrored_at=None).exists()
    assert mirror_inbox(now=NOW).claimed == 0


def test_what_cannot_be_mirrored_is_told_and_holds_nothing_up(mirrored, deliver, monkeypatch):
    mirrored.failing()
    deliver(mirrored.events("customer.created", "customer.subscription.created"))
    plain = mirror.mirror_object

    def refuse_customers(obj):
        if obj["object"] == "customer":
            raise KeyError("surprise")
        plain(obj)

    monkeypatch.setattr(mirror, "mirror_object", refuse_customers)
    result = mirror_inbox(now=NOW)
    assert (result.claimed, result.failed) == (2, 1)
    assert "surprise" in InboxEvent.objects.get(type="customer.created").error
    assert InboxEvent.objects.filter(status="done").count() == 2
