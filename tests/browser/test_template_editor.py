"""A manager writes a text: one tab per text, variables put in by a click, shown while it is written."""

from typing import Any

import pytest
from playwright.sync_api import expect

from campaigns.models import Template, TemplateText, TemplateVersion
from tests import factories
from tests.browser.door import enter

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
BODY = "<mj-section><mj-column><mj-text>{word} {{{{ customer.name }}}}</mj-text></mj-column></mj-section>"


def test_a_text_is_shown_while_it_is_written(open_page: Any, live_server: Any) -> None:
    factories.staff("manager", "maria")
    version = TemplateVersion.objects.create(template=Template.objects.create(code="x", name="X"), number=1)
    for language, word in (("en", "Dear"), ("it", "Gentile")):
        TemplateText.objects.create(version=version, language=language, subject=word, body=BODY.format(word=word))
    page = open_page(width=1280, height=1100)
    enter(page, f"{live_server.url}/admin/campaigns/templateversion/{version.pk}/change/?section=details", "maria")

    english = page.locator(".form-group:has(#id_texts-0-body)")
    expect(page.locator(".sol-text-tabs a")).to_have_text(["English · E-mail", "Italian · E-mail"])
    mail = english.frame_locator("iframe")
    expect(mail.get_by_text("Dear", exact=False).first).to_be_visible()
    body = page.locator("#id_texts-0-body")
    body.fill(BODY.format(word="Hello").replace("}}", "}"))
    expect(english.locator(".sol-try .errorlist")).to_contain_text("line 1")
    body.fill(BODY.format(word="Hello"))
    expect(mail.get_by_text("Hello", exact=False).first).to_be_visible()

    page.locator("#id_texts-0-subject").fill("For ")
    english.locator("summary:has-text('Variables')").click()
    english.get_by_role("button", name="brand.name", exact=True).click()
    expect(page.locator("#id_texts-0-subject")).to_have_value("For {{ brand.name }}")
    page.locator(".sol-text-tabs a").nth(1).click()
    expect(page.locator("#id_texts-1-body")).to_be_visible()
    expect(body).to_be_hidden()
