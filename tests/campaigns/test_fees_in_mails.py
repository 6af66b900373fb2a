"""What mails and letters say of late fees: each part with its law, and nothing where there are none."""

import re
from datetime import date
from typing import Any

import pytest

from billing.models import Fee, InvoiceStatus
from billing.money import display
from campaigns.context import load
from campaigns.preview import case_context
from campaigns.rendering.examples import example_context
from campaigns.rendering.render import compile_template, render
from campaigns.rendering.variables import MailContext
from campaigns.shipped_set import shipped_templates
from customers.models.customer import LANGUAGES
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db
TEMPLATES = {template.code: template for template in shipped_templates()}


def context_of(case: Any, language: str = "en") -> MailContext:
    return case_context(case_id=case.pk, channel="email", language=language, now=NOW)


def written(code: str, context: MailContext, channel: str = "email") -> str:
    language = context["language"]
    text = TEMPLATES[code].texts[channel][language]
    ready = compile_template(subject=text.subject, mjml=text.body, language=language, channel=channel)
    return render(ready, context, channel=channel).text


@pytest.fixture
def case() -> Any:
    customer = f.customer(kind="business", country="DE", name="Weiß GmbH")
    return f.case(customer, invoices=[f.invoice(customer, amount_due=12_000)])


def invoice_of(case: Any) -> Any:
    return case.case_invoices.get().invoice


def test_interest_fixed_sum_and_total_are_told_apart(case: Any) -> None:
    invoice = invoice_of(case)
    f.fee(invoice)
    f.fee(invoice, kind=Fee.Kind.INTEREST, rule="eu.interest", amount=320, accrued_until=date(2026, 3, 1))
    context = context_of(case)
    assert context["fees"] == [
        {"currency": "EUR", "interest": 320, "fixed_sum": 4000, "amount": 4320, "waived": 0, "law": "§ 288 BGB"}
    ]
    assert context["balances"] == [{"amount": 12_000, "currency": "EUR"}]
    assert context["totals"] == [{"amount": 16_320, "currency": "EUR"}]


def test_what_is_waived_with_the_payment_is_shown_and_not_asked_for(case: Any) -> None:
    f.fee(invoice_of(case), on_payment=Fee.OnPayment.FORGIVE)
    context = context_of(case)
    assert (context["fees"][0]["amount"], context["fees"][0]["waived"]) == (4000, 4000)
    assert context["totals"] == context["balances"]
    assert f"Waived when the invoice is paid | −{display(4000, 'EUR', 'en_DE')}" in written(
        "invoice_overdue_2", context
    )


def test_a_fee_in_another_currency_is_never_summed_with_the_invoice(case: Any) -> None:
    f.fee(invoice_of(case), currency="GBP", rule="uk.fixed")
    context = context_of(case)
    assert context["totals"] == [{"amount": 12_000, "currency": "EUR"}, {"amount": 4000, "currency": "GBP"}]
    # Asked under a law that was chosen, not the customer's own.
    assert context["fees"][0]["law"] == "Late Payment of Commercial Debts (Interest) Act 1998"


@pytest.mark.parametrize("status", [Fee.Status.WAIVED, Fee.Status.PAID])
def test_a_fee_that_has_ended_is_not_told(case: Any, status: str) -> None:
    f.fee(invoice_of(case), status=status)
    assert context_of(case)["fees"] == []


def test_a_disputed_invoice_takes_its_fees_out_of_the_mail(case: Any) -> None:
    disputed = invoice_of(case)
    other = f.invoice(case.customer, amount_due=500)
    case.case_invoices.create(invoice=other, joined_at=NOW)
    f.fee(disputed)
    type(disputed).objects.filter(pk=disputed.pk).update(disputed_at=NOW)
    context = context_of(case)
    assert [each["number"] for each in context["invoices"]] == [other.number]
    assert context["fees"] == []


def test_a_thank_you_tells_what_stays_owed_and_not_what_has_lapsed() -> None:
    context = example_context("en")
    assert "nothing else to do" in written("payment_received", context)
    fees = example_context("en", variant="many")["fees"][:1]
    context["fees"], context["totals"] = fees, [{"amount": fees[0]["amount"], "currency": fees[0]["currency"]}]
    told = written("payment_received", context)
    assert "£154.35" in told
    assert "nothing else to do" not in told


def test_a_fee_forgiven_with_the_payment_is_not_told_once_that_has_come(case: Any) -> None:
    invoice = invoice_of(case)
    f.fee(invoice, on_payment=Fee.OnPayment.FORGIVE)
    message = f.message(case, purpose="receipt")
    type(invoice).objects.filter(pk=invoice.pk).update(status=InvoiceStatus.PAID, amount_paid=12_000, paid_at=NOW)
    (sending,) = load([message.pk], NOW)
    assert [row.pk for row in sending.invoices] == [invoice.pk]
    assert sending.fees == ()


@pytest.mark.parametrize("language", [code for code, _name in LANGUAGES])
@pytest.mark.parametrize(
    ("code", "channel"),
    [
        ("invoice_overdue_1", "email"), ("invoice_overdue_2", "email"), ("invoice_overdue_3", "email"),
        ("invoice_overdue_final", "email"), ("invoice_overdue_final", "letter"),
        ("card_failed_b2b_final", "letter"),
    ],
)  # fmt: skip
def test_the_shipped_texts_show_each_part_with_its_law_and_nothing_without(
    code: str, channel: str, language: str
) -> None:
    without, context = example_context(language), example_context(language, variant="many")
    country, law = context["customer"]["country"], context["fees"][0]["law"]
    locale = f"{language}_{country}"
    told = written(code, context, channel)
    for part in ("interest", "fixed_sum", "waived"):
        assert display(context["fees"][0][part], context["fees"][0]["currency"], locale) in told
    for total in context["totals"]:
        assert display(total["amount"], total["currency"], locale) in told
    assert told.count(law) == 1
    assert not re.search(r"\n{3,}", told)
    silent = written(code, without, channel)
    words = told.split(display(context["fees"][0]["interest"], context["fees"][0]["currency"], locale))[0]
    label = words.splitlines()[-1].rstrip("|: ")
    assert label
    assert label not in silent
