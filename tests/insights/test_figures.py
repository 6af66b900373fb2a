"""Each figure against a handful of invoices counted by hand, and the dashboard's queries against many."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from billing.models import AttemptStatus, Invoice
from campaigns.models import Case, Segment
from customers.clock import running_on
from customers.models.customer import PRACTICE
from insights import figures
from tests import factories as make
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def recovered(amount: int = 1000, *, failed: datetime, paid: datetime, **fields: Any) -> Invoice:
    values = {
        "amount_due": amount,
        "amount_paid": amount,
        "status": "paid",
        "first_failed_at": failed,
        "paid_at": paid,
        "recovered_by": "email",
    } | fields
    return make.invoice(make.customer(), **values)


def closed_case(invoice: Invoice, at: datetime) -> Case:
    return make.case(
        invoice.customer, invoices=[invoice], state="recovered", closed_at=at, close_reason="paid", next_action_at=None
    )


def test_at_risk_is_what_live_cases_owe_per_currency() -> None:
    a, b = make.customer(), make.customer()
    make.case(a, invoices=[make.invoice(a, amount_due=1000), make.invoice(a, amount_due=500, amount_paid=200)])
    make.case(b, invoices=[make.invoice(b, amount_due=700, currency="PLN")], state="paused")
    closed_case(make.invoice(make.customer(), amount_due=9000), NOW)
    make.invoice(a, amount_due=9999)  # open, but in no case
    assert [(s.currency, s.amount, s.count, s.cases) for s in figures.at_risk()] == [
        ("EUR", 1300, 2, 1),
        ("PLN", 700, 1, 1),
    ]


def test_a_customer_to_practise_on_is_counted_nowhere() -> None:
    learner = make.customer(source=PRACTICE)
    make.case(learner, invoices=[make.invoice(learner, amount_due=48_000)], next_action_at=NOW)
    make.invoice(learner, amount_due=100, amount_paid=100, status="paid", paid_at=NOW, recovered_by="email")
    assert figures.at_risk() == []
    assert figures.recovered_since(NOW - timedelta(days=1)) == []
    assert figures.due_before(NOW + timedelta(days=1)).cases == 0


def test_recovered_since_counts_from_the_very_moment_by_source() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    recovered(1000, failed=start - timedelta(days=3), paid=start)
    recovered(500, failed=start, paid=start + timedelta(days=1), recovered_by="portal")
    recovered(300, failed=start - timedelta(days=9), paid=start - timedelta(seconds=1))
    make.invoice(make.customer(), amount_due=100, amount_paid=100, status="paid", paid_at=NOW)  # never failed
    assert {(s.key, s.amount, s.count) for s in figures.recovered_since(start)} == {
        ("email", 1000, 1),
        ("portal", 500, 1),
    }


def test_a_cohort_is_open_while_one_of_its_cases_lives_and_then_keeps_its_rate() -> None:
    january = datetime(2026, 1, 15, tzinfo=UTC)
    won = recovered(3000, failed=january, paid=january + timedelta(days=5))
    closed_case(won, january + timedelta(days=5))
    lost = make.invoice(make.customer(), amount_due=1000, first_failed_at=january)
    case = make.case(lost.customer, invoices=[lost])
    (cohort,) = figures.cohorts(NOW, "UTC")
    assert (cohort.month, cohort.closed, cohort.rate) == (date(2026, 1, 1), False, None)
    assert (cohort.failed, cohort.failed_amount, cohort.recovered) == (2, 4000, 1)

    ended = NOW - timedelta(days=2)
    Case.objects.filter(pk=case.pk).update(
        state="lost", closed_at=ended, close_reason="exhausted", next_action_at=None
    )
    (cohort,) = figures.cohorts(NOW, "UTC")
    assert (cohort.closed, cohort.rate, cohort.count_rate) == (True, 75.0, 50.0)

    # Money that comes after the end changes no closed cohort.
    Invoice.objects.filter(pk=lost.pk).update(status="paid", amount_paid=1000, paid_at=NOW, recovered_by="unprompted")
    (cohort,) = figures.cohorts(NOW, "UTC")
    assert (cohort.closed, cohort.rate) == (True, 75.0)


def test_a_month_that_is_not_over_is_open_though_all_was_paid() -> None:
    closed_case(recovered(failed=NOW - timedelta(days=3), paid=NOW - timedelta(days=1)), NOW - timedelta(days=1))
    (cohort,) = figures.cohorts(NOW, "UTC")
    assert not cohort.closed


def test_months_are_those_of_the_zone() -> None:
    late = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)  # already February in Rome
    recovered(failed=late, paid=late + timedelta(days=1))
    assert [c.month for c in figures.cohorts(NOW, "UTC")] == [date(2026, 1, 1)]
    assert [c.month for c in figures.cohorts(NOW, "Europe/Rome")] == [date(2026, 2, 1)]


def test_lags_are_those_of_the_oldest_due_row() -> None:
    customer = make.customer(reassess_at=NOW + timedelta(hours=1))
    make.case(customer, next_action_at=NOW - timedelta(seconds=90), invoices=[])
    make.case(make.customer(), next_action_at=NOW - timedelta(seconds=30), invoices=[])
    attempt = make.attempt(make.invoice(customer), status=AttemptStatus.PLANNED, at=None, scheduled_for=NOW)
    assert attempt.pk
    found = {lag.loop: lag.seconds for lag in figures.lags(NOW)}
    assert found == {"ingest": None, "assess": None, "escalate": 90.0, "retry": 0.0, "deliver": None}


@pytest.mark.parametrize(
    ("days", "bucket"),
    [(-1, "current"), (0, "1-30"), (29, "1-30"), (30, "31-60"), (60, "61-90"), (90, "90+"), (None, "current")],
)
def test_ageing_buckets(days: int | None, bucket: str) -> None:
    due = None if days is None else NOW - timedelta(days=days, seconds=1 if days >= 0 else 0)
    make.invoice(make.customer(), due_at=due, amount_due=100)
    assert [(s.key, s.amount) for s in figures.ageing(NOW)] == [(bucket, 100)]


def test_days_without_failures_are_there_too() -> None:
    recovered(failed=NOW - timedelta(days=2), paid=NOW)
    days = figures.per_day(NOW.date() - timedelta(days=3), NOW.date(), "UTC")
    assert [(d.failed, d.recovered) for d in days] == [(0, 0), (1, 0), (0, 0), (0, 1)]


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "boss-password"))
    return client


def test_the_first_page_says_what_to_do_first(boss: Client) -> None:
    page = boss.get(reverse("admin:index")).content.decode()
    assert "Three steps to the first recovered payment" in page
    assert "/webhooks/stripe/" in page


def test_every_figure_links_to_rows_that_open_and_costs_the_same(
    boss: Client, django_assert_max_num_queries: Any
) -> None:
    def fill(n: int) -> None:
        for _i in range(n):
            customer = make.customer()
            invoice = make.invoice(customer, due_at=NOW - timedelta(days=40))
            make.case(customer, invoices=[invoice])
            make.attempt(invoice, status=AttemptStatus.PLANNED, at=None, scheduled_for=NOW)
            recovered(failed=NOW - timedelta(days=2), paid=NOW)

    learner = make.customer(source=PRACTICE)
    owed = make.invoice(learner, due_at=NOW - timedelta(days=40))
    make.case(learner, invoices=[owed])
    make.attempt(owed, status=AttemptStatus.PLANNED, at=None, scheduled_for=NOW)
    with running_on(lambda: NOW + timedelta(hours=1)):
        fill(1)
        boss.get(reverse("admin:index"))
        with django_assert_max_num_queries(30) as few:
            boss.get(reverse("admin:index"))
        fill(10)
        with django_assert_max_num_queries(len(few)):
            shown = boss.get(reverse("admin:index")).context["dashboard"]
        urls = [card.url for card in shown["cards"]]
        urls += [row[-1] for row in (*shown["due"], *shown["lags"])]
        urls += [row["url"] for row in (*shown["cohorts"], *shown["sources"])]
        urls += [cell[2] for _currency, cells in shown["ageing"]["rows"] for cell in cells if cell]
        counts = {url: boss.get(url).context["cl"].result_count for url in urls}
    assert len(urls) > 12
    assert counts[shown["cards"][0].url] == 11  # live cases
    assert counts[shown["cards"][1].url] == 11  # recovered invoices
    (cell,) = [cell for _currency, cells in shown["ageing"]["rows"] for cell in cells if cell]
    assert counts[cell[2]] == cell[1] == 11
    # Nobody counts whom staff practise on, on the first page and on the lists behind it.
    assert [counts[url] for _title, _count, url in shown["due"]] == [count for _title, count, _url in shown["due"]]
    assert [counts[row["url"]] for row in shown["cohorts"]] == [row["cohort"].failed for row in shown["cohorts"]]


def test_the_figures_of_a_segment_are_those_of_its_customers_at_a_constant_cost(
    boss: Client, django_assert_max_num_queries: Any
) -> None:
    Segment.objects.create(code="gb", name="Britons", query='country = "GB"')
    Segment.objects.create(code="odd", name="Odd", query="gone.field = 1")

    def fill(country: str, n: int) -> None:
        for _i in range(n):
            customer = make.customer(country=country)
            invoice = make.invoice(customer, amount_due=1000, due_at=NOW - timedelta(days=40))
            make.case(customer, invoices=[invoice])
            make.attempt(invoice, status=AttemptStatus.PLANNED, at=None, scheduled_for=NOW)
            make.invoice(customer, amount_due=500, amount_paid=500, status="paid", paid_at=NOW, recovered_by="email",
                         first_failed_at=NOW - timedelta(days=2))  # fmt: skip

    url = reverse("admin:index")
    with running_on(lambda: NOW + timedelta(hours=1)):
        fill("IT", 2)
        fill("GB", 1)
        boss.get(url, {"segment": "gb"})
        with django_assert_max_num_queries(32) as few:
            boss.get(url, {"segment": "gb"})
        fill("GB", 2)
        with django_assert_max_num_queries(len(few)):
            answer = boss.get(url, {"segment": "gb"})
        shown = answer.context["dashboard"]
        assert "Segment: Britons. Its customers are those of today" in answer.content.decode()
        assert [card.lines for card in shown["cards"]] == [["€30.00"], ["€15.00"]]
        assert [count for _title, count, _url in shown["due"]] == [3, 0, 3, 0]
        assert [(row["cohort"].failed, row["cohort"].recovered) for row in shown["cohorts"]] == [(6, 3)]
        urls = [card.url for card in shown["cards"]] + [row[-1] for row in shown["due"]]
        urls += [row["url"] for row in (*shown["cohorts"], *shown["sources"])]
        urls += [cell[2] for _currency, cells in shown["ageing"]["rows"] for cell in cells if cell]
        assert [boss.get(link).context["cl"].result_count for link in urls] == [3, 3, 3, 0, 3, 0, 6, 3, 3]
        assert boss.get(url).context["dashboard"]["cards"][0].lines == ["€50.00"]
        assert "There is no field gone.field" in boss.get(url, {"segment": "odd"}).content.decode()
        gone = boss.get(url, {"segment": "nobody"})
        assert "There is no such segment. Nobody is shown." in gone.content.decode()
        assert gone.context["dashboard"]["cards"][0].lines == []
