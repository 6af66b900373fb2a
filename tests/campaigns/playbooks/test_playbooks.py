"""What is beside a call: the script that fits most closely, made safe, and a brief made of rows."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import Promise
from campaigns.models import Case, Playbook, Segment, StepRun, Task
from campaigns.playbooks import Brief, brief_for, playbook_problems, script_html
from campaigns.playbooks.shipped import playbooks_load, shipped_playbooks
from campaigns.rendering.examples import example_context
from customers.log import Entry, record
from tests import factories as make
from tests.factories import NOW
from tests.hindered import active_plan, hindered

pytestmark = pytest.mark.django_db


def playbook(body: str = "Hello", **fields: object) -> Playbook:
    return Playbook.objects.create(name=f"P {body[:20]}", body=body, **fields)


def case(**fields: object) -> Case:
    customer = make.customer(name="Anna Rossi", timezone="Europe/Rome", **fields)
    invoice = make.invoice(
        customer, last_decline_category="insufficient_funds", last_decline_code="insufficient_funds"
    )
    make.attempt(invoice)
    return make.case(customer, invoices=[invoice])


def said(brief: Brief) -> str:
    return "\n".join(line.text for part in brief.parts for line in part.lines)


def test_the_most_particular_script_in_the_right_language_is_shown() -> None:
    row = case(tags=["vip"], language="it")
    vip = Segment.objects.create(code="vip", name="VIP", query='tags = "vip"')
    poor = Segment.objects.create(code="poor", name="Poor", query='tags = "poor"')
    rows = [
        playbook("any", language="it"),
        playbook("reason", language="it", decline_category="insufficient_funds"),
        playbook("another reason", language="it", decline_category="expired"),
        playbook("others", language="it", segment=poor),
        playbook("segment", language="it", segment=vip),
        playbook("english", language="en", segment=vip, decline_category="insufficient_funds"),
        playbook("off", language="it", segment=vip, decline_category="insufficient_funds", active=False),
    ]

    def shown() -> list[int]:
        return [script.pk for script in brief_for(row, NOW).scripts]

    for expected in ("segment", "reason", "any", "english"):
        best = next(each for each in rows if each.body == expected)
        assert shown() == [best.pk], expected
        best.delete()
    assert shown() == []


def test_sums_and_dates_read_in_the_script_s_language_not_in_the_customer_s() -> None:
    row = case(language="pl", country="PL")
    playbook("{{ language }}", language="en")
    playbook("{{ language }}", language="it", decline_category="insufficient_funds")
    (script,) = brief_for(row, NOW).scripts
    assert script.html.strip() == "<p>en</p>"


def test_a_steps_script_stands_before_the_guidance_for_the_reason() -> None:
    row = case()
    template = make.template("call")
    make.text(template, "call", compiled_text="**Ask** {{ customer.name }}")
    step = row.ladder_version.steps.get(position=1)
    step.template, step.action = template, "call_task"
    step.save()
    run = StepRun.objects.create(case=row, step=step, round=1, scheduled_for=NOW, decided_at=NOW, decision="done")
    Task.objects.create(
        customer=row.customer, case=row, kind="call", title="Call", due_at=NOW, created_at=NOW,
        key=f"take:{row.pk}:{step.pk}:1",
    )  # fmt: skip
    guidance = playbook("Listen")
    first, second = brief_for(row, NOW).scripts
    assert first.html == "<p><strong>Ask</strong> Anna Rossi</p>\n"
    assert second.pk == guidance.pk
    own = playbook("Own words", ladder=row.ladder_version.ladder, step_key=run.step.key)
    assert [script.pk for script in brief_for(row, NOW).scripts] == [own.pk, guidance.pk]


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "[click](javascript:alert(1))",
        "[click](https://evil.example)",
        "![x](https://evil.example/pixel.png)",
        "x\n\n# Heading\n\n<img src=x onerror=alert(1)>",
        "`code` **bold** | a | b |",
    ],
)
def test_a_customers_name_adds_neither_link_nor_element(name: str) -> None:
    context = dict(example_context("en"))
    context["customer"] = {**context["customer"], "name": name}
    html = script_html("Call {{ customer.name }} now", context)
    assert html.startswith("<p>Call ")
    assert html.count("<") == 2


@pytest.mark.parametrize(("language", "sum_"), [("en", "€1,710.00"), ("it", "1.710,00\xa0€")])
def test_a_sum_is_written_as_staff_write_it_wherever_the_customer_is(language: str, sum_: str) -> None:
    context = dict(example_context(language))
    context["customer"] = {**context["customer"], "country": "PL"}
    context["balances"] = [{"amount": 171_000, "currency": "EUR"}]
    assert sum_ in script_html("{{ balances | money_list }} ({{ customer.country }})", context)


def test_authors_may_link_and_nothing_more() -> None:
    html = script_html("[Rules](https://intra.example/r) <b>x</b> [no](javascript:x)", dict(example_context("en")))
    assert '<a href="https://intra.example/r" target="_blank" rel="noopener noreferrer">Rules</a>' in html
    assert "<b>" not in html
    assert 'href="javascript' not in html


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{{ customer.nmae }}", "Unknown variable"),
        ("{% if customer.name %}", "never closed"),
        ("Pay at {{ links.pay }}", "links"),
    ],
)
def test_what_could_not_be_shown_is_not_saved(body: str, why: str) -> None:
    problems = playbook_problems(body)
    assert why in str(problems[0])
    assert playbook_problems("{{ customer.name }} owes {{ balances | money_list }}") == []


def test_the_brief_tells_what_rows_hold_and_links_to_them() -> None:
    row = case(language="it")
    customer, invoice = row.customer, row.case_invoices.get().invoice
    make.message(row, status="opened", sent_at=NOW - timedelta(days=2), subject="Your payment")
    for days in (3, 10):
        record(
            Entry(
                customer_id=customer.pk, at=NOW - timedelta(days=days), kind="call.logged", summary="Call: spoke",
                direction="out", channel="call", outcome="spoke", body="Will look",
            )
        )  # fmt: skip
    promise = Promise.objects.create(
        customer=customer, brand=customer.brand, amount=4900, currency="EUR", promised_on=NOW.date(),
        expires_at=NOW - timedelta(days=1), status="broken", created_at=NOW - timedelta(days=5),
        closed_at=NOW - timedelta(days=1),
    )  # fmt: skip
    brief = brief_for(row, NOW)
    text = said(brief)
    for words in (
        "Anna Rossi", "€49.00 is owed on 1 invoice.", "insufficient_funds", "Money on the account helps",
        "1 charge was tried.", "Your payment · Opened", "Call: spoke", "Will look", "Promised €49.00", "Broken",
        "Speaks Italian.", "It is 13:00 where they are.", "at about 13:00 2 times",
        "€49.00 in instalments: 2 × €24.50 until",
    ):  # fmt: skip
        assert words in text, words
    sources = {(line.model, line.pk) for part in brief.parts for line in part.lines if line.model}
    assert {("customers_customer", customer.pk), ("billing_invoice", invoice.pk), ("billing_promise", promise.pk)} < (
        sources
    )
    page = render_to_string("admin/campaigns/call_brief.html", {"brief": brief})
    assert reverse("admin:billing_invoice_change", args=[invoice.pk]) in page
    Promise.objects.create(
        customer=customer, brand=customer.brand, amount=1, currency="EUR", promised_on=NOW.date(),
        expires_at=NOW, status="broken", created_at=NOW - timedelta(days=4), closed_at=NOW,
    )  # fmt: skip
    assert "No plan by the rules: 2 words broken within a year." in said(brief_for(customer, NOW))


def test_where_the_amount_is_the_obstacle_the_brief_and_the_script_offer_parts() -> None:
    playbooks_load()
    invoice = hindered()
    row = make.case(invoice.customer, invoices=[invoice])
    brief = brief_for(row, NOW)
    [why] = [line for part in brief.parts for line in part.lines if "obstacle" in line.text]
    assert why.text == "The amount seems to be the obstacle: refused for lack of funds 2 times."
    assert (why.model, why.pk) == ("billing_paymentattempt", invoice.attempts.order_by("number").last().pk)
    assert "All at once seems to be too much; offer parts: 3 × €30.00 until" in said(brief)
    assert "offer 3 parts, the first of €30.00" in brief.scripts[0].html
    active_plan(invoice)
    rested = brief_for(row, NOW)
    assert "offer parts" not in said(rested)
    assert "3 parts" not in rested.scripts[0].html
    assert "offer instalments within the rules" in rested.scripts[0].html


def test_of_several_debts_the_brief_and_the_script_name_the_same_parts() -> None:
    playbooks_load()
    first = hindered()
    second = hindered(customer=first.customer)
    paid = make.invoice(first.customer, amount_due=4500, status="paid", amount_paid=4500)
    card = second.attempts.order_by("number").last().payment_method
    make.attempt(paid, amount=4500, status="succeeded", decline_category="", payment_method=card)
    brief = brief_for(make.case(first.customer, invoices=[first, second]), NOW)
    # Only of the second card is it known what passes.
    assert "offer parts: 4 × €45.00 until" in said(brief)
    assert "offer 4 parts, the first of €45.00" in brief.scripts[0].html


def test_a_brief_costs_the_same_however_much_there_is() -> None:
    def queries(count: int) -> int:
        customer = make.customer()
        invoices = [make.invoice(customer) for _ in range(count)]
        for invoice in invoices:
            make.attempt(invoice)
        row = make.case(customer, invoices=invoices, ladder_version=version)
        for _ in range(count):
            make.message(row, status="sent", sent_at=NOW)
        with CaptureQueriesContext(connection) as found:
            brief_for(row, NOW)
        return len(found)

    version = make.ladder()
    playbook("x")
    few = queries(1)
    assert queries(20) == few
    assert few <= 60


def test_a_customer_who_owes_nothing_has_a_brief_that_says_so() -> None:
    brief = brief_for(make.customer(name=""), NOW)
    assert (brief.case, brief.scripts) == (None, ())
    assert "Nothing is owed." in said(brief)


def test_shipped_playbooks_are_in_english_and_italian_and_loaded_once() -> None:
    shipped = shipped_playbooks()
    codes = {row.code for row in shipped}
    assert {(row.code, row.language) for row in shipped} == {(code, lang) for code in codes for lang in ("en", "it")}
    assert len(playbooks_load()) == len(shipped)
    assert playbooks_load() == ()
    boss = User.objects.create_user("boss")
    mine, stale = Playbook.objects.order_by("pk")[:2]
    mine.body = "My words"
    mine._history_user = boss
    mine.save()
    Playbook.objects.filter(pk=stale.pk).update(body="Old shipped words")
    assert playbooks_load() == (f"{stale.code}/{stale.language}",)
    mine.refresh_from_db()
    assert mine.body == "My words"


def test_the_list_and_the_form_name_reasons_in_words(client: Client) -> None:
    client.force_login(User.objects.create_superuser("boss", "b@example.com", "x"))
    mine = playbook(decline_category="lost_stolen")
    listed = client.get(reverse("admin:campaigns_playbook_changelist")).content.decode()
    assert ("card lost or stolen" in listed, "lost_stolen" in listed) == (True, False)
    form = client.get(reverse("admin:campaigns_playbook_change", args=[mine.pk])).content.decode()
    assert '<option value="lost_stolen" selected>card lost or stolen</option>' in form


def test_edited_with_a_preview_and_every_version_kept(client: Client) -> None:
    client.force_login(User.objects.create_superuser("boss", "b@example.com", "x"))
    row = case()
    url = reverse("admin:campaigns_playbook_add")
    data = {"name": "Mine", "language": "en", "body": "Hello {{ customer.nam }}", "active": "on"}
    assert "Unknown variable" in client.post(url, data).content.decode()
    client.post(url, data | {"body": "Hello {{ customer.name }}"})
    mine = Playbook.objects.get()
    change = reverse("admin:campaigns_playbook_change", args=[mine.pk])
    page = client.get(f"{change}?section=preview&case={row.pk}").content.decode()
    assert "<p>Hello Anna Rossi</p>" in page
    assert "made-up facts" in client.get(f"{change}?section=preview").content.decode()
    assert "There is no such case." in client.get(f"{change}?section=preview&case={row.pk + 1}").content.decode()
    client.post(f"{change}?section=details", data | {"body": "Good day"})
    assert list(mine.history.values_list("body", flat=True)) == ["Good day", "Hello {{ customer.name }}"]
    wrong = client.post(url, data | {"body": "x", "step_key": "call"}).content.decode()
    assert "Name the ladder" in wrong
