import datetime
import re

import pytest

from billing.retries.taxonomy import Category
from campaigns.rendering import reasons
from campaigns.rendering.examples import Variant, example_context
from campaigns.rendering.lint import check_template
from campaigns.rendering.render import CompiledTemplate, compile_template, render
from campaigns.shipped_set import shipped_ladders, shipped_templates

TEMPLATES = {template.code: template for template in shipped_templates()}
LANGUAGES = ("en", "it")
CASES = [(code, language) for code in TEMPLATES for language in LANGUAGES]
# One category for each thing a customer may be asked for, and one without a reason.
ASKS = ("insufficient_funds", "expired", "authentication", "technical", "do_not_honor")
VARIANTS: tuple[Variant, ...] = ("usual", "bare", "many")


def compiled(code: str, language: str) -> CompiledTemplate:
    text = TEMPLATES[code].texts[language]
    return compile_template(subject=text.subject, mjml=text.mjml, text=text.text, language=language)


def test_the_set_is_whole_in_every_language() -> None:
    assert set(TEMPLATES) == {
        *(f"card_failed_{step}" for step in ("1", "2", "3", "4", "final")),
        *(f"invoice_overdue_{step}" for step in "123"),
        "payment_received",
    }
    for template in TEMPLATES.values():
        assert set(template.texts) == set(LANGUAGES)


@pytest.mark.parametrize(("code", "language"), CASES)
def test_shipped_template_has_no_problems(code: str, language: str) -> None:
    text = TEMPLATES[code].texts[language]
    assert check_template(subject=text.subject, mjml=text.mjml, text=text.text, language=language) == []


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("code", "language"), CASES)
def test_shipped_template_renders_whatever_the_bank_said(code: str, language: str, variant: Variant) -> None:
    template = compiled(code, language)
    for category in ASKS:
        context = example_context(language, category=category, variant=variant)
        mail = render(template, context)
        assert len(mail.subject) < 60
        buttons = re.findall(r'class="button".*?href="([^"]+)"', mail.html, re.S)
        assert len(buttons) == 1
        assert buttons[0] in mail.text
        for part in (mail.subject, mail.html, mail.text):
            assert not re.search(r"\{\{|\{%|\[\[|lqd\d|None|Undefined", part)
        assert f'lang="{language}"' in mail.html
        assert context["links"]["preferences"] in mail.text
        assert context["brand"]["support_email"] in mail.text
        for invoice in context["invoices"]:
            assert invoice["number"] in mail.html
        if context["decline"] and code.startswith("card_failed"):
            assert context["decline"]["message"].replace("'", "&#39;") in mail.html
            wanted = "update_card" if category == "expired" else "pay"
            assert buttons[0] == context["links"][wanted]


@pytest.mark.parametrize("language", LANGUAGES)
def test_amount_is_in_every_reminder(language: str) -> None:
    for code in TEMPLATES:
        mail = render(compiled(code, language), example_context(language))
        assert {"en": "£149.00", "it": "149,00\xa0€"}[language] in mail.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_words_that_neither_blame_nor_reveal(language: str) -> None:
    assert {category.value for category in Category} <= set(reasons.reason_keys())
    for key in reasons.reason_keys():
        message = reasons.decline_for(key, language)["message"]
        assert message.endswith(".")
        assert not re.search(r"fraud|stolen|lost|frod|rubat|smarrit|suspic|sospett|your fault|colpa", message, re.I)
    plain = reasons.decline_for("fraud", language)["message"]
    assert reasons.decline_for("lost_stolen", language)["message"] == plain


def test_unknown_reasons_and_languages_still_have_words() -> None:
    assert reasons.decline_for("brand_new_code", "en")["category"] == "unknown"
    assert reasons.decline_for("expired", "xx") == reasons.decline_for("expired", "en")
    assert reasons.decline_for("expired", "it-CH") == reasons.decline_for("expired", "it")


def test_shipped_ladders_use_shipped_templates() -> None:
    ladders = {ladder.code: ladder for ladder in shipped_ladders()}
    assert set(ladders) == {"card_failed", "invoice_overdue"}
    for ladder in ladders.values():
        assert {step.template for step in ladder.steps if step.template} <= set(TEMPLATES)
    card = ladders["card_failed"]
    assert [step.after.hours for step in card.steps] == [4, 72, 168, 336, 504]
    assert card.end_after_hours == 72
    assert card.steps[0].wait_for_retry_hours == 36
    assert card.steps[2].window_days == (1, 2, 3, 4, 5)
    assert card.steps[2].window_from == datetime.time(9)
