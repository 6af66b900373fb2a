"""Facts in any order: days of the demo, its events told again shuffled and up to three times, end in one state."""

import json
import socket
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import call_command

from billing.models import InboxEvent, Invoice
from campaigns.services.shipped import shipped_load
from dunning_site.demo import play
from dunning_site.embedded.stripe_sandbox import account
from dunning_site.embedded.stripe_sandbox.params import Params
from tests import factories

UNTIL = datetime(2026, 3, 31, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def played(stripe_world, smtp_sink, text_sink, settings, tmp_path, monkeypatch):
    """Twelve days of a small demo, played through HTTP, SMTP and Twilio's API; the sandbox it was played with."""
    monkeypatch.setenv("SOLLECITO_VAR", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as free:
        settings.BASE_URL = f"http://127.0.0.1:{free.getsockname()[1]}"
    settings.STRIPE_TIMEOUT = 20
    world = stripe_world.server.world
    with world.lock:
        endpoint = {"url": f"{settings.BASE_URL}/webhooks/stripe/", "enabled_events": ["*"]}
        account.create_endpoint(world, Params(endpoint), secret="whsec_current")
    factories.account()
    shipped_load(now=factories.NOW)
    play.play(seed=3, until=UNTIL, customers=40, days=12)
    return stripe_world


def test_the_order_of_a_demo_s_events_leaves_no_trace(played):
    failed = Invoice.objects.filter(first_failed_at__isnull=False)
    assert failed.filter(status="paid").exists()
    assert failed.filter(status="open").exists()
    events, invoices = InboxEvent.objects.count(), Invoice.objects.count()
    out = StringIO()
    call_command("replay_events", rounds=2, json=True, stdout=out)
    told = json.loads(out.getvalue())
    assert told["differences"] == []
    # The practice case is ours alone: no processor tells of it.
    assert told["rows"]["invoices"] == Invoice.objects.exclude(source="practice").count() == invoices - 1
    assert told["rows"]["attempts"] >= told["rows"]["invoices"]
    assert (InboxEvent.objects.count(), Invoice.objects.count()) == (events, invoices)
