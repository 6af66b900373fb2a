import time

import pytest

from campaigns.rendering.lint import check, check_template
from campaigns.rendering.variables import declared_variables

PAY = "<mj-button href='{{ links.pay }}'>Pay</mj-button>"


def body(text: str, extra: str = PAY) -> str:
    return f"<mj-section>\n<mj-column>\n<mj-text>{text}</mj-text>\n{extra}\n</mj-column>\n</mj-section>"


def test_a_good_template_has_no_problems() -> None:
    assert check_template(subject="Hello {{ customer.name }}", mjml=body("Hi {{ customer.first_name }}")) == []


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "suggestion"),
    [
        ("ok\n{{ custmer.name }}", 4, 4, "Unknown variable custmer.", "customer"),
        ("{{ customer.nme }}", 3, 13, "Unknown variable customer.nme.", "customer.name"),
        ("{{ customer['nme'] }}", 3, 13, "Unknown variable customer.nme.", "customer.name"),
        (
            "\n\n{{ invoices.number }}",
            5,
            4,
            "Unknown variable invoices.number.",
            "{% for item in invoices %}",
        ),
        (
            "{% for i in invoices %}\n{{ i.balanc }}{% endfor %}",
            4,
            4,
            "Unknown variable i.balanc.",
            "i.balance",
        ),
        ("{% for i in invoices %}{% endfor %}\n{{ i.number }}", 4, 4, "Unknown variable i.", ""),
        ("{% assign x = oldest_invoice %}\n{{ x.nummer }}", 4, 4, "Unknown variable x.nummer.", "x.number"),
        ("{% if card %}{{ card.last }}{% endif %}", 3, 26, "Unknown variable card.last.", "card.last4"),
        ("{% if declin.asks_for == 'funds' %}{% endif %}", 3, 16, "Unknown variable declin.", "decline"),
        ("{{ 1 | money: invoice.currency }}", 3, 24, "Unknown variable invoice.", "invoices"),
        ("{{ customer.name | upcas }}", 3, 29, "Unknown filter upcas.", "upcase"),
        ("{{ customer.name | safe }}", 3, 29, "Unknown filter safe.", "always escaped"),
        ("{{ case.started_on | date: '%d' }}", 3, 31, "Unknown filter date.", "local_date"),
        ("{% fi card %}x{% endif %}", 3, 13, "Unexpected tag {% fi %}.", "if"),
        ("{% include 'x' %}", 3, 13, "Unexpected tag {% include %}.", "Available"),
        ("x{% endif %}", 3, 14, "Unexpected tag {% endif %}.", "not open here"),
        ("a\n{% if card %}b", 4, 1, "{% if %} is never closed.", "{% endif %}"),
        ("{% for c in customer %}{% endfor %}", 3, 13, "A loop needs a list", ""),
        ("{{ customer.name", 3, 10, "", ""),
        ("{% for i in (1..9) %}{% endfor %}", 3, 22, "Ranges", ""),
        ("[[greting]]", 3, 10, "Unknown part [[greting]].", "greeting"),
        ("<b>x", 3, 10, "<b> is never closed.", ""),
        ("x</b>", 3, 11, "</b> closes nothing.", ""),
        ("<script>x</script>", 3, 10, "<script> has no place in a mail.", ""),
        ("<a href='javascript:x'>y</a>", 3, 10, "A link must start", ""),
        ("<span onclick='x'>y</span>", 3, 10, "Scripts (onclick)", ""),
        ("<span style='background:url(http://x/y.png)'>y</span>", 3, 10, "Mails fetch nothing", ""),
        ("<mj-txt>x</mj-txt>", 3, 10, "<mj-txt> is unknown.", "<mj-text>"),
        ("<mj-button>x</mj-button>", 3, 10, "<mj-button> cannot stand inside <mj-text>.", ""),
    ],
)
def test_a_problem_has_its_place_and_a_suggestion(
    text: str, line: int, column: int, message: str, suggestion: str
) -> None:
    problems = check(body(text))
    assert [p for p in problems if p.line == line and p.message.startswith(message) and suggestion in p.suggestion]
    found = next(p for p in problems if p.line == line and p.message.startswith(message))
    assert found.severity == "error"
    if message:
        assert found.column == column


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("<mj-column></mj-column>", 1, "<mj-column> cannot stand inside <mj-body>."),
        ("<mj-section>\n<mj-text>x</mj-text></mj-section>", 2, "<mj-text> cannot stand inside <mj-section>."),
        ("<mj-section>\n<mj-column></mj-section>", 2, "<mj-column> is never closed."),
        (
            "<mj-section>\n<mj-font name='x' href='https://x' /></mj-section>",
            2,
            "<mj-font> is not available.",
        ),
        ("\n<mj-include path='/etc/passwd' />", 2, "<mj-include> is not available."),
        ("<mj-section>\n<mj-column><mj-text>x</mj-text", 2, "A tag is not finished."),
        ("<mjml><mj-body></mj-body></mjml>", 1, "No font is set"),
        ("<mj-section>\n<mj-column>hello</mj-column></mj-section>", 2, "Text stands outside of any element."),
        (
            "<mjml><mj-head>\n<mj-style inline='inline'>a{color:red}</mj-style>\n</mj-head></mjml>",
            2,
            "<mj-style inline> would be lost.",
        ),
        ("<mjml><mj-head>\n<mj-style>@import 'x';</mj-style></mj-head></mjml>", 2, "Mails fetch nothing"),
    ],
)
def test_broken_structure_is_found(source: str, line: int, message: str) -> None:
    assert [p for p in check(source) if p.line == line and p.message.startswith(message)]


def test_a_value_that_may_be_absent_must_be_guarded() -> None:
    (problem,) = check_template(subject="x", mjml=body("\n{{ decline.message }}"))
    assert (problem.line, problem.severity) == (4, "error")
    assert "guard it" in problem.suggestion
    guarded = body("\n{% if decline %}{{ decline.message }}{% endif %}")
    assert check_template(subject="x", mjml=guarded) == []


def test_subject_length_is_measured_as_rendered() -> None:
    assert check_template(subject="{{ 'x' | append: '" + "y" * 58 + "' }}", mjml=body("x")) == []
    (problem,) = check_template(subject="{{ customer.name }} " + "y" * 50, mjml=body("x"))
    assert (problem.part, problem.severity) == ("subject", "warning")


def test_subject_and_text_are_checked_too() -> None:
    problems = check_template(subject="{{ x }}", mjml=body("x"), text="a\n{{ y }}")
    assert [(p.part, p.line) for p in problems] == [("subject", 1), ("text", 2)]


def test_a_mail_without_a_link_is_pointed_out() -> None:
    (problem,) = check_template(subject="x", mjml=body("x", extra=""))
    assert problem.severity == "warning"
    assert "links.pay" in problem.suggestion
    assert check_template(subject="x", mjml=body("x", extra="[[pay_button]]")) == []


def test_a_mail_that_gmail_would_cut_is_pointed_out() -> None:
    (problem,) = check_template(subject="x", mjml=body("lorem ipsum " * 9_000))
    assert (problem.severity, "kB" in problem.message) == ("warning", True)


def test_every_declared_variable_can_be_used_and_is_described() -> None:
    declared = declared_variables()
    assert len({v.name for v in declared}) == len(declared) > 50
    for variable in declared:
        assert str(variable.description)
        name = variable.name.replace("[]", "[0]")
        problems = check(body("{{ " + name + " }}"))
        assert not [p for p in problems if "Unknown" in p.message], variable.name


@pytest.mark.parametrize("piece", ["{{", "{%", "{{ '", "{% # ", "<a ", "<mj-text b=", "<!---->", "[["])
def test_what_is_never_closed_is_refused_at_once(piece: str) -> None:
    """Twenty thousand braces held up whoever saved or previewed them for a minute."""
    began = time.process_time()
    problems = check(piece * (40_000 // len(piece)) + "x")
    assert time.process_time() - began < 5
    assert any(problem.severity == "error" for problem in problems)


def test_a_tag_that_is_never_closed_is_named_by_its_line() -> None:
    (problem,) = check("<mj-section>\n  {{ customer.name \n</mj-section>")[:1]
    assert (problem.line, problem.column) == (2, 3)
