import pytest

from campaigns.rendering import gsm
from campaigns.rendering.examples import example_context
from campaigns.rendering.lint import check_template
from campaigns.rendering.render import compile_template, render


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("149,00\u00a0€ für Sie, ä ö ü ß", "149,00 € für Sie, ä ö ü ß"),
        ("1\u202f299,00 “quoted” – it’s…", '1 299,00 "quoted" - it\'s...'),
        ("Zażółć gęślą jaźń, 149,00 zł", "Zazolc gesla jazn, 149,00 zl"),
        ("Le paiement reçu, très bientôt", "Le paiement recu, très bientot"),
        ("Ελληνικά σύντομα", "Ελληνικά σύντομα"),
        ("Привет – да", "Привет - да"),
        ("👍 ok", "👍 ok"),
    ],
)
def test_letters_that_would_double_the_price_are_spelled_plainly(written: str, sent: str) -> None:
    assert gsm.spell(written) == sent


def test_the_euro_sign_takes_two() -> None:
    assert gsm.septets("5 €") == 4
    assert gsm.septets("5 zł") is None


def test_a_text_message_is_one_line_of_plain_text() -> None:
    source = "{{ brand.name }}:\n {{ balances | money_list }} & more {{ links.portal }} [[regards]]"
    compiled = compile_template(subject="", mjml=source, language="it", channel="sms")
    context = example_context("it")
    context["brand"]["name"] = "Lumen <& Co>"
    message = render(compiled, context, channel="sms")
    assert message.text.startswith("Lumen <& Co>: 149,00 € & more https://")
    assert message.text.endswith("Un cordiale saluto,")
    assert (message.html, message.subject) == ("", "")


def test_other_channels_keep_their_lines_and_heading() -> None:
    compiled = compile_template(subject="Invoice {{ invoices[0].number }}", mjml="One\n\nTwo", channel="letter")
    message = render(compiled, example_context("en"), channel="letter")
    assert (message.subject, message.text, message.html) == ("Invoice LUM-2026-0412", "One\n\nTwo\n", "")


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        ("{{ nothing }}", "Unknown variable nothing"),
        ("{{ card.last4 }}", "Some customers lack it"),
        ("[[pay_button]]", "Unknown part [[pay_button]]"),
        ("{% if card %}", "never closed"),
        ("Pay {{ links.portal }} " + "and so on " * 20, "more than one part"),
    ],
)
def test_a_plain_text_is_checked_too(body: str, finding: str) -> None:
    problems = check_template(subject="", mjml=body, channel="sms")
    assert any(finding in problem.message + problem.suggestion for problem in problems)
    assert all(problem.part == "mjml" for problem in problems)


def test_a_good_text_message_has_no_findings() -> None:
    assert check_template(subject="", mjml="{{ brand.name }}: {{ links.portal }}", channel="sms") == []
