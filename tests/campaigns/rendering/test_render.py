import json

import pytest

from campaigns.rendering.examples import example_context
from campaigns.rendering.problems import TemplateRefused
from campaigns.rendering.render import CompiledTemplate, compile_template, render

PAGE = example_context("en")["links"]["portal"]

SECTION = "<mj-section><mj-column>{}</mj-column></mj-section>"


def test_liquid_survives_the_compiler_with_signs_that_break_xml() -> None:
    source = SECTION.format(
        "{% if case.days_overdue < 7 and case.days_overdue >= 1 %}"
        '<mj-button href="{{ links.pay | default: "x" }}&amp;a=1">Pay &gt; now</mj-button>{% endif %}'
    )
    compiled = compile_template(subject="x", mjml=source)
    assert "{% if case.days_overdue < 7 and case.days_overdue >= 1 %}" in compiled.html
    mail = render(compiled, example_context("en"))
    assert f'href="{PAGE}/pay&amp;a=1"' in mail.html
    assert f"Pay > now: {PAGE}/pay&a=1" in mail.text
    assert "lqd" not in mail.html + mail.text


def test_control_tags_work_between_all_blocks() -> None:
    source = (
        "{% if card %}<mj-section>{% if card %}<mj-column>{% if card %}<mj-text>shown</mj-text>{% endif %}"
        "</mj-column>{% endif %}</mj-section>{% else %}"
        "<mj-section><mj-column><mj-text>unseen</mj-text></mj-column></mj-section>{% endif %}"
    )
    mail = render(compile_template(subject="x", mjml=source), example_context("en"))
    for part in (mail.html, mail.text):
        assert "shown" in part
        assert "unseen" not in part


def test_nothing_is_fetched_from_outside() -> None:
    compiled = compile_template(subject="x", mjml=SECTION.format("<mj-text>x</mj-text>"))
    for sign in ("<link", "@import", "<script", "googleapis", "src="):
        assert sign not in compiled.html.replace('src="{{ brand.logo_url }}"', "")


def test_text_keeps_links_lists_and_tables() -> None:
    source = SECTION.format(
        "<mj-text><p>Go to <a href='{{ links.portal }}'>your\n page</a>.</p>"
        "<ul><li>one</li><li>two&nbsp;x</li></ul>"
        "<a href='mailto:a@b.example'>a@b.example</a></mj-text><mj-divider />"
        "<mj-table><tr><th>No</th><th>Sum</th></tr>{% for i in invoices %}\n<tr><td>{{ i.number }}<br/>x</td>"
        "<td>{{ i.balance | money: i.currency }}</td></tr>\n{% endfor %}</mj-table>"
    )
    mail = render(compile_template(subject="x", mjml=source), example_context("en"))
    assert f"Go to your page: {PAGE}." in mail.text
    assert "\n- one\n- two x\n" in mail.text
    assert "\na@b.example\n" in mail.text
    assert "No | Sum\nLUM-2026-0412, x | £149.00\n" in mail.text


def test_given_text_replaces_the_derived_one() -> None:
    mail = render(
        compile_template(subject="x", mjml=SECTION.format("<mj-text>a</mj-text>"), text="Dear {{ customer.name }}"),
        example_context("en"),
    )
    assert mail.text == "Dear Harbour & Pine Studio Ltd\n"


def test_a_name_can_neither_break_the_mail_nor_add_a_header() -> None:
    context = example_context("en")
    context["customer"]["name"] = "<script>x</script>\r\nBcc: all@example.com {{ links.pay }}"
    source = SECTION.format("<mj-text>{{ customer.name }}</mj-text>")
    mail = render(compile_template(subject="For {{ customer.name }}", mjml=source), context)
    assert mail.subject == "For <script>x</script> Bcc: all@example.com {{ links.pay }}"
    assert "<script>x" not in mail.html
    assert "&lt;script&gt;x&lt;/script&gt;" in mail.html
    assert "{{ links.pay }}" in mail.html


def test_a_compiled_template_is_plain_text_to_be_stored() -> None:
    compiled = compile_template(subject=" Hi {{ customer.name }}\n", mjml=SECTION.format("[[pay_button]]"))
    stored = json.loads(json.dumps({"subject": compiled.subject, "html": compiled.html, "text": compiled.text}))
    context = example_context("it")
    assert render(CompiledTemplate(**stored), context) == render(compiled, context)


def test_a_missing_value_stops_the_mail_instead_of_leaving_a_hole() -> None:
    compiled = compile_template(subject="{{ payment.amount }}", mjml=SECTION.format("<mj-text>x</mj-text>"))
    with pytest.raises(TemplateRefused, match="subject, line 1"):
        render(compiled, example_context("en", variant="bare"))


def test_what_does_not_compile_is_refused() -> None:
    with pytest.raises(TemplateRefused, match="mj-txt"):
        compile_template(subject="x", mjml=SECTION.format("<mj-txt>x</mj-txt>"))
    with pytest.raises(TemplateRefused, match="subject, line 1"):
        compile_template(subject="{{ x | y }", mjml=SECTION.format("<mj-text>x</mj-text>"))


def test_letters_of_every_script_survive_the_compiler() -> None:
    letters = "»ü¥=> è € ’ Ł 日本 עברית 🙂 &#8217; &nbsp;"
    compiled = compile_template(subject="x", mjml=SECTION.format(f"<mj-text>{letters}</mj-text>"))
    assert "»ü¥=> è € ’ Ł 日本 עברית 🙂 ’ &nbsp;" in compiled.html
