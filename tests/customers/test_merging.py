"""Merging duplicates: everything moves, nothing is lost or doubled, and the old identity goes on being known."""

from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Sum
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.charge_path import method_to_charge
from billing.ingest.facts.customers import lock_customer, write_customer
from billing.ingest.facts.invoices import write_invoice
from billing.ingest.facts.unit import Unit
from billing.models import AttemptStatus, Invoice, Payment, PaymentPlan, Promise
from campaigns.models import Case, CaseInvoice, Message, Task
from customers.consent import Evidence, Source, opt_out_record
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.merging import customers_merge, merge_plan
from customers.models import Contact, Customer, Interaction, Suppression
from tests import factories as make
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def anna() -> User:
    return User.objects.get_or_create(username="anna", defaults={"is_staff": True})[0]


def merge(kept: Customer, merged: Customer, **values: Any) -> dict[str, int]:
    values = {"reason": "Signed up twice", "actor_id": anna().pk, "now": NOW} | values
    return customers_merge(kept_id=kept.pk, merged_id=merged.pk, **values)


def promise(customer: Customer, days: int) -> Promise:
    return Promise.objects.create(
        customer=customer, brand=customer.brand, amount=100, currency="EUR", created_at=NOW,
        promised_on=(NOW + timedelta(days=days)).date(), expires_at=NOW + timedelta(days=days + 2),
    )  # fmt: skip


def sums() -> dict[str, Any]:
    """What a merge must not change, summed over everybody."""
    return {
        "owed": list(Invoice.objects.order_by().values("currency").annotate(Sum("balance")).order_by("currency")),
        "paid": Payment.objects.aggregate(Sum("amount"))["amount__sum"],
        "lines": set(Interaction.objects.exclude(kind__in=["customer.merged", "case.cancelled"]).values_list("pk")),
        "messages": Message.objects.count(),
        "memberships": CaseInvoice.objects.count(),
    }


AMOUNTS = st.lists(st.tuples(st.integers(1, 10**9), st.sampled_from(["EUR", "JPY", "KWD"])), max_size=4)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=AMOUNTS, second=AMOUNTS, live=st.tuples(st.booleans(), st.booleans()), rests=st.booleans())
def test_money_and_log_lines_are_conserved(
    first: list[tuple[int, str]], second: list[tuple[int, str]], live: tuple[bool, bool], rests: bool
) -> None:
    with transaction.atomic():
        pair = []
        for amounts, has_case in zip((first, second), live, strict=True):
            customer = make.customer()
            invoices = [make.invoice(customer, amount_due=a, currency=c) for a, c in amounts]
            if has_case and invoices:
                case = make.case(customer, invoices=invoices)
                make.message(case)
            for n, (amount, currency) in enumerate(amounts):
                Payment.objects.create(
                    customer=customer,
                    amount=amount,
                    currency=currency,
                    received_at=NOW,
                    external_id=f"{customer.pk}{n}",
                )
                record(Entry(customer_id=customer.pk, at=NOW, kind="note.added", summary=f"{amount} {currency}"))
            pair.append(customer)
        kept, merged = pair
        if rests:
            promise(kept, 3)
            promise(merged, 9)
        before = sums()
        merge(kept, merged)
        assert sums() == before
        assert kept.cases.filter(closed_at=None).count() <= 1
        assert kept.promises.filter(status="open").count() == int(rests)
        assert not merged.invoices.exists()
        assert not merged.interactions.exists()
        assert Customer.objects.filter(pk__in=[kept.pk, merged.pk]).count() == 1
        for case in kept.cases.filter(closed_at=None):
            members = case.case_invoices.filter(left_at=None)
            assert members.count() == sum(len(a) for a, has in zip((first, second), live, strict=True) if has)
        transaction.set_rollback(True)


def test_every_table_that_names_a_customer_is_moved() -> None:
    """A new table must not be left behind: the move reads the models, and this test reads them its own way."""
    kept, merged = make.customer(), make.customer()
    case = make.case(merged)
    make.contact(merged)
    make.message(case)
    merge(kept, merged)
    left = {}
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            own = issubclass(model, (Customer, Customer.history.model))
            if field.related_model is Customer and not own:
                left[model._meta.label] = model._base_manager.filter(**{field.name: merged.pk}).count()
    assert len(left) > 15
    assert sum(left.values()) == 0, left


def test_of_two_live_cases_the_one_that_rests_stands() -> None:
    kept, merged = make.customer(), make.customer()
    pressing, resting = make.case(kept), make.case(merged, state="promised", next_action_at=None)
    queued = make.message(pressing)
    task = Task.objects.create(customer=kept, case=pressing, kind="call", title="Call", due_at=NOW, created_at=NOW)
    joined = pressing.case_invoices.get().invoice_id
    merge(kept, merged)
    for row in (pressing, resting, queued, task):
        row.refresh_from_db()
    assert (pressing.state, pressing.close_reason, resting.state) == ("cancelled", "voided", "promised")
    assert resting.customer == kept
    assert resting.case_invoices.filter(invoice_id=joined, left_at=None).exists()
    assert (queued.status, queued.rule, task.case, task.status) == ("cancelled", "case.merged", resting, "open")
    kept.refresh_from_db()
    assert kept.reassess_at is not None


@pytest.mark.parametrize("status", [AttemptStatus.IN_FLIGHT, AttemptStatus.UNKNOWN])
def test_a_charge_under_way_refuses_it(status: str) -> None:
    kept, merged = make.customer(), make.customer()
    make.attempt(make.invoice(merged), status=status, decline_code="", decline_category="")
    with pytest.raises(SollecitoError, match="charge is under way"):
        merge(kept, merged)
    assert merge_plan(kept=kept, merged=merged).objections == ("A charge is under way: wait until it is resolved.",)
    merged.refresh_from_db()
    assert merged.merged_into is None
    assert merged.invoices.count() == 1


def test_what_else_is_refused() -> None:
    kept, merged, other = make.customer(), make.customer(), make.customer(brand=make.brand(code="other"))
    for pair, values in (((kept, kept), {}), ((kept, other), {}), ((kept, merged), {"reason": " "})):
        with pytest.raises(SollecitoError):
            merge(*pair, **values)
    for customer in (kept, merged):
        PaymentPlan.objects.create(customer=customer, brand=customer.brand, currency="EUR", created_at=NOW)
    with pytest.raises(SollecitoError, match="payment plan"):
        merge(kept, merged)
    make.account()
    with pytest.raises(SollecitoError, match="keep that one"):
        merge(make.customer(source="erp", external_id="C1"), make.customer())
    merge(kept, make.customer())
    assert not Interaction.objects.filter(customer=merged).exists()


def test_the_stricter_word_wins() -> None:
    kept = make.customer(email="a@example.com", phone="", vat_id="")
    merged = make.customer(
        email="b@example.com", phone="+390612345678", do_not_contact=True, tags=["vip"], vat_id="X1"
    )
    make.contact(kept, email="ap@example.com")
    make.contact(merged, email="AP@example.com", active=False, phone="+3906")
    opt_out_record(
        channel="email", address="b@example.com", customer_id=merged.pk, now=NOW,
        evidence=Evidence(source=Source.PORTAL, text="Stop"),
    )  # fmt: skip
    merge(kept, merged)
    kept.refresh_from_db()
    assert (kept.do_not_contact, kept.vat_id, kept.phone, kept.tags) == (True, "X1", "+390612345678", ["vip"])
    contact = Contact.objects.get()
    assert (contact.customer, contact.active, contact.phone, contact.is_primary) == (kept, False, "+3906", True)
    held = set(Suppression.objects.filter(lifted_at=None).values_list("address", flat=True))
    assert held == {"a@example.com", "b@example.com"}
    assert kept.history.latest().history_user == anna()


def test_the_promise_that_rests_longer_stands() -> None:
    kept, merged = make.customer(), make.customer()
    short, long = promise(kept, 2), promise(merged, 9)
    merge(kept, merged)
    short.refresh_from_db()
    long.refresh_from_db()
    assert (short.status, long.status, long.customer) == ("cancelled", "open", kept)


def _obj(external_id: str, holder: str) -> dict[str, Any]:
    return {
        "id": external_id, "customer": holder, "currency": "eur", "amount_due": 500, "status": "open",
        "default_payment_method": f"pm_{holder}", "created": 1,
    }  # fmt: skip


def test_later_facts_of_the_old_identity_find_the_customer_kept() -> None:
    account = make.account()
    kept = make.customer(external_id="cus_new", facts_as_of=NOW)
    merged = make.customer(external_id="cus_old", facts_as_of=NOW, name="Old name")
    mine, theirs = make.payment_method(kept), make.payment_method(merged)
    subscribed = make.subscription(merged)
    merge(kept, merged)
    again = make.customer(external_id="cus_newest", facts_as_of=NOW)
    merge(again, kept)  # and no chain
    with transaction.atomic():
        unit = Unit(account, NOW + timedelta(days=1))
        assert lock_customer(unit, "cus_old") == again
        write_customer(unit, {"id": "cus_old", "created": 1, "name": "Newer name", "email": "x@example.com"})
        row = write_invoice(unit, _obj("in_later", "cus_old"))
    assert row is not None
    assert (row.customer, row.held_as) == (again, "cus_old")
    subscribed.refresh_from_db()
    assert (subscribed.customer, subscribed.held_as) == (again, "cus_old")
    assert row.default_payment_method is not None
    assert row.default_payment_method.held_as == "cus_old"
    assert Customer.with_merged.filter(source="stripe").count() == 3
    again.refresh_from_db()
    assert again.name not in ("Newer name", "Old name")
    assert not Contact.objects.filter(customer=merged).exists()
    for method, name in ((mine, "cus_new"), (theirs, "cus_old")):
        method.refresh_from_db()
        assert (method.customer, method.held_as) == (again, name)


def test_a_card_pays_only_what_its_own_name_at_the_processor_owes() -> None:
    make.account()
    kept, merged = make.customer(), make.customer()
    mine, theirs = make.payment_method(kept), make.payment_method(merged)
    owed_mine, owed_theirs = make.invoice(kept), make.invoice(merged)
    merge(kept, merged)
    for invoice, method, wrong in ((owed_mine, mine, theirs), (owed_theirs, theirs, mine)):
        invoice.refresh_from_db()
        assert method_to_charge(invoice, None) == method
        assert method_to_charge(invoice, method.pk) == method
        with pytest.raises(SollecitoError):
            method_to_charge(invoice, wrong.pk)


def test_merging_in_the_admin(client: Client) -> None:
    kept = make.customer(name="Acme S.p.A.", email="ap@acme.example")
    merged = make.customer(name="ACME spa", email="AP@acme.example")
    stranger = make.customer()
    make.invoice(merged)
    client.force_login(anna())
    url = reverse("admin:customers_customer_do", args=[kept.pk, "merge"])
    assert client.get(url).status_code == 403
    client.force_login(User.objects.create_superuser("boss"))
    page = client.get(url).content.decode()
    assert "ACME spa" in page
    assert str(stranger) not in page
    page = client.get(f"{url}?with={merged.pk}").content.decode()
    assert "cannot be taken back" in page
    assert client.post(url, {"with": "x", "reason": "Same", "sure": "on"}, follow=True).status_code == 200
    client.post(url, {"with": merged.pk, "reason": "Same", "sure": "on"})
    merged.refresh_from_db()
    assert (merged.merged_into, Case.objects.count()) == (kept, 0)
    answer = client.get(reverse("admin:customers_customer_change", args=[merged.pk]))
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("admin:customers_customer_change", args=[kept.pk]))
    assert client.get(reverse("admin:customers_customer_duplicates")).context["groups"] == []
