"""A message put off for days goes to whom it would go if it were queued now."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.addressing import readdress
from campaigns.delivery import deliver_due
from campaigns.models import Message, Task
from customers.models import Contact, Customer, Suppression
from customers.services import suppression_add
from dunning_site.embedded.smtp_sink import Sink
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=3)


@pytest.fixture(autouse=True)
def _links(settings: Any) -> None:
    settings.CUSTOMER_LINKS = "tests.campaigns.links.links_for_mail"


def put_off(**fields: Any) -> tuple[Message, Contact]:
    """A mail queued to the customer's primary contact and put off since."""
    customer = factories.customer(email="office@acme.example")
    contact = factories.contact(customer, name="Anna", email="anna@acme.example", language="en")
    values = {"contact": contact, "recipient": contact.email, "send_at": LATER} | fields
    return factories.message(factories.case(customer), **values), contact


def test_a_corrected_address_is_the_one_written_to(smtp_sink: Sink) -> None:
    message, contact = put_off()
    Contact.objects.filter(pk=contact.pk).update(email="anna.bianchi@acme.example")
    assert deliver_due(now=LATER).sent == 1
    assert [mail.recipients for mail in smtp_sink.mails()] == [("anna.bianchi@acme.example",)]
    message.refresh_from_db()
    assert (message.recipient, message.contact_id) == ("anna.bianchi@acme.example", contact.pk)


def test_another_contact_takes_the_place_of_one_who_has_left_and_reads_their_own_language(smtp_sink: Sink) -> None:
    message, contact = put_off()
    other = factories.contact(message.customer, name="Léa", email="lea@acme.example", language="fr", is_primary=False)
    Contact.objects.filter(pk=contact.pk).update(active=False)
    factories.text(message.template_version.template, "email", language="fr")
    assert deliver_due(now=LATER).sent == 1
    assert [mail.recipients for mail in smtp_sink.mails()] == [("lea@acme.example",)]
    message.refresh_from_db()
    assert (message.contact_id, message.language) == (other.pk, "fr")


def test_with_no_address_left_nothing_leaves_and_a_person_is_asked(smtp_sink: Sink) -> None:
    message, contact = put_off()
    Contact.objects.filter(pk=contact.pk).update(active=False)
    Customer.objects.filter(pk=message.customer_id).update(email="")
    assert deliver_due(now=LATER).cancelled == 1
    assert smtp_sink.mails() == []
    message.refresh_from_db()
    assert message.rule == "address.missing"
    assert Task.objects.get().title == "No way to reach the customer"


def test_a_suppressed_address_stops_the_message_it_would_now_go_to(smtp_sink: Sink) -> None:
    message, contact = put_off()
    suppression_add(
        channel="email", address="new@acme.example", reason=Suppression.Reason.HARD_BOUNCE, evidence="550", now=NOW
    )
    Contact.objects.filter(pk=contact.pk).update(email="New@acme.example")
    assert deliver_due(now=LATER).cancelled == 1
    message.refresh_from_db()
    assert message.rule == "address.suppressed"


def test_a_notice_in_the_product_needs_no_address() -> None:
    message, contact = put_off(channel="in_app", status="sending", recipient="")
    readdress([message])
    assert (message.recipient, message.contact_id) == ("", contact.pk)


def test_a_letter_ready_to_be_printed_keeps_the_address_it_is_set_with() -> None:
    message, _contact = put_off(channel="letter", status="to_print", recipient="Via Roma 1\n20100 Milano")
    readdress([message])
    assert message.recipient == "Via Roma 1\n20100 Milano"


def test_choosing_costs_one_query_however_many_messages(smtp_sink: Sink) -> None:
    def asked(count: int) -> int:
        for _n in range(count):
            _message, contact = put_off()
            Contact.objects.filter(pk=contact.pk).update(email=f"new{contact.pk}@acme.example")
        with CaptureQueriesContext(connection) as queries:
            assert deliver_due(now=LATER).sent == count
        return sum('FROM "customers_contact"' in query["sql"] for query in queries)

    assert (asked(1), asked(5)) == (1, 1)
