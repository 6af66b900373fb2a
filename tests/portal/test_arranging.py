"""Customers agree on a plan or promise a day by themselves: once, on what they were shown, by what the rules offer."""

import re
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from billing.models import (
    AttemptStatus,
    CustomerRisk,
    Dispute,
    Invoice,
    Payment,
    PaymentAttempt,
    PaymentPlan,
    PlanPolicy,
    Promise,
)
from billing.plans.collecting import instalment_pay
from campaigns.delivery import deliver_due
from campaigns.engine.assess import assess_customers
from campaigns.models import Message
from customers.errors import SollecitoError
from customers.models import Customer, Interaction
from portal.models import Checkout
from tests import factories as f
from tests.factories import NOW
from tests.hindered import AGAINST, hindered

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def owing() -> Invoice:
    """Ninety euros, declined, at a processor that charges by our order, with a usable card and an open case."""
    f.account()
    customer = f.customer(name="Giulia Ferrari", email="giulia@example.com")
    f.payment_method(customer)
    invoice = f.invoice(customer, amount_due=9000, last_decline_category="insufficient_funds", first_failed_at=NOW)
    f.template("payment_received")
    f.case(customer, invoices=[invoice])
    return invoice


@pytest.fixture
def home(owing: Invoice, link_of: Any) -> str:
    return str(link_of(owing.customer).url)


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    return found.group(1) if found else ""


def form_of(client: Client, home: str, plan: str = "EUR-month-3", how: str = "") -> dict[str, str]:
    page = client.get(f"{home}plan/?plan={plan}&how={how}").content.decode()
    return {name: hidden(page, name) for name in ("plan", "seen", "key", "how")} | {"agree": "yes"}


def test_the_page_shows_what_the_rules_offer_in_the_customers_words(client: Client, home: str) -> None:
    page = client.get(home).content.decode()
    assert "Pay in parts" in page
    assert "2 payments of €45.00" in page
    listed = client.get(f"{home}plan/").content.decode()
    assert "3 payments of €30.00" in listed
    assert "€22.50" in listed  # four
    assert "EUR-month-5" not in listed  # eighteen euros are too small a part
    italian = client.get(f"{home}plan/?lang=it").content.decode()
    assert "3 pagamenti di 30,00" in italian.replace("\xa0", " ")
    assert "marzo 2026" in italian


def test_agreeing_makes_the_plan_staff_would_make_with_the_words_that_were_shown(
    client: Client, owing: Invoice, home: str
) -> None:
    form = form_of(client, home)
    shown = client.get(f"{home}plan/?plan={form['plan']}").content.decode()
    answered = client.post(f"{home}plan/", form, follow=True).content.decode()
    plan = PaymentPlan.objects.get()
    assert (plan.amount, plan.actor, plan.payment_method) == (9000, None, owing.customer.payment_methods.get())
    assert list(plan.instalments.values_list("amount", flat=True)) == [3000, 3000, 3000]
    assert "to charge each part to my card" in plan.consent
    assert "€30.00" in plan.consent
    assert plan.consent in shown
    owing.refresh_from_db()
    assert owing.in_plan
    assert "Your payment plan" in answered
    assert "Pay in parts" not in answered
    line = Interaction.objects.get(kind="plan.made")
    assert (line.actor_kind, plan.consent in line.body) == ("customer", True)
    mail = Message.objects.get()
    assert (mail.purpose, mail.recipient, mail.status) == ("receipt", "giulia@example.com", "queued")
    assert plan.consent.split(";")[0] in mail.own_text


def test_the_mail_leaves_though_the_case_rests_and_says_what_was_agreed_on(
    client: Client, owing: Invoice, home: str, mailoutbox: list[Any]
) -> None:
    Customer.objects.filter(pk=owing.customer_id).update(name="Giulia {{ 7 | times: 6 }} <b>Ferrari</b>")
    client.post(f"{home}plan/", form_of(client, home))
    assess_customers(now=NOW, limit=10)
    assert owing.customer.cases.get().state == "in_plan"
    deliver_due(now=NOW, limit=10)
    [mail] = mailoutbox
    assert mail.subject == "Your payment plan with Acme Cloud"
    assert "to charge each part to my card" in mail.body
    assert "/p/" in mail.body
    assert "42" not in mail.subject


def test_paying_oneself_asks_for_no_mandate(client: Client, home: str) -> None:
    client.post(f"{home}plan/", form_of(client, home, how="self"))
    plan = PaymentPlan.objects.get()
    assert plan.payment_method is None
    assert "card" not in plan.consent
    assert not plan.instalments.filter(charge_at__isnull=False).exists()


def test_without_a_card_each_part_is_paid_by_the_page(client: Client, owing: Invoice, home: str) -> None:
    owing.customer.payment_methods.all().delete()
    client.post(f"{home}plan/", form_of(client, home))
    assert PaymentPlan.objects.get().payment_method is None


def test_a_form_sent_twice_makes_one_plan_and_one_mail(client: Client, home: str) -> None:
    form = form_of(client, home)
    for _ in range(2):
        assert client.post(f"{home}plan/", form).headers["Location"].endswith("/")
    assert (PaymentPlan.objects.count(), Message.objects.count()) == (1, 1)


def _paid_a_part(invoice: Invoice) -> None:
    Invoice.objects.filter(pk=invoice.pk).update(amount_paid=1000)


def _paid(invoice: Invoice) -> None:
    Invoice.objects.filter(pk=invoice.pk).update(amount_paid=9000, status="paid")


def _disputed(invoice: Invoice) -> None:
    Dispute.objects.create(invoice=invoice, amount=9000, currency="EUR", opened_at=NOW)
    Invoice.objects.filter(pk=invoice.pk).update(disputed_at=NOW)


def _being_charged(invoice: Invoice) -> None:
    f.attempt(invoice, status=AttemptStatus.IN_FLIGHT, claimed_at=NOW)


def _another_card(invoice: Invoice) -> None:
    invoice.customer.payment_methods.update(is_default=False)
    f.payment_method(invoice.customer, external_id="pm_other", last4="1111", is_default=True)


def _no_longer_offered(invoice: Invoice) -> None:
    PlanPolicy.objects.create(brand=invoice.brand, most_instalments=2)


def _risky(invoice: Invoice) -> None:
    CustomerRisk.objects.create(customer=invoice.customer, band="high", rating="E", basis="history", scored_at=NOW)


@pytest.mark.parametrize(
    "meanwhile",
    [_paid_a_part, _paid, _disputed, _being_charged, _another_card, _no_longer_offered, _risky],
)
def test_nothing_is_agreed_on_that_is_no_longer_as_it_was_shown(
    client: Client, owing: Invoice, home: str, meanwhile: Any
) -> None:
    form = form_of(client, home)
    meanwhile(owing)
    answered = client.post(f"{home}plan/", form)
    assert answered.status_code in (302, 409)
    assert not PaymentPlan.objects.exists()
    assert not Message.objects.exists()


def test_what_nobody_ticked_is_not_agreed_to(client: Client, home: str) -> None:
    answered = client.post(f"{home}plan/", form_of(client, home) | {"agree": ""})
    assert "Please tick that you agree." in answered.content.decode()
    assert not PaymentPlan.objects.exists()


@pytest.mark.parametrize(
    ("policy", "invoice"),
    [
        pytest.param({"offered_online": False, "promise_days": 0}, {}, id="not-online"),
        pytest.param({}, {"processor_next_attempt_at": NOW + DAY}, id="processor-charges-the-whole"),
        pytest.param({}, {"first_failed_at": None, "last_decline_category": "", "due_at": NOW + DAY}, id="not-late"),
        pytest.param({}, {"at_agency": True}, id="at-an-agency"),
    ],
)
def test_where_no_plan_is_offered_the_page_has_none(
    client: Client, owing: Invoice, home: str, policy: dict[str, Any], invoice: dict[str, Any]
) -> None:
    PlanPolicy.objects.create(brand=owing.brand, **policy)
    Invoice.objects.filter(pk=owing.pk).update(**invoice)
    assert "Pay in parts" not in client.get(home).content.decode()
    assert client.get(f"{home}plan/").status_code == 302


FIRST = "Your bank did not let the whole sum through at once."


@pytest.mark.parametrize(
    ("language", "currency", "amount", "told"),
    [("en", "EUR", 9000, "€30.00"), ("it", "EUR", 9000, "30,00 €"), ("pl", "JPY", 9000, "3 000 JPY")],
)
def test_where_the_amount_is_the_obstacle_parts_come_before_the_whole(
    client: Client, link_of: Any, language: str, currency: str, amount: int, told: str
) -> None:
    invoice = hindered(customer=f.customer(language=language), currency=currency, amount_due=amount)
    page = client.get(link_of(invoice.customer).url).content.decode().replace("\xa0", " ")
    parts, whole = page.index('id="parts"'), page.index(f'form="pay-{currency}"')
    assert page.count('id="parts"') == 1
    assert parts < page.index(told) < whole
    assert 'class="button second" form="pay-' in page
    assert page.index(f"?plan={currency}-fortnight-3") < page.index(f"?plan={currency}-fortnight-2") < whole
    if language == "en":
        assert page.index("go through") < page.index(FIRST) < whole


@pytest.mark.parametrize("against", AGAINST)
def test_parts_do_not_come_first_where_they_are_not_offered_or_not_needed(
    client: Client, link_of: Any, against: Any
) -> None:
    invoice = hindered()
    home = link_of(invoice.customer).url
    assert FIRST in client.get(home).content.decode()
    against(invoice)
    page = client.get(home).content.decode()
    assert FIRST not in page
    assert page.count('id="parts"') == page.count("Pay in parts")


def test_what_came_of_a_press_names_parts_where_the_whole_was_refused_again(client: Client, link_of: Any) -> None:
    invoice = hindered()
    link = link_of(invoice.customer)
    press = Checkout.objects.create(
        link=link.link, key="k", kind="stored", invoice_ids=[invoice.pk], started_at=NOW, claimed_at=NOW,
        finished_at=NOW,
    )  # fmt: skip
    refused = f.attempt(invoice, at=NOW, claimed_at=NOW, origin="portal")
    address = f"{link.url}result/{press.pk}/"
    page = client.get(address).content.decode()
    assert FIRST in page
    assert page.index("Pay in parts") < page.index("Try another card")
    PaymentAttempt.objects.filter(pk=refused.pk).update(decline_category="expired")
    page = client.get(address).content.decode()
    assert FIRST not in page
    assert 'class="button" href' in page


def test_high_risk_is_offered_a_deposit_and_fewer_parts(client: Client, owing: Invoice, home: str) -> None:
    _risky(owing)
    listed = client.get(f"{home}plan/").content.decode()
    assert "3 payments, the first of €36.00" in listed
    assert "EUR-month-4" not in listed


def test_what_is_next_is_paid_on_the_page_once(client: Client, owing: Invoice, home: str) -> None:
    client.post(f"{home}plan/", form_of(client, home, how="self"))
    card = owing.customer.payment_methods.get()
    press = {"card": str(card.pk), "number": "1"}
    for _ in range(2):
        client.post(f"{home}plan/pay/", press)
    attempt = PaymentAttempt.objects.get()
    assert (attempt.amount, attempt.part, attempt.payment_method, attempt.status) == (3000, True, card, "planned")
    assert "Being processed" in client.get(home).content.decode()
    client.post(f"{home}plan/pay/", press | {"number": "2"})
    assert PaymentAttempt.objects.count() == 1
    # Paid, and not marked yet: the page counts it, and the same part is not asked for again.
    PaymentAttempt.objects.update(status="cancelled")
    Payment.objects.create(customer=owing.customer, amount=3000, currency="EUR", received_at=NOW)
    client.post(f"{home}plan/pay/", press)
    assert PaymentAttempt.objects.count() == 1
    with pytest.raises(SollecitoError, match="Nothing is due"):
        instalment_pay(plan_id=PaymentPlan.objects.get().pk, payment_method_id=card.pk, now=NOW)
    assert 'name="number" value="2"' in client.get(home).content.decode()


def test_a_day_is_promised_within_what_the_rules_allow(client: Client, owing: Invoice, home: str) -> None:
    page = client.get(f"{home}promise/").content.decode()
    today = NOW.date()
    assert f'max="{today + 14 * DAY}"' in page
    for wrong in (today, today + 15 * DAY, "soon"):
        assert client.post(f"{home}promise/", {"by": wrong}).status_code == 400
    assert not Promise.objects.exists()
    for _ in range(2):
        client.post(f"{home}promise/", {"by": today + 14 * DAY})
    promise = Promise.objects.get()
    assert (promise.amount, promise.promised_on, promise.actor) == (9000, today + 14 * DAY, None)
    assert "You told us you will pay by" in client.get(home).content.decode()
    assert Message.objects.get().own_subject.startswith("You will pay Acme Cloud by")
    assert owing.customer.cases.get().state == "promised"


@pytest.mark.parametrize("how", ["broken", "disabled", "currencies"])
def test_where_no_promise_is_wanted_none_is_asked_for(client: Client, owing: Invoice, home: str, how: str) -> None:
    if how == "broken":
        for _ in range(2):
            Promise.objects.create(
                customer=owing.customer, brand=owing.brand, amount=1, currency="EUR", promised_on=NOW.date(),
                expires_at=NOW, status="broken", created_at=NOW, closed_at=NOW,
            )  # fmt: skip
    elif how == "disabled":
        PlanPolicy.objects.create(brand=owing.brand, promise_days=0)
    else:
        f.invoice(owing.customer, currency="USD", first_failed_at=NOW)
    assert "Tell us when you will pay" not in client.get(home).content.decode()
    assert client.post(f"{home}promise/", {"by": NOW.date() + DAY}).status_code == 302
    assert not Promise.objects.filter(status="open").exists()


@pytest.mark.django_db(transaction=True)
def test_two_browsers_that_agree_at_once_make_one_plan(owing: Invoice, home: str) -> None:
    clients = [Client(), Client()]
    forms = [form_of(client, home, plan) for client, plan in zip(clients, ("EUR-month-3", "EUR-month-2"), strict=True)]
    barrier, answers = Barrier(2), []

    def press(client: Client, form: dict[str, str]) -> None:
        barrier.wait()
        try:
            answers.append(client.post(f"{home}plan/", form).status_code)
        finally:
            connection.close()

    threads = [Thread(target=press, args=pair) for pair in zip(clients, forms, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) in ([302, 302], [302, 409])
    assert (PaymentPlan.objects.count(), Message.objects.count()) == (1, 1)
