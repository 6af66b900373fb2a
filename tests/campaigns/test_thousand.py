"""A thousand cases in six languages through a real SMTP server: one message per step, the right words, whole mails."""

from collections import Counter
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from billing.models import Invoice
from campaigns.delivery import deliver_due
from campaigns.engine.assess import assess_all
from campaigns.engine.run import escalate_all
from campaigns.guard.book import SHIPPED
from campaigns.models import Case, Message, StepRun
from campaigns.services.shipped import shipped_load
from customers.models import Customer
from dunning_site.embedded.smtp_sink import Sink
from tests import factories
from tests.factories import NOW

#: Language → country and zone of its customers.
PLACES = {
    "en": ("US", "America/New_York"),
    "it": ("IT", "Europe/Rome"),
    "fr": ("FR", "Europe/Paris"),
    "pl": ("PL", "Europe/Warsaw"),
    "de": ("DE", "Europe/Berlin"),
    "es": ("ES", "Europe/Madrid"),
}
CASES = 1000
#: Long enough for the first two mails of the ladder everywhere.
DAYS = 5


def customers() -> list[Customer]:
    languages = list(PLACES)
    brand = factories.brand()
    rows = []
    for number in range(CASES):
        language = languages[number % len(languages)]
        country, zone = PLACES[language]
        rows.append(
            Customer(
                source="manual", external_id=f"c{number}", brand=brand, name=f"Żółw & Figli {number}",
                email=f"customer{number}@{language}.example.com", country=country, language=language, timezone=zone,
                reassess_at=NOW,
            )
        )  # fmt: skip
    return Customer.objects.bulk_create(rows)


@pytest.mark.slow
@pytest.mark.django_db
def test_a_thousand_cases_each_get_one_message_per_step(smtp_sink: Sink, settings: Any) -> None:
    settings.CUSTOMER_LINKS = "portal.links.links_for_mail"
    settings.BASE_URL = "https://pay.acme.example"
    shipped_load(now=NOW)
    rows = customers()
    Invoice.objects.bulk_create(
        Invoice(
            source="manual", external_id=f"i{row.external_id}", number=f"A-{row.pk}", customer=row, brand=row.brand,
            currency="EUR", amount_due=4900, status="open", issued_at=NOW, due_at=NOW, first_failed_at=NOW,
            collection_method="automatic",
        )
        for row in rows
    )  # fmt: skip
    now = NOW
    while now <= NOW + timedelta(days=DAYS):
        for _result in assess_all(now=now):
            pass
        for _result in escalate_all(now=now):
            pass
        while deliver_due(now=now).claimed:
            pass
        assert deliver_due(now=now).claimed == 0  # runs twice, acts once
        now += timedelta(hours=4)
    assert Case.objects.count() == CASES

    mails = smtp_sink.mails()
    taken = StepRun.objects.filter(decision="done").count()
    assert taken == len(mails) == Message.objects.filter(status="sent").count()
    per_step = Counter(Message.objects.values_list("case_id", "step_run__step__key"))
    assert set(per_step.values()) == {1}
    # Everybody had the first two mails.
    assert Counter(key for _case, key in per_step) == {"first": CASES, "reminder": CASES}

    by_key = {row.key: row for row in Message.objects.select_related("customer", "case")}
    policies = {country: SHIPPED.policy_for(country, NOW, zone) for country, zone in PLACES.values()}
    seen: set[str] = set()
    for stored in mails:
        mail = message_from_bytes(smtp_sink.reader.content(stored), policy=policy.default)
        assert isinstance(mail, EmailMessage)
        message = by_key[mail["X-Sollecito-Message"]]
        assert message.key not in seen
        seen.add(message.key)
        customer = message.customer
        assert stored.recipients == (customer.email,)
        assert mail["To"].addresses[0].display_name == customer.name
        assert mail["Content-Language"] == message.language == customer.language
        assert mail["Subject"].strip() == message.subject  # a header may be folded right after its name
        assert mail.defects == []
        assert mail.get_content_type() == "multipart/alternative"
        assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
        plain, html = (part.get_content() for part in mail.iter_parts())
        assert customer.name in plain or "A-" in plain
        assert f'lang="{customer.language}"' in html
        for body in (plain, html):
            assert "https://pay.acme.example/p/" in body
            assert "{{" not in body
            assert "{%" not in body
        due = policies[customer.country].rules("email").one_click
        assert ("List-Unsubscribe" in mail) is due
        assert ("List-Unsubscribe-Post" in mail) is due
    assert seen == set(by_key)
    # The same words for the same step, others in each language.
    subjects = {(m.step_run_id and m.case_id, m.language): m.subject for m in by_key.values()}
    assert len({(language, subject) for (_case, language), subject in subjects.items()}) >= len(PLACES)
