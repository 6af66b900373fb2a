"""Fixtures every test may use."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from dunning_site.embedded import postgres
from dunning_site.embedded.smtp_sink import Sink
from dunning_site.embedded.twilio_sink import TwilioSink
from tests.settings import CLUSTER_DATA

# A run of the suite is repeatable and no slow machine fails it; `--hypothesis-profile=search` looks for more.
hypothesis_settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis_settings.register_profile("search", deadline=None, max_examples=300, print_blob=True)
hypothesis_settings.load_profile("ci")


@pytest.fixture(scope="session")
def django_db_setup() -> Iterator[None]:
    """A migrated database in a cluster of this run's own, durability off, gone afterwards."""
    # Without autovacuum: it takes tables whose rows a test has not committed for empty, and the planner then joins
    # a thousand of them row by row.
    cluster = postgres.create(CLUSTER_DATA, durable=False, autovacuum=False)
    cluster.start()
    yield
    from django.db import connections

    connections.close_all()
    cluster.stop()
    shutil.rmtree(CLUSTER_DATA.parent, ignore_errors=True)


@pytest.fixture
def stripe_world(settings: Any) -> Iterator[Any]:
    """A sandbox of this test's own, over HTTP, on the clock of the factories: see tests.stripe_world."""
    from dunning_site.embedded.stripe_sandbox import SandboxServer
    from tests.factories import NOW
    from tests.stripe_world import StripeWorld

    with SandboxServer(delivery="hold", tick=False) as server:
        server.world.virtual_now = int(NOW.timestamp())
        settings.STRIPE_API_BASE = server.url
        # A test that waits for a time-out waits this long, in seconds.
        settings.STRIPE_TIMEOUT = 0.5
        yield StripeWorld(server)


@pytest.fixture
def smtp_sink(tmp_path: Path, settings: Any) -> Iterator[Sink]:
    """A real SMTP server the site sends through in this test; see its module for addresses that fail."""
    sink = Sink(tmp_path / "mail").start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", sink.port
    settings.EMAIL_TIMEOUT = 10
    yield sink
    sink.stop()


@pytest.fixture
def text_sink(smtp_sink: Sink, settings: Any) -> Iterator[TwilioSink]:
    """Takes text messages beside `smtp_sink`'s mail, into the same folder."""
    texts = TwilioSink(smtp_sink.handler.writer).start()
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKENS = texts.account_sid, [texts.auth_token]
    settings.TWILIO_API_BASE = texts.url
    yield texts
    texts.stop()
