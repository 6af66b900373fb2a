"""The shipped texts: whole in six languages, within their lengths, believable, and in nobody's wrong language."""

import datetime
import re
from collections import defaultdict

import pytest

from billing.fees import late_payment_law
from billing.retries.taxonomy import Category
from campaigns.engine.specs import WORDLESS
from campaigns.guard.texts import Sender, add_to_text, missing
from campaigns.rendering import gsm, reasons
from campaigns.rendering.examples import Variant, example_context
from campaigns.rendering.layout import _words
from campaigns.rendering.lint import check_template
from campaigns.rendering.paragraphs import mail_body
from campaigns.rendering.render import CompiledTemplate, compile_template, render
from campaigns.rendering.variables import MailContext
from campaigns.shipped_set import shipped_ladders, shipped_templates
from customers.models.customer import LANGUAGES as CUSTOMER_LANGUAGES

TEMPLATES = {template.code: template for template in shipped_templates()}
LANGUAGES = tuple(code for code, _name in CUSTOMER_LANGUAGES)
MAILS = [(code, language) for code, t in TEMPLATES.items() if "email" in t.texts for language in LANGUAGES]
PLAIN = [
    (code, channel, language)
    for code, t in TEMPLATES.items()
    for channel in t.texts
    if channel != "email"
    for language in LANGUAGES
]
# One category for each thing a customer may be asked for, and one without a reason.
ASKS = ("insufficient_funds", "expired", "authentication", "technical", "do_not_honor")
VARIANTS: tuple[Variant, ...] = ("usual", "bare", "many")
#: Nothing is owed before a card expires.
NO_AMOUNT = {"card_expiring_1", "card_expiring_2"}
PAID = "payment_received"
#: As people of each language know them; lists of spam filters, and words that press.
SPAM = re.compile(
    r"\b(act now|urgent\w*|asap|immediately|immédiatement|immediatamente|inmediatamente|sofort|natychmiast|pilne"
    r"|free|gratis|gratuit\w*|kostenlos|winner|congratulations|guarantee\w*|risk[- ]free|click here|clicca qui"
    r"|cliquez ici|haga clic aquí|kliknij tutaj|hier klicken|limited time|last chance|ultima possibilità)\b|!!|\?\?",
    re.I,
)
#: Threats, blame and guilt.
HARSH = re.compile(
    r"\b(lawyer|attorney|court|lawsuit|legal action|debt collect\w*|bailiff|credit score|blacklist|your fault|ashamed"
    r"|avvocato|tribunale|vie legali|recupero crediti|colpa|avocat|tribunal|huissier|faute|poursuites"
    r"|adwokat|sąd\w*|komornik\w*|windykac\w*|wina|anwalt|gericht\w*|inkasso|schuld|pfänd\w*"
    r"|abogado|juzgado|embargo|culpa|moroso)\b",
    re.I,
)


def compiled(code: str, language: str, channel: str = "email") -> CompiledTemplate:
    text = TEMPLATES[code].texts[channel][language]
    return compile_template(subject=text.subject, mjml=text.body, language=language, channel=channel)


def in_currency(language: str, currency: str, amount: int, count: int) -> MailContext:
    """The usual example, owing `amount` (minor units) in each of `count` invoices of `currency`."""
    context = example_context(language)
    first = context["invoices"][0]
    context["invoices"] = [
        {**first, "number": f"A-{n}", "amount": amount, "balance": amount, "currency": currency} for n in range(count)
    ]
    context["oldest_invoice"] = context["invoices"][0]
    context["balances"] = [{"amount": amount * count, "currency": currency}]
    context["payment"] = {**context["payment"], "amount": amount * count, "currency": currency}  # type: ignore[typeddict-item]
    return context


def sentences(source: str) -> set[str]:
    """Sentences of a text with its tags, parts and variables taken out, of four words and more."""
    bare = re.sub(r"\{%.*?%\}|<[^>]+>|\[\[\w+\]\]", "\n", source, flags=re.S)
    bare = re.sub(r"\{\{.*?\}\}", "X", bare)
    pieces = (" ".join(piece.split()) for piece in re.split(r"[\n.:;?!]+", bare))
    return {piece for piece in pieces if len([w for w in piece.split() if w != "X"]) >= 4}


def test_every_template_speaks_every_language_over_every_channel_it_has() -> None:
    assert len(TEMPLATES) == 26
    for code, template in TEMPLATES.items():
        assert template.channel in template.texts
        for channel, texts in template.texts.items():
            assert set(texts) == set(LANGUAGES), (code, channel)
        if template.channel == "email":
            assert {"email", "sms", "in_app"} <= set(template.texts), code
    assert {code for code, t in TEMPLATES.items() if "letter" in t.texts} == {
        "card_failed_b2b_final",
        "invoice_overdue_final",
    }
    assert {code for code, t in TEMPLATES.items() if t.channel == "call"} == {
        "card_failed_b2b_call",
        "high_value_call",
        "invoice_overdue_call",
        "promise_broken_call",
    }


@pytest.mark.parametrize(("code", "language"), MAILS)
def test_shipped_mail_has_no_problems(code: str, language: str) -> None:
    text = TEMPLATES[code].texts["email"][language]
    assert check_template(subject=text.subject, mjml=text.body, language=language) == []


@pytest.mark.parametrize(("code", "channel", "language"), PLAIN)
def test_shipped_plain_text_has_no_problems(code: str, channel: str, language: str) -> None:
    text = TEMPLATES[code].texts[channel][language]
    assert check_template(subject=text.subject, mjml=text.body, language=language, channel=channel) == []


@pytest.mark.parametrize(("code", "language"), MAILS)
def test_shipped_mail_renders_whatever_the_bank_said(code: str, language: str) -> None:
    template = compiled(code, language)
    for variant in VARIANTS:
        for category in ASKS if code.startswith(("card_failed", "high_value")) else ASKS[:1]:
            context = example_context(language, category=category, variant=variant)
            mail = render(template, context)
            assert 0 < len(mail.subject) < 60
            buttons = re.findall(r'class="button".*?href="([^"]+)"', mail.html, re.S)
            assert len(buttons) == 1
            assert buttons[0] in mail.text
            for part in (mail.subject, mail.html, mail.text):
                assert not re.search(r"\{\{|\{%|\[\[|lqd\d|None|Undefined", part)
            assert f'lang="{language}"' in mail.html
            assert context["links"]["preferences"] in mail.text
            assert context["brand"]["support_email"] in mail.text
            if code not in NO_AMOUNT:
                assert all(invoice["number"] in mail.html for invoice in context["invoices"])
            if context["decline"] and code.startswith("card_failed"):
                assert context["decline"]["message"].replace("'", "&#39;") in mail.html
                wanted = "update_card" if category == "expired" else "pay"
                assert buttons[0] == context["links"][wanted]


@pytest.mark.parametrize(
    ("currency", "amount", "count", "digits"),
    [("EUR", 14_900, 1, "149.00"), ("USD", 1_250_050, 3, "37.501.50"), ("JPY", 24_000, 1, "24.000")],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_amount_is_in_every_text_as_its_currency_is_written(
    language: str, currency: str, amount: int, count: int, digits: str
) -> None:
    context = in_currency(language, currency, amount, count)
    written = re.compile(digits.replace(".", r"[.,\s\u00a0\u202f]?"))
    for code, template in TEMPLATES.items():
        if code in NO_AMOUNT:
            continue
        for channel in template.texts:
            message = render(compiled(code, language, channel), context, channel=channel)
            assert written.search(message.text), (code, channel, message.text)
            if channel == "email":
                assert written.search(message.html), code
            assert len(message.subject) < 60, message.subject


@pytest.mark.parametrize(("code", "channel", "language"), PLAIN)
def test_shipped_plain_text_renders_and_keeps_to_its_length(code: str, channel: str, language: str) -> None:
    template = compiled(code, language, channel)
    for variant in VARIANTS:
        context = example_context(language, variant=variant)
        message = render(template, context, channel=channel)
        assert not re.search(r"\{\{|\{%|\[\[|None|Undefined", message.subject + message.text)
        if channel == "sms":
            assert message.text.count("https://") == 1
            assert message.text.startswith(context["brand"]["name"])
            if variant != "many":
                way_out = missing(("opt_out_notice",), message.text, channel, Sender("Lumen"), language)
                sent = gsm.spell(add_to_text(message.text, way_out))
                assert (gsm.septets(sent) or 999) <= gsm.ONE_PART, sent
        if channel in ("in_app", "letter"):
            assert message.subject
        if channel == "in_app":
            assert len(message.text) < 400
            assert "https://" not in message.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_that_end_in_a_full_stop_bring_no_second_one(language: str) -> None:
    for category in ("do_not_honor", ""):
        context = example_context(language, category=category or "expired")
        context["customer"]["name"] = "Núñez e Hijos S.L."
        context["decline"] = context["decline"] if category else None
        for code, template in TEMPLATES.items():
            for channel in template.texts:
                said = render(compiled(code, language, channel), context, channel=channel)
                assert "S.L.." not in said.subject + said.text, (code, channel)


def test_no_sentence_stands_in_two_languages() -> None:
    where: dict[str, set[str]] = defaultdict(set)
    for code, template in TEMPLATES.items():
        for channel, texts in template.texts.items():
            for language, text in texts.items():
                for sentence in sentences(f"{text.subject}\n{text.body}"):
                    where[sentence].add(language)
                assert sentences(text.body) or channel in ("sms", "in_app"), (code, channel, language)
    for language in LANGUAGES:
        for word in _words(language).values():
            for sentence in sentences(word):
                where[sentence].add(language)
        for key in reasons.reason_keys():
            where[reasons.decline_for(key, language)["message"]].add(language)
    shared = {sentence: languages for sentence, languages in where.items() if len(languages) > 1}
    assert shared == {}
    assert len(where) > 1_500


def test_layout_words_are_whole_in_every_language() -> None:
    for language in LANGUAGES:
        own = _words(language)
        assert set(own) == set(_words("en"))
        if language != "en":
            same = {name for name, word in own.items() if word == _words("en")[name]}
            assert same <= {"total"}, language


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_sounds_like_spam_or_presses(language: str) -> None:
    for code, template in TEMPLATES.items():
        for channel, texts in template.texts.items():
            said = f"{texts[language].subject}\n{texts[language].body}"
            for pattern in (SPAM, HARSH):
                found = pattern.search(said)
                assert found is None, (code, channel, found)
            assert texts[language].subject.upper() != texts[language].subject or not texts[language].subject
            assert "!" not in texts[language].subject


def _of(context: MailContext, country: str, kind: str) -> None:
    """Has the mail go to a customer of this country and kind."""
    context["customer"].update(
        country=country, kind=kind, late_payment_law=late_payment_law(country=country, kind=kind)
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_law_is_named_to_businesses_it_protects_us_from_and_to_nobody_else(language: str) -> None:
    for code in ("invoice_overdue_final", "card_failed_b2b_final"):
        template = compiled(code, language)
        context = example_context(language)
        for country, law in (("DE", "§ 288 BGB"), ("GB", "Act 1998"), ("NL", "2011/7/EU"), ("PL", "8 marca 2013")):
            _of(context, country, "business")
            assert law in render(template, context).text
        for country, kind in (("US", "business"), ("", "business"), ("DE", "consumer")):
            _of(context, country, kind)
            assert not re.search(r"BGB|2011/7|231/2002", render(template, context).text)
    letter = compiled("invoice_overdue_final", language, "letter")
    context = example_context(language)
    _of(context, "IT", "business")
    assert "D.Lgs. 231/2002" in render(letter, context, channel="letter").text
    for code in set(TEMPLATES) - {"invoice_overdue_final", "card_failed_b2b_final"}:
        for texts in TEMPLATES[code].texts.values():
            assert "statutory" not in texts[language].body


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_letter_greets_lists_the_invoices_and_closes_without_a_secret_link(language: str) -> None:
    for code in ("invoice_overdue_final", "card_failed_b2b_final"):
        context = example_context(language, variant="many")
        letter = render(compiled(code, language, "letter"), context, channel="letter").text
        lines = letter.strip().splitlines()
        assert lines[-1] == context["sender"]["name"]
        assert lines[0].endswith((",", ":"))
        assert sum(invoice["number"] in line for line in lines for invoice in context["invoices"]) == 3
        # Nobody types forty characters off a sheet of paper, and whoever opens the envelope could.
        assert "https://" not in letter


def test_polish_counts_as_poles_do() -> None:
    context = example_context("pl")
    days = {1: "1 dzień temu", 3: "3 dni temu", 21: "21 dni temu"}
    for late, words in days.items():
        context["invoices"][0]["days_overdue"] = late
        assert words in render(compiled("invoice_overdue_2", "pl"), context).text


def test_a_french_first_of_the_month_is_an_ordinal() -> None:
    context = example_context("fr")
    context["case"]["next_retry_on"] = context["case"]["started_on"].replace(month=5, day=1)
    assert "le 1er mai 2026" in render(compiled("card_failed_1", "fr"), context).text
    context["case"]["next_retry_on"] = context["case"]["started_on"].replace(month=5, day=21)
    assert "le 21 mai 2026" in render(compiled("card_failed_1", "fr"), context).text


def test_a_mail_is_written_in_paragraphs() -> None:
    body = mail_body("[[greeting]]\n\nOne {% if card %}two{% endif %}\nthree.\n\n[[pay_button]]\n[[signature]]")
    assert body.splitlines()[2:6] == [
        "    [[greeting]]",
        "    <mj-text>One {% if card %}two{% endif %}",
        "    three.</mj-text>",
        "    [[pay_button]]",
    ]
    assert mail_body("<mj-divider />").splitlines()[2] == "    <mj-divider />"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_words_that_neither_blame_nor_reveal(language: str) -> None:
    assert {category.value for category in Category} <= set(reasons.reason_keys())
    revealing = (
        r"fraud|stolen|lost|suspic|your fault|frod|rubat|smarrit|sospett|colpa|volée|perdue|soupçon|faute"
        r"|skradz|zgubion|kradzie|podejrz|oszust|gestohlen|verloren|betrug|verdacht|schuld|robad|perdid|fraude|sospech"
    )
    for key in reasons.reason_keys():
        message = reasons.decline_for(key, language)["message"]
        assert message.endswith(".")
        assert not re.search(revealing, message, re.I)
        if language != "en":
            assert message != reasons.decline_for(key, "en")["message"]
    plain = reasons.decline_for("fraud", language)["message"]
    assert reasons.decline_for("lost_stolen", language)["message"] == plain


def test_unknown_reasons_and_languages_still_have_words() -> None:
    assert reasons.decline_for("brand_new_code", "en")["category"] == "unknown"
    assert reasons.decline_for("expired", "xx") == reasons.decline_for("expired", "en")
    assert reasons.decline_for("expired", "it-CH") == reasons.decline_for("expired", "it")


def test_shipped_ladders_use_shipped_templates_over_channels_they_have() -> None:
    ladders = {ladder.code: ladder for ladder in shipped_ladders()}
    assert set(ladders) == {
        "card_failed", "card_failed_b2b", "invoice_overdue", "card_expiring", "invoice_due", "high_value",
        "promise_broken",
    }  # fmt: skip
    used = set()
    for ladder in ladders.values():
        for step in ladder.steps:
            if step.template:
                used.add(step.template)
                channels = (step.channel, *step.fallback_channels) if step.action == "message" else ("call",)
                written = set(TEMPLATES[step.template].texts) | (WORDLESS if step.action == "message" else set())
                assert set(channels) <= written, (ladder.code, step.key)
                # A notice whose mail does not arrive goes another way before anybody is asked.
                assert step.action != "message" or step.fallback_channels, (ladder.code, step.key)
            # Nobody gets a reminder on a Sunday, or at night.
            if step.action == "message" and step.key != "first":
                assert 7 not in step.window_days
                assert step.window_from is not None
    assert used == set(TEMPLATES) - {"payment_received"}
    card = ladders["card_failed"]
    assert [step.after.hours for step in card.steps if step.enabled] == [4, 72, 168, 336, 504]
    assert card.end_after_hours == 72
    assert card.steps[0].wait_for_retry_hours == 36
    assert card.steps[2].window_days == (1, 2, 3, 4, 5)
    assert card.steps[2].window_from == datetime.time(9)


def test_ladders_grow_firmer_and_never_friendlier_again() -> None:
    order = {"friendly": 0, "firm": 1, "final": 2}
    for ladder in shipped_ladders():
        tones = [order[TEMPLATES[step.template].tone] for step in ladder.steps if step.action == "message"]
        assert tones == sorted(tones), ladder.code


def test_only_companies_are_charged_for_being_late_and_only_if_someone_says_so() -> None:
    for ladder in shipped_ladders():
        for step in ladder.steps:
            if step.action in ("late_fee", "interest"):
                assert not step.enabled
                assert step.condition == {"customer_kind": "business"}
