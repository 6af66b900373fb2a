"""The ledger of a card where staff look at it, what would help, the charge past a limit, and the unknown codes."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.urls import reverse

from billing.models import AttemptStatus, RetryState, UnknownCode
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def manager(monkeypatch):
    monkeypatch.setattr("customers.clock.now", lambda: NOW)
    return factories.desk(factories.staff("manager", "mara"))


def failed(times=7, **codes):
    owner = factories.customer()
    factories.account(limit_profile="latest")
    method = factories.payment_method(owner)
    invoice = factories.invoice(owner)
    for n in range(1, times + 1):
        factories.attempt(invoice, payment_method=method, at=NOW - n * DAY, number=times + 1 - n, **codes)
    return invoice, method


def page(client, row, section):
    url = reverse(f"admin:billing_{row._meta.model_name}_change", args=[row.pk])
    return client.get(f"{url}?section={section}").content.decode()


def test_the_ledger_is_on_the_page_of_card_invoice_customer_and_case(manager):
    invoice, method = failed()
    factories.attempt(
        invoice, payment_method=method, number=8, status=AttemptStatus.PLANNED, at=None, scheduled_for=NOW + DAY
    )
    case = factories.case(invoice.customer, invoices=[invoice])
    customer = reverse("admin:customers_customer_change", args=[invoice.customer_id])
    shown = [
        page(manager, method, "ledger"),
        page(manager, invoice, "attempts"),
        manager.get(f"{customer}?section=methods").content.decode(),
        manager.get(reverse("admin:campaigns_case_change", args=[case.pk])).content.decode(),
    ]
    assert all("Visa: 7 of 20 used in 30 days." in html for html in shown)


def test_a_full_and_finished_card_says_what_a_further_try_costs(manager):
    invoice, method = failed(20, network_decline_code="R1")
    type(method).objects.update(never_again_at=NOW - DAY, never_again_reason="Network code R1.")
    html = page(manager, method, "ledger")
    assert "20 of 20 used" in html
    assert "One more attempt now costs about 0.15 USD (a try after a final code)." in html
    assert "Network code R1." in html
    assert "2.85 USD" in html  # nineteen of them came after a final code, at the price of March 2026


@pytest.mark.parametrize(
    ("declines", "words"),
    [
        (["1 expired_card"], "What would help: another card, or new details of this one"),
        (["1 authentication_required"], "What would help: the customer&#x27;s own confirmation"),
        (
            ["1 authentication_required", "1 insufficient_funds"],
            "What would help: the customer&#x27;s own confirmation",
        ),
        # That card is not charged any more.
        (["1 expired_card", "2 insufficient_funds"], ""),
        (["1 insufficient_funds"], ""),
        ([], ""),
    ],
)
def test_a_stop_says_what_would_help(manager, declines, words):
    owner = factories.customer()
    factories.account()
    cards = {name: factories.payment_method(owner) for name in "12"}
    invoice = factories.invoice(owner, retry_state=RetryState.STOPPED, retry_reason="No.")
    for n, (card, code) in enumerate(map(str.split, declines)):
        factories.attempt(invoice, payment_method=cards[card], decline_code=code, at=NOW + n * DAY)
    shown = page(manager, invoice, "attempts")
    assert ("What would help" in shown) is bool(words)
    assert words in shown


def test_only_who_may_is_asked_and_asked_for_a_reason(manager):
    invoice, _method = failed(20)
    url = reverse("admin:billing_invoice_do", args=[invoice.pk, "charge-past-limit"])
    html = manager.get(url).content.decode()
    assert "20 of 20 used" in html
    assert "This field is required" in manager.post(url, {"reason": " "}).content.decode()
    User.objects.get().groups.set([Group.objects.get(name="collector")])
    assert manager.get(url).status_code == 403
    assert not Group.objects.get(name="collector").permissions.filter(codename="override_limits").exists()
    assert Permission.objects.filter(codename="override_limits").exists()


def test_unknown_codes_are_listed_with_an_example_until_the_table_knows_them(manager):
    invoice, _method = failed(1)
    times = {"first_seen_at": NOW - DAY, "last_seen_at": NOW, "example": invoice.attempts.get()}
    UnknownCode.objects.create(field="decline_code", code="brand_new", seen=4, **times)
    UnknownCode.objects.create(field="network_decline_code", code="51", seen=1, **times)
    html = manager.get(reverse("admin:billing_unknowncode_changelist")).content.decode()
    assert html.count("retried with caution") == html.count("known by now") == 1
    assert reverse("admin:billing_paymentattempt_change", args=[times["example"].pk]) in html
