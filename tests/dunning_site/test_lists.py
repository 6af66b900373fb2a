"""What lists say of themselves: their name, what stands in them, how many rows."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from campaigns.models import Task, TemplateText
from customers.log import Entry, record
from customers.models import Customer
from customers.models.customer import PRACTICE
from tests import factories as make
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "boss-password"))
    return client


def seen(client: Client, name: str, query: str = "") -> str:
    return client.get(f"{reverse(f'admin:{name}')}{query}").content.decode()


def test_an_empty_list_says_what_will_stand_in_it(boss: Client) -> None:
    page = seen(boss, "campaigns_inboundmessage_changelist")
    assert "Incoming messages | Sollecito" in page
    assert "Select incoming message" not in page
    assert "What customers answer to mails and texts appears here" in page
    assert "Show all" not in page


def test_a_list_emptied_by_a_filter_offers_to_take_it_away(boss: Client) -> None:
    make.case(make.customer())
    page = seen(boss, "campaigns_case_changelist", "?state__exact=agency")
    assert "Nothing matches" in page
    assert "A case opens when" not in page


@pytest.mark.parametrize(
    "name",
    ["campaigns_case", "campaigns_task", "campaigns_message", "billing_invoice", "billing_paymentattempt"],
)
def test_a_list_leaves_out_whom_staff_practise_on_as_figures_do(boss: Client, name: str) -> None:
    for source in ("stripe", PRACTICE):
        customer = make.customer(name=f"From {source}", source=source)
        invoice = make.invoice(customer)
        make.attempt(invoice)
        case = make.case(customer, invoices=[invoice])
        make.message(case)
        Task.objects.create(customer=customer, kind="call", title="Call", due_at=NOW, created_at=NOW)
    page = boss.get(reverse(f"admin:{name}_changelist"))
    assert page.context["cl"].result_count == 2
    for query, source in (("?practice=without", "stripe"), ("?practice=only", PRACTICE)):
        found = boss.get(reverse(f"admin:{name}_changelist") + query).context["cl"].result_list
        assert [owner(row).source for row in found] == [source]


def owner(row: Any) -> Customer:
    """The customer of a row, through its invoice if it has none of its own."""
    found: Customer = row.invoice.customer if hasattr(row, "invoice") else row.customer
    return found


def test_rows_are_counted_by_what_they_are(boss: Client) -> None:
    for _ in range(2):
        record(Entry(customer_id=make.customer().pk, at=NOW, kind="note.added", summary="Hello"))
    page = " ".join(seen(boss, "customers_interaction_changelist").split())
    assert "2 entries" in page


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(15, "every 15 seconds"), (60, "every minute"), (7200, "every 2 hours"), (86_400, "every day")],
)
def test_schedules_are_told_in_words(boss: Client, seconds: int, words: str) -> None:
    every = IntervalSchedule.objects.create(every=seconds, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name="One", task="x", interval=every)
    assert words in seen(boss, "django_celery_beat_periodictask_changelist")


def test_a_template_names_each_language_once_and_a_drafts_form_is_its_texts(boss: Client) -> None:
    template = make.template()
    live = template.versions.get()
    make.text(template, "sms")
    page = boss.get(reverse("admin:campaigns_template_change", args=[template.pk])).content.decode()
    languages = {text.get_language_display() for text in live.texts.all()}
    assert TemplateText.objects.filter(version=live).count() > len(languages)
    assert all(page.count(name) == 1 for name in languages)
    live.status = "draft"
    live.save()
    url = reverse("admin:campaigns_templateversion_change", args=[live.pk])
    form = boss.get(f"{url}?section=details").content.decode()
    assert "id_texts-0-body" in form
    assert "Template texts" in form
    assert "#general" not in form
