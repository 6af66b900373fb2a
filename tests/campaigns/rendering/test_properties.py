from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.rendering.examples import example_context
from campaigns.rendering.lint import check_template
from campaigns.rendering.render import compile_template, render

PIECES = st.sampled_from(
    [
        *("<mj-section>", "</mj-section>", "<mj-column>", "</mj-column>", "<mj-text>", "</mj-text>", "<mj-table>"),
        *("<mjml>", "<mj-body>", "<mj-head>", "<mj-raw>", "</mj-raw>", "<br>", "<b", "'", '"', "&amp;", "&", "<!--"),
        *("-->", "<![CDATA[", "]]>", "<?x?>", "<!doctype x>", "\n", " ", "x", "é", "\x00", "lqd0lqd", "]]", "[["),
        *("[[greeting]]", "[[content]]", "[[layout]]", "[[language]]", "{{", "}}", "{%", "%}", "{{ x }}"),
        *("{% if card %}", "{% endif %}", "{% else %}", "{% for i in invoices %}", "{% endfor %}", "{% assign %}"),
        *("{{ customer.name }}", "{{ invoices[0] }}", "{{ invoices[9] }}", "{{ card | money }}", "{{ a[b[c]] }}"),
        *("{{ customer }}", "{{ 'a' | replace: '', '' }}", "{% case x %}", "{% when 1 %}", "{% raw %}", "{% # x %}"),
        *("{% comment %}", "{% endcomment %}", "{{- -}}", "{{ | }}", "{{ 1 | plus: 'a' }}", "{% for in %}"),
    ]
)
SOURCES = st.one_of(st.lists(PIECES, max_size=14).map("".join), st.text(max_size=60))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(subject=SOURCES, mjml=SOURCES)
def test_whatever_is_typed_is_refused_or_renders(subject: str, mjml: str) -> None:
    problems = check_template(subject=subject, mjml=mjml)
    if any(p.severity == "error" for p in problems):
        assert all(p.line >= 1 and p.column >= 1 and p.message for p in problems)
        return
    mail = render(compile_template(subject=subject, mjml=mjml), example_context("en"))
    assert "\n" not in mail.subject


@settings(max_examples=60, deadline=None)
@given(name=st.text(max_size=40))
def test_no_name_can_become_markup(name: str) -> None:
    context = example_context("en")
    context["customer"]["name"] = name
    mjml = "<mj-section><mj-column><mj-text>BEGIN{{ customer.name }}END</mj-text></mj-column></mj-section>"
    html = render(compile_template(subject="x", mjml=mjml), context).html
    written = html.split("BEGIN", 1)[1].split("END</div>", 1)[0]
    assert "<" not in written
    assert ">" not in written
