"""Each shipped ladder climbed by a customer of another language, through the real loops and a mail server."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from campaigns import tasks
from campaigns.models import Case, Ladder, Message, Task
from campaigns.services.promises import promise_record
from campaigns.services.shipped import shipped_load
from customers import clock
from customers.models import Customer
from customers.services import customers_reassess
from tests import factories
from tests.factories import NOW
from tests.scenarios.life import mails, text_of

DAY = timedelta(days=1)
#: Refused for good: no retry runs beside the ladder.
LOST = {"last_decline_category": "lost_stolen", "last_decline_code": "lost_card"}


@pytest.fixture
def shipped(db: Any, smtp_sink: Any, settings: Any) -> Any:
    """The shipped set with every ladder switched on, and a mail server."""
    settings.CUSTOMER_LINKS = "tests.campaigns.links.links_for_mail"
    shipped_load(now=NOW)
    Ladder.objects.update(active=True)
    return smtp_sink


def live(days: int, *, start: datetime = NOW) -> None:
    """Lives through `days`, awake four times a day."""
    customers_reassess(list(Customer.objects.values_list("id", flat=True)), start)
    for quarter in range(days * 4 + 1):
        with clock.running_on(lambda at=start + quarter * DAY / 4: at):  # type: ignore[misc]
            tasks.assess_customers()
            tasks.escalate_due()
            tasks.deliver_due()


def codes(customer: Customer) -> list[str]:
    sent = Message.objects.filter(customer=customer, status="sent").order_by("sent_at", "id")
    return list(sent.values_list("template_version__template__code", flat=True))


def days_of(customer: Customer) -> list[int]:
    sent = Message.objects.filter(customer=customer).order_by("sent_at").values_list("sent_at", flat=True)
    return [(at - NOW).days for at in sent if at is not None]


def test_a_german_company_whose_card_failed(shipped: Any) -> None:
    customer = factories.customer(kind="business", language="de", country="DE", timezone="Europe/Berlin")
    factories.invoice(customer, **LOST)
    live(30)
    assert codes(customer) == [
        "card_failed_b2b_1", "card_failed_b2b_2", "card_failed_b2b_3", "card_failed_b2b_final",
    ]  # fmt: skip
    # The first waits for Wednesday's office hours, the second from Saturday to Monday.
    assert days_of(customer) == [1, 6, 10, 21]
    first, *_others, last = mails(shipped)
    assert str(first["Subject"]) == "Die Zahlung an Acme Cloud ist fehlgeschlagen"
    assert "49,00\xa0€" in text_of(first)
    assert "§ 288 BGB" in text_of(last)
    assert "§ 288 BGB" not in text_of(first)
    assert list(Task.objects.values_list("kind", flat=True)) == ["call", "call"]
    assert Case.objects.get().state == "lost"


def test_a_french_company_that_pays_late(shipped: Any) -> None:
    customer = factories.customer(kind="business", language="fr", country="FR", timezone="Europe/Paris")
    late = {"first_failed_at": None, "due_at": NOW - timedelta(hours=1), "collection_method": "manual"}
    factories.invoice(customer, amount_due=129_900, **late)
    live(40)
    assert codes(customer) == [f"invoice_overdue_{step}" for step in ("1", "2", "3", "final")]
    subjects = [str(mail["Subject"]) for mail in mails(shipped)]
    assert subjects[1] == "Deuxième rappel : 1 299,00 € à régler"
    assert "441-10" in text_of(mails(shipped)[-1])
    assert Task.objects.filter(kind="call").count() == 1


def test_a_polish_company_is_told_before_an_invoice_falls_due(shipped: Any) -> None:
    customer = factories.customer(kind="business", language="pl", country="PL", timezone="Europe/Warsaw")
    coming = {"first_failed_at": None, "due_at": NOW + 10 * DAY, "collection_method": "manual"}
    factories.invoice(customer, currency="PLN", **coming)
    live(10)
    assert codes(customer) == ["invoice_due_1", "invoice_due_2"]
    assert "20 marca 2026" in text_of(mails(shipped)[0])
    assert "49,00\xa0zł" in text_of(mails(shipped)[0])


def test_a_spanish_card_that_expires(shipped: Any) -> None:
    customer = factories.customer(name="Begoña Núñez", language="es", country="ES", timezone="Europe/Madrid")
    card = factories.payment_method(customer, exp_month=4, exp_year=2026, last4="1881")
    factories.subscription(customer, default_payment_method=card)
    live(50)
    assert codes(customer) == ["card_expiring_1", "card_expiring_2"]
    first = mails(shipped)[0]
    assert "terminada en 1881 es válida hasta 04/2026" in text_of(first)
    assert "Hola, Begoña:" in text_of(first)


def test_an_italian_customer_of_high_value_meets_a_person_first(shipped: Any, django_user_model: Any) -> None:
    customer = factories.customer(kind="business", language="it")
    subscription = factories.subscription(customer, amount=60_000)
    factories.invoice(customer, amount_due=60_000, subscription=subscription, **LOST)
    live(1)
    assert codes(customer) == []
    (task,) = Task.objects.all()
    assert task.kind == "call"
    giulia = django_user_model.objects.create_user("giulia", first_name="Giulia", last_name="Ferri", is_staff=True)
    Case.objects.update(owner=giulia)
    live(20, start=NOW + DAY)
    assert codes(customer) == ["high_value_1", "high_value_2"]
    assert "Giulia Ferri, Acme Cloud" in text_of(mails(shipped)[0])
    assert Task.objects.filter(kind="call").count() == 3  # twice on the way, and at the end


def test_an_english_promise_that_is_not_kept(shipped: Any) -> None:
    customer = factories.customer(language="en", country="GB", timezone="Europe/London")
    factories.invoice(customer, **LOST)
    live(1)
    assert codes(customer) == ["card_failed_1"]
    promise_record(
        customer_id=customer.pk,
        brand_id=customer.brand_id,
        amount=4900,
        currency="EUR",
        promised_on=(NOW + 3 * DAY).date(),
        now=NOW + DAY,
    )
    live(25, start=NOW + DAY)
    assert codes(customer) == ["card_failed_1", "promise_broken_1", "promise_broken_2"]
    asked = mails(shipped)[1]
    assert str(asked["Subject"]) == "About the payment you had planned"
    assert "by 13 March 2026" in text_of(asked)
