"""How long an account is not called, and what staff see of it meanwhile."""

from datetime import timedelta

import pytest
from django.urls import reverse

from billing.breaker import paused_until, processor_answered, processor_failed, processor_throttled, silences
from billing.models import ProcessorAccount
from customers.clock import running_on
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def pause(now=NOW):
    return paused_until(ProcessorAccount.objects.get(), now)


def failing(times):
    for _ in range(times):
        processor_failed(source="stripe", now=NOW)


def test_a_silent_account_is_told_until_it_answers():
    factories.account()
    failing(4)
    assert (silences(), pause()) == ([], None)
    failing(1)
    (found,) = silences()
    assert (found.name, found.failures, found.until) == ("Stripe", 5, NOW + 30 * SECOND)
    assert pause() == found.until
    assert pause(found.until) is None
    assert paused_until(None, NOW) is None
    processor_answered(source="stripe")
    assert (silences(), pause()) == ([], None)


def test_too_many_requests_is_no_silence():
    factories.account()
    processor_throttled(source="stripe", now=NOW, retry_after=60)
    assert silences() == []
    assert pause() == NOW + 60 * SECOND


@pytest.mark.parametrize(
    ("told", "seconds"),
    [(None, 1), (0.0, 1), (0.25, 0.25), (90.0, 90), (10.0**9, 3600), (float("inf"), 3600)],
)
def test_calls_pause_as_long_as_asked_but_not_for_ever(told, seconds):
    account = factories.account()
    until = processor_throttled(source="stripe", now=NOW, retry_after=told)
    account.refresh_from_db()
    assert account.paused_until == until == NOW + seconds * SECOND
    # A shorter pause does not end a longer one.
    processor_throttled(source="stripe", now=NOW, retry_after=0.1)
    account.refresh_from_db()
    assert account.paused_until == max(until, NOW + 0.1 * SECOND)


def test_the_pause_is_said_where_people_look(admin_client):
    factories.account()
    invoice = factories.invoice(factories.customer())
    pages = {
        "first": reverse("admin:index"),
        "accounts": reverse("admin:billing_processoraccount_changelist"),
        "invoice": reverse("admin:billing_invoice_change", args=[invoice.pk]),
    }

    def shown():
        with running_on(lambda: NOW):
            return {name: admin_client.get(url).content.decode() for name, url in pages.items()}

    words = {
        "first": "The last 5 calls to Stripe failed.",
        "accounts": "calls pause until",
        "invoice": "nothing is charged before",
    }
    failing(1)
    assert not [name for name, page in shown().items() if words[name] in page]
    assert "1 failed call<" in shown()["accounts"]
    failing(4)
    assert [name for name, page in shown().items() if words[name] in page] == list(pages)
