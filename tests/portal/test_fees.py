"""Late fees on the payment page: beside their invoice, with a reason, apart from the balance, and silent without."""

from datetime import date
from typing import Any

import pytest

from billing.models import Fee, InvoiceStatus
from portal.account import read_account
from portal.fees import Sums
from tests import factories
from tests.factories import NOW
from tests.stripe_world import declining

pytestmark = pytest.mark.django_db
INTEREST = {"kind": Fee.Kind.INTEREST, "rule": "eu.interest", "amount": 320, "accrued_until": date(2026, 3, 1)}


@pytest.fixture
def customer() -> Any:
    factories.account()
    return factories.customer(name="Weiß GmbH", kind="business", country="DE")


def account_of(customer: Any, link_of: Any, language: str = "en") -> Any:
    return read_account(link=link_of(customer).link, now=NOW, language=language)


def test_balance_and_fees_are_told_apart_with_their_reason(client: Any, customer: Any, link_of: Any) -> None:
    factories.payment_method(customer)
    invoice = factories.invoice(customer, amount_due=12_000)
    factories.fee(invoice)
    factories.fee(invoice, **INTEREST)
    account = account_of(customer, link_of)
    assert account.sums == (Sums("€120.00", "€43.20", "€163.20"),)
    (item,) = account.payable
    assert (item.amount, [fee.amount_text for fee in item.fees]) == (12_000, ["€3.20", "€40.00"])
    assert "counted until March 1, 2026. Legal basis: § 288 BGB." in item.fees[0].why
    body = client.get(link_of(customer).url).content.decode()
    assert "Pay €120.00 now" in body
    assert "€163.20" in body
    german = client.get(link_of(customer).url + "?lang=de", follow=True).content.decode()
    assert "Verzugspauschale" in german
    assert "berechnet bis 1. März 2026" in german


def test_without_fees_the_page_says_nothing_of_them(client: Any, customer: Any, link_of: Any) -> None:
    factories.invoice(customer)
    assert account_of(customer, link_of).sums == ()
    body = client.get(link_of(customer).url).content.decode()
    assert "fees" not in body.replace("portal.css", "")


@pytest.mark.parametrize("ended", [Fee.Status.WAIVED, Fee.Status.PAID])
def test_a_fee_that_has_ended_is_not_shown(customer: Any, link_of: Any, ended: str) -> None:
    factories.fee(factories.invoice(customer), status=ended)
    account = account_of(customer, link_of)
    assert (account.sums, account.payable[0].fees) == ((), ())


@pytest.mark.parametrize("held", [{"disputed_at": NOW}, {"in_plan": True}])
def test_a_dispute_or_a_plan_holds_the_fees_of_its_invoice(customer: Any, link_of: Any, held: dict[str, Any]) -> None:
    factories.fee(factories.invoice(customer, **held))
    other = factories.invoice(customer, amount_due=500)
    factories.fee(other, amount=100)
    account = account_of(customer, link_of)
    assert account.sums == (Sums("€5.00", "€1.00", "€6.00"),)
    shown = next(item for item in account.groups[0].items if not item.payable)
    assert "You need not pay it for now." in shown.fees[0].why


def test_what_lapses_with_the_payment_is_shown_and_not_summed(customer: Any, link_of: Any) -> None:
    factories.fee(factories.invoice(customer), on_payment=Fee.OnPayment.FORGIVE)
    account = account_of(customer, link_of)
    assert account.sums == ()
    assert account.payable[0].fees[0].why.endswith("It lapses as soon as the invoice is paid.")


def test_fees_that_stay_after_the_payment_are_told_and_the_others_not(
    client: Any, customer: Any, link_of: Any
) -> None:
    paid = factories.invoice(customer, status=InvoiceStatus.PAID, amount_paid=4900, paid_at=NOW)
    factories.fee(paid)
    lapsed = factories.invoice(customer, status=InvoiceStatus.PAID, amount_paid=4900, paid_at=NOW)
    factories.fee(lapsed, on_payment=Fee.OnPayment.FORGIVE)
    account = account_of(customer, link_of)
    assert [fee.number for fee in account.fees_left] == [paid.number]
    assert account.sums == (Sums("", "€40.00", "€40.00"),)
    body = client.get(link_of(customer).url).content.decode()
    assert "Your invoices are paid. Thank you!" in body
    assert "Nothing to pay" not in body


@pytest.mark.parametrize("status", [InvoiceStatus.VOID, InvoiceStatus.UNCOLLECTIBLE])
def test_nobody_owes_fees_on_an_invoice_that_need_not_be_paid(customer: Any, link_of: Any, status: str) -> None:
    factories.fee(factories.invoice(customer, status=status))
    assert account_of(customer, link_of).fees_left == ()


def test_a_fee_in_another_currency_is_summed_apart(customer: Any, link_of: Any) -> None:
    factories.fee(factories.invoice(customer, amount_due=500), currency="GBP", rule="uk.fixed")
    assert account_of(customer, link_of).sums == (Sums("€5.00", "", "€5.00"), Sums("", "£40.00", "£40.00"))


def test_fees_cost_one_query_however_many_there_are(
    customer: Any, link_of: Any, django_assert_num_queries: Any
) -> None:
    link = link_of(customer).link
    factories.fee(factories.invoice(customer))

    def read() -> None:
        read_account(link=link, now=NOW, language="en")

    read()
    with django_assert_num_queries(7) as one:
        read()
    for _ in range(10):
        invoice = factories.invoice(customer)
        factories.fee(invoice)
        factories.fee(invoice, **INTEREST)
    with django_assert_num_queries(len(one)):
        read()


def test_another_customers_fees_are_nobodys_business(customer: Any, link_of: Any) -> None:
    other = factories.customer(brand=customer.brand, kind="business", country="DE")
    factories.fee(factories.invoice(other))
    account = account_of(customer, link_of)
    assert (account.sums, account.fees_left) == ((), ())


def paid_late(stripe_world: Any, **fields: Any) -> Any:
    """An invoice that is paid at last; its fixed sum is not."""
    invoice = stripe_world.owing(**fields)
    type(invoice).objects.filter(pk=invoice.pk).update(status=InvoiceStatus.PAID, amount_paid=4900, paid_at=NOW)
    return factories.fee(invoice)


def form(owed: Fee, **more: Any) -> dict[str, Any]:
    card = owed.customer.payment_methods.get().pk
    return {"key": "press-1", "card": card, "fee": [f"{owed.pk}:{owed.amount}"]} | more


def test_what_stays_owed_is_paid_by_a_press_of_its_own(client: Any, link_of: Any, stripe_world: Any) -> None:
    fee = paid_late(stripe_world)
    link = link_of(fee.customer)
    body = client.get(link.url).content.decode()
    assert f'name="fee" value="{fee.pk}:4000"' in body
    before = stripe_world.tried()
    for _press in range(2):
        body = client.post(link.url + "fees/", form(fee), follow=True).content.decode()
        assert "We have received €40.00 for late fees. Thank you!" in body
        assert "Nothing to pay. Thank you!" in body
    assert stripe_world.tried() - before == 1
    assert Fee.objects.get().status == Fee.Status.PAID


def test_no_fee_of_an_unpaid_invoice_can_be_paid_nor_is_taken_with_it(
    client: Any, link_of: Any, stripe_world: Any
) -> None:
    invoice = stripe_world.owing()
    fee = factories.fee(invoice)
    link = link_of(invoice.customer)
    assert 'name="fee"' not in client.get(link.url).content.decode()
    body = client.post(link.url + "fees/", form(fee), follow=True).content.decode()
    assert "Nothing was charged. This is what is open now." in body
    card = invoice.customer.payment_methods.get().pk
    client.post(link.url + "pay/", {"key": "p", "card": card, "invoice": [invoice.pk]})
    assert stripe_world.charged(invoice) == [4900]
    assert Fee.objects.get().status == Fee.Status.OPEN
    assert f'name="fee" value="{fee.pk}:4000"' in client.get(link.url).content.decode()


@pytest.mark.parametrize(
    "more",
    [{"fee": ["1:1:1"]}, {"fee": ["x"]}, {"fee": []}, {"fee": ["9" * 30 + ":1"]}, {"card": "x"}, {"key": ""}],
)
def test_a_form_that_is_not_ours_charges_nothing(
    client: Any, link_of: Any, stripe_world: Any, more: dict[str, Any]
) -> None:
    fee = paid_late(stripe_world)
    before = stripe_world.tried()
    link = link_of(fee.customer)
    assert client.post(link.url + "fees/", form(fee, **more), follow=True).status_code == 200
    assert stripe_world.tried() == before
    assert Fee.objects.get().status == Fee.Status.OPEN


def test_a_refusal_of_the_bank_is_told_in_words(client: Any, link_of: Any, stripe_world: Any) -> None:
    fee = paid_late(stripe_world, card=declining("insufficient_funds"))
    body = client.post(link_of(fee.customer).url + "fees/", form(fee), follow=True).content.decode()
    assert "No money was taken." in body
    assert 'class="notice bad"' in body
    assert 'name="fee"' in body
