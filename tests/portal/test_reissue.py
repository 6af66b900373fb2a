"""A new link for somebody whose link no longer works: same answer for all, a mail for who owes."""

import re
from smtplib import SMTPException
from typing import Any

import pytest
from django.core import mail

from customers.models import Interaction, Suppression
from portal import reissue
from portal.models import NewLinkRequest, PortalLink
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def ask(client: Any, email: str) -> Any:
    return client.post("/p/new/link/", {"email": email})


def body_of(response: Any) -> str:
    return response.content.decode().replace(response.context["nonce"], "")


def test_the_answer_and_its_work_do_not_tell_who_is_a_customer(client: Any, django_assert_num_queries: Any) -> None:
    factories.invoice(factories.customer(email="ada@example.com"))
    answers = set()
    for email in ("ada@example.com", "nobody@example.com"):
        with django_assert_num_queries(3):
            response = ask(client, email)
        answers.add((response.status_code, body_of(response)))
    assert len(answers) == 1
    assert NewLinkRequest.objects.count() == 2
    assert mail.outbox == []


def test_who_owes_gets_a_link_that_opens_the_page(client: Any) -> None:
    customer = factories.customer(email="ada@example.com", language="it", name="Ada")
    factories.invoice(customer, number="ACME-9")
    ask(client, " ADA@example.com ")
    ask(client, "nobody@example.com")
    assert reissue.send_requested_links(now=NOW) == reissue.SendResult(claimed=2, sent=1)
    assert reissue.send_requested_links(now=NOW) == reissue.SendResult(claimed=0, sent=0)
    (message,) = mail.outbox
    assert message.to == ["ada@example.com"]
    assert message.subject == "Il tuo nuovo link per Acme Cloud"
    assert message.from_email == "Acme Billing <billing@acme.example>"
    url = re.search(r"http\S+/p/\S+", str(message.body))
    assert url is not None
    assert "ACME-9" in client.get(url[0]).content.decode()
    assert url[0] in str(message.alternatives[0])
    line = Interaction.objects.get(kind="portal.link_sent")
    assert (line.customer, line.direction) == (customer, "out")


@pytest.mark.parametrize("case", ["paid", "bounced", "deleted", "inactive contact"])
def test_nothing_is_sent_where_there_is_nothing_to_send(client: Any, case: str) -> None:
    customer = factories.customer(email="" if case == "inactive contact" else "ada@example.com")
    factories.invoice(customer, **({"status": "paid", "amount_paid": 4900} if case == "paid" else {}))
    if case == "bounced":
        Suppression.objects.create(channel="email", address="ada@example.com", reason="hard_bounce", created_at=NOW)
    if case == "deleted":
        type(customer).objects.update(deleted_at=NOW)
    if case == "inactive contact":
        factories.contact(customer, email="ada@example.com", active=False)
    ask(client, "ada@example.com")
    assert reissue.send_requested_links(now=NOW).sent == 0
    assert not PortalLink.objects.exists()


def test_a_contacts_address_counts_too(client: Any) -> None:
    customer = factories.customer(email="boss@example.com")
    factories.contact(customer, email="accounts@example.com")
    factories.invoice(customer)
    ask(client, "Accounts@example.com")
    assert reissue.send_requested_links(now=NOW).sent == 1


def test_a_mail_server_that_fails_is_not_asked_twice(client: Any, monkeypatch: Any) -> None:
    factories.invoice(factories.customer(email="ada@example.com"))
    ask(client, "ada@example.com")

    def fail(*_args: Any, **_kwargs: Any) -> int:
        raise SMTPException("no")

    monkeypatch.setattr("django.core.mail.message.EmailMessage.send", fail)
    assert reissue.send_requested_links(now=NOW) == reissue.SendResult(claimed=1, sent=0)
    assert reissue.send_requested_links(now=NOW).claimed == 0
    assert not Interaction.objects.filter(kind="portal.link_sent").exists()


def test_one_address_gets_three_links_a_day_and_the_answer_stays_the_same(client: Any) -> None:
    answers = {body_of(ask(client, "ada@example.com")) for _ in range(5)}
    assert len(answers) == 1
    assert NewLinkRequest.objects.count() == 3


def test_one_visitor_may_ask_ten_times_an_hour(client: Any) -> None:
    codes = [ask(client, f"a{n}@example.com").status_code for n in range(11)]
    assert codes == [200] * 10 + [429]


def test_half_an_address_is_asked_for_again(client: Any) -> None:
    response = ask(client, "ada@")
    assert response.status_code == 400
    assert "complete e-mail address" in response.content.decode()
