"""A text is shown with a real case's facts and nothing stays; a test goes to a colleague only."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.urls import reverse

from campaigns.models import Case, Message, Template, TemplateText, TemplateVersion
from campaigns.preview import send_test, text_preview
from campaigns.rendering.lint import check_template
from campaigns.services.template_history import missing_languages, template_restore, texts_diff, texts_of
from customers.errors import SollecitoError
from customers.models import Brand, Customer, Interaction
from portal.models import PortalLink
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db
BODY = """<mj-section><mj-column><mj-text>Dear {{ customer.name }}, {{ balances | money_list }}</mj-text>
<mj-button href="{{ links.pay }}">Pay</mj-button></mj-column></mj-section>"""


def draft(code: str = "first", languages: tuple[str, ...] = ("en",), **fields: Any) -> TemplateVersion:
    template = Template.objects.create(code=code, name=code)
    version = TemplateVersion.objects.create(template=template, number=1)
    for language in languages:
        values = {"subject": "About {{ balances | money_list }}", "body": BODY} | fields
        TemplateText.objects.create(version=version, language=language, **values)
    return version


@pytest.fixture
def case() -> Case:
    customer = f.customer(name="Bolt & Sons", country="GB")
    return f.case(customer, invoices=[f.invoice(customer, amount_due=123_456)])


def shown(version: TemplateVersion, case_id: int | None) -> Any:
    text = version.texts.get()
    return text_preview(
        version_id=version.pk, language="en", channel="email", subject=text.subject, body=text.body, text=text.text,
        case_id=case_id, now=NOW,
    )  # fmt: skip


def test_a_case_is_shown_as_it_would_be_written_to_and_nothing_stays(case: Case) -> None:
    version = draft()
    mail_ = shown(version, case.pk)
    assert mail_.subject == "About €1,234.56"
    assert "Dear Bolt &amp; Sons" in mail_.html
    assert "Dear Bolt & Sons" in mail_.text
    assert not Message.objects.exists()
    assert not PortalLink.objects.exists()
    assert not Interaction.objects.exists()
    assert "Bolt" not in shown(version, None).html
    with pytest.raises(SollecitoError, match="no such case"):
        shown(version, case.pk + 1)


def test_a_test_goes_to_a_colleague_and_says_what_it_is(case: Case) -> None:
    version = draft()
    send_test(version_id=version.pk, language="en", recipient="maria@acme.example", case_id=case.pk, now=NOW)
    assert len(mail.outbox) == 1
    sent: Any = mail.outbox[0]
    assert sent.to == ["maria@acme.example"]
    assert sent.subject == "[Test] About €1,234.56"
    assert sent.from_email == "Acme Billing <billing@acme.example>"
    assert "Bolt &amp; Sons" in sent.alternatives[0][0]
    assert not Message.objects.exists()
    with pytest.raises(SollecitoError, match="no e-mail text"):
        send_test(version_id=version.pk, language="pl", recipient="maria@acme.example", case_id=None, now=NOW)


@pytest.mark.parametrize("address", ["anna@example.com", "ANNA@Example.com", "books@example.com"])
def test_a_test_never_goes_to_a_customer(address: str, case: Case) -> None:
    """They may have opted out, paid or promised, and the guard is not asked about tests."""
    Customer.objects.filter(pk=case.customer_id).update(email="anna@example.com")
    f.contact(case.customer, email="books@example.com", active=False)
    version = draft()
    with pytest.raises(SollecitoError) as error:
        send_test(version_id=version.pk, language="en", recipient=address, case_id=None, now=NOW)
    assert error.value.code == "customer_address"
    assert not mail.outbox


def test_an_earlier_version_comes_back_as_a_draft() -> None:
    old = draft()
    TemplateVersion.objects.filter(pk=old.pk).update(status="retired")
    back = template_restore(version_id=old.pk)
    assert (back.number, back.status) == (2, "draft")
    assert texts_diff(texts_of(old), texts_of(back)) == []
    with pytest.raises(SollecitoError, match="a draft already"):
        template_restore(version_id=old.pk)


def test_a_diff_names_each_changed_part() -> None:
    old, new = draft("a", ("en", "it")), draft("b", ("en", "fr"))
    english = new.texts.get(language="en")
    english.subject, english.body = "About your bill", BODY.replace("Pay<", "Pay now<")
    english.save()
    found = texts_diff(texts_of(old), texts_of(new))
    assert [(diff.language, diff.kind) for diff in found] == [("en", "changed"), ("fr", "added"), ("it", "removed")]
    assert [name for name, _lines in found[0].parts] == ["subject", "body"]
    assert found[0].parts[0][1][-2:] == (("-", "About {{ balances | money_list }}"), ("+", "About your bill"))


def test_a_draft_is_told_which_languages_it_lacks() -> None:
    f.brand()
    Brand.objects.update(default_language="pl")
    version = draft(languages=("en", "it"))
    TemplateVersion.objects.filter(pk=version.pk).update(status="published")
    later = TemplateVersion.objects.create(template=version.template, number=2)
    TemplateText.objects.create(version=later, language="en", subject="x", body=BODY)
    assert missing_languages(later) == [("email", "it"), ("email", "pl")]


@pytest.mark.parametrize(
    ("subject", "language", "words"),
    [
        ("URGENT: pay now", "en", "“urgent”"),
        ("Ostatnia szansa na zapłatę", "pl", "“ostatnia szansa”"),
        ("Dringend: Ihre Rechnung", "de", "“dringend”"),
        ("Pay now!!", "en", "exclamation"),
        ("PLEASE READ this", "en", "capitals"),
        ("About {{ customer.name | upcase }} and the freedom of ACME", "en", ""),
        ("Your payment of {{ balances | money_list }}", "en", ""),
    ],
)
def test_subjects_that_look_like_spam_are_told(subject: str, language: str, words: str) -> None:
    problems = check_template(subject=subject, mjml=BODY, language=language)
    told = [problem.message for problem in problems if "spam" in problem.message]
    assert all(problem.severity == "warning" for problem in problems)
    assert any(words in message for message in told) if words else told == []


@pytest.fixture
def manager() -> Client:
    return f.desk(f.staff("manager", "maria"))


def test_the_page_shows_a_case_a_width_and_the_plain_text(manager: Client, case: Case) -> None:
    version = draft()
    url = reverse("admin:campaigns_templateversion_change", args=[version.pk]) + "?section=preview"
    page = manager.get(f"{url}&case={case.pk}&look=phone&colours=dark").content.decode()
    assert "Bolt &amp;amp; Sons" in page
    assert "sol-stage-phone sol-stage-dark" in page
    text = manager.get(f"{url}&case={case.pk}&part=text").content.decode()
    assert "Dear Bolt &amp; Sons" in text
    assert "<iframe" not in text
    # What is not offered is not shown: neither a look nor somebody else's number.
    assert "sol-stage-desktop" in manager.get(f"{url}&case=999999&look=x").content.decode()


def test_what_is_being_written_is_shown_or_refused(manager: Client) -> None:
    url = reverse("admin:campaigns_templateversion_render")
    good = {"subject": "Hi", "body": BODY, "language": "en", "channel": "email", "look": "phone"}
    assert "sol-stage-phone" in manager.post(url, good).content.decode()
    bad = manager.post(url, good | {"body": BODY.replace("customer.name", "customer.nam")}).content.decode()
    assert "customer.name" in bad
    assert "<iframe" not in bad
    assert manager.post(url, {}).status_code == 200
    client = Client()
    client.force_login(User.objects.create_user("guest", is_staff=True))
    assert client.post(url, good).status_code == 403
    names = manager.get(reverse("admin:campaigns_templateversion_names")).json()
    assert {"{{ customer.name }}", "{{ links.pay }}"} <= {variable["insert"] for variable in names["variables"]}


def test_saving_a_draft_tells_which_languages_it_lacks(manager: Client) -> None:
    f.brand(default_language="pl")
    version = draft()
    text = version.texts.get()
    data = {
        "texts-TOTAL_FORMS": 1, "texts-INITIAL_FORMS": 1, "texts-MIN_NUM_FORMS": 0, "texts-MAX_NUM_FORMS": 1000,
        "texts-0-id": text.pk, "texts-0-version": version.pk, "texts-0-language": "en", "texts-0-channel": "email",
        "texts-0-subject": "Urgent!", "texts-0-body": BODY, "texts-0-text": "",
    }  # fmt: skip
    url = reverse("admin:campaigns_templateversion_change", args=[version.pk])
    page = manager.post(url, data, follow=True).content.decode()
    assert "No text yet for: Polish (email)" in page
    assert "looks like spam" in page


def test_whoever_saves_a_text_second_is_told_and_keeps_what_they_wrote(manager: Client) -> None:
    version = draft()
    text = version.texts.get()
    url = reverse("admin:campaigns_templateversion_change", args=[version.pk])
    opened = manager.get(url, {"section": "details"}).content.decode().split('name="texts-0-seen" value="')[1]
    data = {
        "texts-TOTAL_FORMS": 1, "texts-INITIAL_FORMS": 1, "texts-MIN_NUM_FORMS": 0, "texts-MAX_NUM_FORMS": 1000,
        "texts-0-id": text.pk, "texts-0-version": version.pk, "texts-0-language": "en", "texts-0-channel": "email",
        "texts-0-body": BODY, "texts-0-text": "", "texts-0-seen": opened.split('"')[0],
    }  # fmt: skip
    assert manager.post(url, data | {"texts-0-subject": "Hers"}).status_code == 302
    shown = manager.post(url, data | {"texts-0-subject": "Mine own"}).content.decode()
    assert "has saved this meanwhile" in shown
    assert 'value="Mine own"' in shown
    text.refresh_from_db()
    assert text.subject == "Hers"
    seen = shown.split('name="texts-0-seen" value="')[1].split('"')[0]
    assert manager.post(url, data | {"texts-0-subject": "Mine own", "texts-0-seen": seen}).status_code == 302
    text.refresh_from_db()
    assert text.subject == "Mine own"
