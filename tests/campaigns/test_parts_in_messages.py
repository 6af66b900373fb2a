"""What messages say of paying in parts: one sentence with a way there, only where all at once is what fails."""

import re
from typing import Any

import pytest
from django.test import Client

from billing.money import display
from campaigns.context import load
from campaigns.delivery import deliver_due
from campaigns.models import Message
from campaigns.preview import case_context
from campaigns.rendering.examples import example_context
from campaigns.rendering.render import compile_template, render
from campaigns.shipped_set import shipped_templates
from customers.models.customer import LANGUAGES
from tests import factories as f
from tests.factories import NOW
from tests.hindered import AGAINST, active_plan, hindered

pytestmark = pytest.mark.django_db
TEMPLATES = {template.code: template for template in shipped_templates()}
#: The first asks for the whole.
FIRST = ["card_failed_1", "card_failed_b2b_1", "high_value_1"]
LATER = [
    "card_failed_2", "card_failed_3", "card_failed_4", "card_failed_final",
    "card_failed_b2b_2", "card_failed_b2b_3", "card_failed_b2b_final", "high_value_2",
]  # fmt: skip
WORDS = {"en": "3 parts", "it": "3 rate", "fr": "3 fois", "pl": "3 ratach", "de": "3 Raten", "es": "3 plazos"}


def written(code: str, context: Any, channel: str = "email") -> Any:
    language = context["language"]
    text = TEMPLATES[code].texts[channel][language]
    ready = compile_template(subject=text.subject, mjml=text.body, language=language, channel=channel)
    return render(ready, context, channel=channel)


@pytest.mark.parametrize("language", [code for code, _name in LANGUAGES])
@pytest.mark.parametrize("code", LATER)
def test_the_sentence_stands_in_every_language_only_with_the_offer(code: str, language: str) -> None:
    context = example_context(language)
    parts = context["instalments"]
    assert parts is not None
    amount = display(parts["amount"], parts["currency"], f"{language}_{context['customer']['country']}")
    mail, notice = written(code, context), written(code, context, "in_app")
    for said in (mail.text, notice.text):
        assert WORDS[language] in said
        assert amount.replace("\xa0", " ").replace("\u202f", " ") in re.sub(r"[\xa0\u202f]", " ", said)
    assert f'href="{parts["url"]}"' in mail.html
    assert parts["url"] in mail.text
    context["instalments"] = None
    for said in (written(code, context).html, written(code, context, "in_app").text):
        assert WORDS[language] not in said
        assert "#parts" not in said


@pytest.mark.parametrize("code", FIRST)
def test_the_first_message_asks_for_the_whole(code: str) -> None:
    assert "#parts" not in written(code, example_context("en")).html


@pytest.mark.parametrize(
    ("currency", "amount", "language", "words"),
    [
        ("EUR", 9000, "it", "in 3 rate, la prima di 30,00 €."),
        ("PLN", 25_000, "pl", "w 3 ratach, pierwsza wynosi 83,34 zł."),
        ("JPY", 9000, "en", "in 3 parts, the first of ¥3,000."),
        ("KWD", 40_000, "en", "in 3 parts, the first of KWD 13.340."),
    ],
)
def test_the_first_part_is_a_sum_its_currency_can_be_charged_in(
    currency: str, amount: int, language: str, words: str
) -> None:
    invoice = hindered(customer=f.customer(language=language, country=""), currency=currency, amount_due=amount)
    context = case_context(
        case_id=f.case(invoice.customer, invoices=[invoice]).pk, channel="email", language=language, now=NOW
    )
    assert words in re.sub(r"[\xa0\u202f]", " ", written("card_failed_2", context).text)


@pytest.mark.parametrize("against", AGAINST)
def test_no_message_names_parts_where_they_are_not_offered(against: Any) -> None:
    invoice = hindered()
    other = f.invoice(invoice.customer, amount_due=100)  # the message goes out in any case: it is about this one, too
    case = f.case(invoice.customer, invoices=[invoice, other])
    values = {"case_id": case.pk, "channel": "email", "language": "en", "now": NOW}
    assert case_context(**values)["instalments"] is not None
    against(invoice)
    assert case_context(**values)["instalments"] is None


def test_a_receipt_names_no_parts() -> None:
    case = f.case((invoice := hindered()).customer, invoices=[invoice])
    made = [f.message(case, purpose=purpose) for purpose in ("dunning", "receipt")]
    assert [each.parts is not None for each in load([row.pk for row in made], NOW)] == [True, False]


def _mail_with_parts(code: str = "parts") -> None:
    text = f.template(code).versions.get(status="published").texts.get()
    text.compiled_text = "{% if instalments %}{{ instalments.count }} parts: {{ instalments.url }}{% endif %}"
    text.save()


def _due(count: int) -> None:
    for _ in range(count):
        invoice = hindered()
        version = f.template("parts").versions.get(status="published")
        f.message(f.case(invoice.customer, invoices=[invoice]), template_version=version)


def test_the_link_of_a_mail_leads_to_the_plans_and_is_kept_nowhere(
    client: Client, mailoutbox: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("customers.clock._source", lambda: NOW)
    _mail_with_parts()
    _due(1)
    deliver_due(now=NOW)
    [mail] = mailoutbox
    found = re.search(r"3 parts: (\S+/p/\S+)#parts", mail.body)
    assert found is not None
    assert found[1] not in Message.objects.get().text
    page = client.get(found[1]).content.decode()
    plans = page[page.index('id="parts"') :]
    listed = client.get(re.search(r'href="([^"]+/plan/\?plan=[^"]+)"', plans)[1])  # type: ignore[index]
    assert 'name="agree"' in listed.content.decode()


def test_a_batch_costs_the_same_for_one_and_for_ten(django_assert_num_queries: Any) -> None:
    _mail_with_parts()
    _due(1)
    with django_assert_num_queries(25) as one:
        assert [each.parts is not None for each in load(Message.objects.values_list("pk", flat=True), NOW)] == [True]
    _due(9)
    active_plan(Message.objects.latest("pk").case.case_invoices.get().invoice)
    with django_assert_num_queries(len(one)):
        found = load(Message.objects.values_list("pk", flat=True), NOW)
    assert sum(each.parts is not None for each in found) == 9
