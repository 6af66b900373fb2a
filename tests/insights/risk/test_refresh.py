"""Risks as rows: fitted on the installation's own invoices, scored in batches, read by segments, lists and pages."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from billing.models import CustomerRisk, Invoice, InvoiceRisk, Payment, RiskModel
from campaigns.segments.evaluate import query_contains
from customers.clock import running_on
from customers.models import Customer
from insights.risk.advice import Advice, advice_of
from insights.risk.fitting import data_state, model_retire, risk_fit
from insights.risk.refresh import risk_refresh
from insights.tasks import refresh_risk
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def billed(customer: Customer, n: int, late: Any, *, every: int = 10) -> list[Invoice]:
    """`n` invoices due after 14 days, the newest 40 days ago; `late(i)` says which were paid 30 days after that."""
    rows = []
    for i in range(n):
        issued = NOW - (40 + every * (n - i)) * DAY
        due = issued + 14 * DAY
        rows.append(
            Invoice(
                customer=customer, brand=customer.brand, currency="EUR", amount_due=10_000, amount_paid=10_000,
                status="paid", collection_method="manual", issued_at=issued, due_at=due,
                paid_at=due + (30 if late(i) else -3) * DAY,
            )
        )  # fmt: skip
    return Invoice.objects.bulk_create(rows)


def installation(payers: int = 60, each: int = 24) -> tuple[Customer, Customer]:
    """Customers of whom a third pay late four times in five, the others hardly ever; returns one of each kind."""
    random = np.random.default_rng(5)
    found = []
    for n in range(payers):
        customer = f.customer()
        chance = 0.8 if n % 3 == 0 else 0.05
        billed(customer, each, lambda i, chance=chance: random.random() < chance)
        found.append(customer)
    return found[0], found[1]


def test_without_enough_data_it_says_what_is_missing_and_ratings_serve() -> None:
    good, bad = f.customer(), f.customer()
    billed(good, 4, lambda i: False)
    billed(bad, 4, lambda i: True)
    run = risk_fit(now=NOW)
    assert (run.outcome, run.thin) == ("thin", data_state(NOW))
    assert data_state(NOW).needed == {"invoices": (8, 500), "late": (4, 50), "on_time": (4, 50), "payers": (2, 30)}
    risk_refresh(now=NOW)
    rows = {row.customer_id: row for row in CustomerRisk.objects.all()}
    assert (rows[good.pk].rating, rows[good.pk].band, rows[good.pk].basis) == ("A", "low", "history")
    assert (rows[bad.pk].rating, rows[bad.pk].band, rows[bad.pk].late_chance) == ("C", "medium", None)
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    page = client.get(reverse("admin:billing_riskmodel_changelist")).content.decode()
    assert "8 of 500 invoices with a known outcome" in page


def test_a_model_is_fitted_judged_and_used_and_rows_say_why() -> None:
    bad, good = installation()
    run = risk_fit(now=NOW)
    assert run.outcome == "in_use"
    model = RiskModel.objects.get()
    assert model.figures["model"]["auc"] > 0.75
    soon = f.invoice(bad, collection_method="manual", issued_at=NOW - DAY, due_at=NOW + 13 * DAY, first_failed_at=None)
    Payment.objects.create(customer=bad, amount=500, refunded=100, currency="EUR", received_at=NOW)
    with running_on(lambda: NOW):
        assert refresh_risk() == 60
    worse, better = CustomerRisk.objects.get(customer=bad), CustomerRisk.objects.get(customer=good)
    assert worse.late_chance is not None and better.late_chance is not None  # noqa: PT018
    assert worse.late_chance > 0.5 > 0.2 > better.late_chance
    assert (worse.band, better.band, worse.basis, worse.model) == ("high", "low", "model", model)
    assert worse.lifetime == {"EUR": 400}
    assert {code for code, _figures, effect in worse.reasons if effect > 0} & {"late", "days"}
    foretold = InvoiceRisk.objects.get()
    assert foretold.invoice == soon
    assert foretold.late_chance > 0.4
    assert query_contains('risk = "high" and late_chance > 50', [bad.pk, good.pk], NOW) == {bad.pk}
    assert query_contains('rating = "A"', [bad.pk, good.pk], NOW) == ({good.pk} if better.rating == "A" else set())
    assert query_contains("risk = None", [bad.pk, good.pk], NOW) == set()
    # A second fit takes the place of the first; taken out, ratings serve with the next refresh.
    second = risk_fit(now=NOW + 7 * DAY)
    assert RiskModel.objects.get(state="in_use").pk == second.model_id != model.pk
    assert model_retire(model_id=second.model_id or 0)
    assert not model_retire(model_id=second.model_id or 0)
    risk_refresh(now=NOW + 7 * DAY)
    assert set(CustomerRisk.objects.values_list("basis", flat=True)) <= {"history", ""}


def test_an_invoice_that_is_late_keeps_what_was_foretold() -> None:
    bad, _good = installation()
    risk_fit(now=NOW)
    soon = f.invoice(bad, collection_method="manual", issued_at=NOW - DAY, due_at=NOW, first_failed_at=None)
    risk_refresh(now=NOW)
    before = InvoiceRisk.objects.get(invoice=soon)
    risk_refresh(now=NOW + 8 * DAY)
    assert InvoiceRisk.objects.get(invoice=soon).scored_at == before.scored_at
    assert CustomerRisk.objects.get(customer=bad).scored_at == NOW + 8 * DAY


def test_batches_go_on_where_they_ended_and_what_is_fresh_is_left_alone(
    django_assert_max_num_queries: Any,
) -> None:
    customers = [f.customer() for _ in range(5)]
    f.customer(name="Never billed")
    for customer in customers:
        billed(customer, 3, lambda i: False)
    first = risk_refresh(now=NOW, limit=2)
    assert (first.customers, first.last) == (2, customers[1].pk)
    second = risk_refresh(now=NOW, limit=2, after=first.last or 0)
    assert second.last == customers[3].pk
    with django_assert_max_num_queries(11):
        assert risk_refresh(now=NOW, limit=50).customers == 1
    assert risk_refresh(now=NOW + timedelta(hours=19)).customers == 0
    with django_assert_max_num_queries(11):
        assert risk_refresh(now=NOW + timedelta(hours=20)).customers == 5


def test_a_model_of_another_release_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    RiskModel.objects.create(
        state="in_use", fitted_at=NOW, trained_from=NOW, trained_until=NOW, rows=1, customers=1, data={"features": []}
    )
    billed(f.customer(), 3, lambda i: False)
    risk_refresh(now=NOW)
    assert CustomerRisk.objects.get().basis == "history"
    assert "cannot be used" in caplog.text


@pytest.mark.parametrize(
    ("told", "advice"),
    [
        ({"band": ""}, [Advice.WAIT]),
        ({"band": "high", "terms_days": 30}, [Advice.DEPOSIT, Advice.SHORTER]),
        ({"band": "high", "overdue": 2}, [Advice.NO_CREDIT, Advice.DEPOSIT]),
        ({"band": "medium", "terms_days": 30}, [Advice.REMIND]),
        ({"band": "low", "counts": {"broken": 1}}, [Advice.PART_NOW]),
        ({"band": "low", "counts": {"charges": 4, "declined": 2}}, [Advice.SECOND_METHOD]),
        ({"band": "low", "rating": "A", "counts": {"invoices": 6}}, [Advice.GENEROUS]),
        ({"band": "low", "rating": "A", "counts": {"invoices": 6}, "overdue": 1}, [Advice.AS_IS]),
        ({"band": "low", "rating": "B"}, [Advice.AS_IS]),
    ],
)
def test_terms_follow_from_the_risk(told: dict[str, Any], advice: list[Advice]) -> None:
    assert advice_of(**({"rating": "", "counts": {}, "terms_days": 0, "overdue": 0} | told)) == advice


def test_pages_show_risk_reasons_terms_and_the_model() -> None:
    installation()
    risk_fit(now=NOW)
    risk_refresh(now=NOW)
    bad = CustomerRisk.objects.filter(band="high").order_by("-late_chance")[0].customer
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    page = client.get(f"{reverse('admin:customers_customer_change', args=[bad.pk])}?section=risk").content.decode()
    assert "raises the risk" in page
    assert "Ask for a deposit" in page
    assert "invoices late, 0 of 0 charges declined" in page
    listed = client.get(f"{reverse('admin:customers_customer_changelist')}?risk__band__exact=high").content.decode()
    assert bad.name in listed
    model = RiskModel.objects.get()
    url = reverse("admin:billing_riskmodel_change", args=[model.pk])
    assert "“Paid late last time”" in client.get(url).content.decode()
    assert "Share of invoices paid late" in client.get(f"{url}?section=features").content.decode()
    client.post(reverse("admin:billing_riskmodel_do", args=[model.pk, "retire"]), {})
    model.refresh_from_db()
    assert model.state == "retired"
