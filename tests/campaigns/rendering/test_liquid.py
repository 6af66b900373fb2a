import time

import pytest

from campaigns.rendering.examples import example_context
from campaigns.rendering.liquid import compiled, render_source
from campaigns.rendering.problems import TemplateRefused

HOSTILE = {
    "joined range": "{{ (1..100000000) | join }}",
    "looped range": "{% for i in (1..100000000) %}x{% endfor %}",
    "range behind a variable": "{% assign n = 100000000 %}{% for i in (1..n) %}x{% endfor %}",
    "range in a condition": "{% if (1..100000000) contains 5 %}x{% endif %}",
    "replace growth": "{% assign s = 'aaaaaaaaaa' %}"
    + "{% assign s = s | replace: 'a', 'aaaaaaaaaa' %}" * 9
    + "{{ s }}",
    "replace of nothing": "{% assign s = 'aaaaaaaaaa' %}" + "{% assign s = s | replace: '', s %}" * 9 + "{{ s }}",
    "append growth": "{% assign s = 'aaaaaaaaaa' %}" + "{% assign s = s | append: s %}" * 40 + "{{ s }}",
    "sum growth": "{% assign n = 900000000000000 %}" + "{% assign n = n | plus: n %}" * 60 + "{{ n }}",
    "nested loops": "{% for a in invoices %}" * 11 + "x" + "{% endfor %}" * 11,
    "loops in a row": "{% for a in invoices %}{% for b in invoices %}{% endfor %}{% endfor %}" * 600,
    "deep blocks": "{% if true %}" * 5000 + "{% endif %}" * 5000,
    "deep path": "{{ " + "a[" * 5000 + "b" + "]" * 5000 + " }}",
    "huge number": "{{ " + "9" * 100_000 + " | plus: 1 }}",
    "huge amount": "{{ " + "9" * 300 + " | money: 'EUR' }}",
    "huge source": "x" * 300_000,
    "huge output": "{% for a in invoices %}" * 5 + "x" * 5000 + "{% endfor %}" * 5,
    "file include": "{% include '/etc/passwd' %}",
    "file render": "{% render '/etc/passwd' %}",
    "liquid tag": "{% liquid assign x = 1 %}",
    "capture": "{% capture x %}a{% endcapture %}",
    "tablerow": "{% tablerow i in invoices %}x{% endtablerow %}",
    "safe": "{{ customer.name | safe }}",
    "class of a text": "{{ customer.name.__class__ }}",
    "class by bracket": "{{ customer['__class__'] }}",
    "method of a list": "{{ invoices.append }}",
    "year of a date": "{{ case.started_on.year }}",
    "keys of an object": "{{ customer.keys }}",
    "unknown filter": "{{ customer.name | base64_decode }}",
    "not a currency": "{{ 1 | money: 'ZZZ' }}",
    "missing amount": "{{ nothing | money: 'EUR' }}",
    "missing variable": "{{ nothing }}",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("escape", [True, False])
def test_hostile_template_is_refused_quickly(name: str, escape: bool) -> None:
    context = example_context("en", variant="many")
    context["invoices"] = context["invoices"] * 4
    started = time.perf_counter()
    with pytest.raises(TemplateRefused) as refused:
        render_source(HOSTILE[name], dict(context), escape=escape, part="mjml")
    assert time.perf_counter() - started < 3
    assert refused.value.problems[0].line >= 1
    assert len(str(refused.value)) < 2_000


@pytest.mark.parametrize(
    ("language", "forms", "expected"),
    [
        ("en", "'day', 'days'", {0: "days", 1: "day", 2: "days", 21: "days"}),
        ("fr", "'jour', 'jours'", {0: "jour", 1: "jour", 2: "jours"}),
        (
            "pl",
            "'faktura', 'faktury', 'faktur'",
            {1: "faktura", 2: "faktury", 5: "faktur", 12: "faktur"},
        ),
        ("pl", "'dzień', 'dni'", {1: "dzień", 2: "dni", 21: "dni"}),
        ("de", "'Tag', 'Tage'", {0: "Tage", 1: "Tag", 3: "Tage"}),
    ],
)
def test_plural_follows_the_language(language: str, forms: str, expected: dict[int, str]) -> None:
    for number, form in expected.items():
        source = f"{{% assign n = {number} %}}{{{{ n | plural: {forms} }}}}"
        assert render_source(source, dict(example_context(language)), escape=False, part="text") == form


def test_plural_of_nothing_or_without_forms_is_refused() -> None:
    for source in ("{{ nothing | plural: 'a', 'b' }}", "{{ 1 | plural: 'a' }}", "{{ 2 | plural: 'a', nothing }}"):
        with pytest.raises(TemplateRefused):
            render_source(source, dict(example_context("en")), escape=False, part="text")


def test_attributes_of_objects_are_out_of_reach() -> None:
    class Secret:
        token = "s3cret"

    with pytest.raises(TemplateRefused):
        render_source("{{ secret.token }}", {"secret": Secret()}, escape=True, part="mjml")


@pytest.mark.parametrize(
    ("minor", "currency", "language", "country", "expected"),
    [
        (123450, "EUR", "it", "IT", "1.234,50 €"),
        (123450, "EUR", "en", "GB", "€1,234.50"),
        (123450, "USD", "en", "US", "$1,234.50"),
        (123450, "USD", "en", "JP", "US$1,234.50"),
        (240000, "JPY", "en", "JP", "JP¥240,000"),
        (240000, "JPY", "it", "", "240.000 JPY"),
        (1234567, "KWD", "en", "", "KWD 1,234.567"),
        (-500, "EUR", "en", "US", "-€5.00"),
        (0, "EUR", "it", "IT", "0,00 €"),
        (1250, "RSD", "en", "US", "RSD 12.50"),
        (123450, "EUR", "xx", "", "€1,234.50"),
        (123450, "EUR", "pt-BR", "BR", "€ 1.234,50"),
    ],
)
def test_money_is_written_as_the_reader_writes_it(
    minor: int, currency: str, language: str, country: str, expected: str
) -> None:
    context = {"n": minor, "c": currency, "language": language, "customer": {"country": country}}
    text = render_source("{{ n | money: c }}", context, escape=False, part="text")
    assert text.replace("\xa0", " ") == expected


@pytest.mark.parametrize(
    ("language", "country", "expected"),
    [
        ("it", "IT", "16 marzo 2026"),
        ("en", "US", "March 16, 2026"),
        ("en", "GB", "16 March 2026"),
        ("en", "IT", "16 March 2026"),
        ("en", "", "March 16, 2026"),
    ],
)
def test_dates_are_written_as_the_reader_writes_them(language: str, country: str, expected: str) -> None:
    context = dict(example_context("en"), language=language)
    context["customer"] = {"country": country}
    assert render_source("{{ invoices[0].due_on | local_date }}", context, escape=True, part="mjml") == expected


def test_several_currencies_are_never_added_up() -> None:
    context = dict(example_context("it", variant="many"))
    text = render_source("{{ balances | money_list }}", context, escape=False, part="text")
    assert text.replace("\xa0", " ") == "12.998,50 € e 240.000 JPY"


def test_values_are_escaped_once_in_html_and_never_in_text() -> None:
    context = dict(example_context("en"))
    context["customer"] = {"name": "<script>alert(1)</script> & Sons", "country": "GB"}
    source = "{{ customer.name }}|{{ customer.name | upcase }}|{{ customer.name | default: 'x' | append: '!' }}"
    html = render_source(source, context, escape=True, part="mjml")
    assert "<" not in html
    assert html.startswith("&lt;script&gt;alert(1)&lt;/script&gt; &amp; Sons|&lt;SCRIPT")
    assert "&amp;amp;" not in html
    assert render_source("{{ customer.name }}", context, escape=False, part="text") == context["customer"]["name"]


def test_a_missing_value_may_be_tested_and_defaulted() -> None:
    source = "{% if decline %}no{% endif %}{% if decline.asks_for == 'funds' %}no{% endif %}"
    source += "{{ decline.x | default: 'ok' }}"
    assert render_source(source, {"decline": None}, escape=True, part="mjml") == "ok"


def test_a_source_is_parsed_once() -> None:
    assert compiled("{{ a }}", escape=True) is compiled("{{ a }}", escape=True)
    assert compiled("{{ a }}", escape=True) is not compiled("{{ a }}", escape=False)
