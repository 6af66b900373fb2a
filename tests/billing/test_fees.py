"""Late fees and interest: exact, simple, dated, for businesses only; and what becomes of them."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.checks import check_fee_file, check_fee_rates
from billing.fees import Debt, FeeRefused, Paid, fee_close, fees_charge, fixed_sum, interest, regime_for, regimes
from billing.fees.table import read
from billing.models import Fee
from customers.errors import SollecitoError
from customers.models import Interaction
from tests import factories

EU, UK = (lambda: regimes()["eu"]), (lambda: regimes()["uk"])


def debt(amount=100_000, due=date(2026, 1, 9), currency="EUR", **fields):
    return Debt(amount=amount, currency=currency, due_on=due, **fields)


@pytest.mark.parametrize(
    ("law", "owed", "until", "amount"),
    [
        # 10.15 % in the first half of 2026 (2.15 + 8): 1,000.00 for 30 days is 8.342…
        (EU, debt(), date(2026, 2, 8), 834),
        # The day after the due date alone: 0.278…
        (EU, debt(), date(2026, 1, 10), 27),
        # Across 1 July 2025: 11.15 % (3.15) for 30 days, 10.15 % (2.15) for 31.
        (EU, debt(due=date(2025, 5, 31)), date(2025, 7, 31), (100_000 * (1115 * 30 + 1015 * 31)) // 3_650_000),
        # A leap year is divided by 365 too.
        (EU, debt(due=date(2023, 12, 31)), date(2024, 12, 31), (100_000 * (1250 * 182 + 1225 * 184)) // 3_650_000),
        # The UK's rate is the one of the day interest starts, for good: 12.75 % (4.75), not 12.25 from July.
        (UK, debt(due=date(2025, 6, 29), currency="GBP"), date(2025, 9, 30), 100_000 * 1275 * 93 // 3_650_000),
        (UK, debt(due=date(2025, 6, 30), currency="GBP"), date(2025, 9, 30), 100_000 * 1225 * 92 // 3_650_000),
        # Frozen, so it can be told after the table ends.
        (UK, debt(due=date(2026, 1, 9), currency="GBP"), date(2026, 11, 22), 100_000 * 1175 * 317 // 3_650_000),
        # A part payment stops interest on its amount from its day on.
        (EU, debt(payments=(Paid(date(2026, 1, 20), 60_000),)), date(2026, 2, 8),
         (100_000 * 1015 * 10 + 40_000 * 1015 * 20) // 3_650_000),
        (EU, debt(payments=(Paid(date(2026, 1, 5), 100_000),)), date(2026, 2, 8), 0),
    ],
)  # fmt: skip
def test_interest(law, owed, until, amount):
    quote = interest(owed, law(), until)
    assert (quote.amount, quote.currency, quote.until) == (amount, owed.currency, until)


@pytest.mark.parametrize(
    ("law", "owed", "amount", "currency"),
    [
        (EU, debt(100), 4000, "EUR"),
        (EU, debt(100_000_000, currency="USD"), 4000, "EUR"),
        (UK, debt(99_999, currency="GBP"), 4000, "GBP"),
        (UK, debt(100_000, currency="GBP"), 7000, "GBP"),
        (UK, debt(999_999, currency="GBP"), 7000, "GBP"),
        (UK, debt(1_000_000, currency="GBP"), 10_000, "GBP"),
    ],
)
def test_fixed_sums(law, owed, amount, currency):
    quote = fixed_sum(owed, law(), date(2026, 3, 1))
    assert (quote.amount, quote.currency) == (amount, currency)


@pytest.mark.parametrize(
    ("law", "owed", "today", "code"),
    [
        (EU, debt(business=False), date(2026, 3, 1), "fee_consumer"),
        (EU, debt(), date(2026, 1, 9), "fee_not_late"),
        (EU, debt(due=date(2012, 1, 1)), date(2026, 3, 1), "fee_too_old"),
        (EU, debt(), date(2026, 7, 1), "rate_unknown"),
        (UK, debt(due=date(2026, 7, 1), currency="GBP"), date(2026, 8, 1), "rate_unknown"),
    ],
)
def test_what_is_refused(law, owed, today, code):
    with pytest.raises(SollecitoError) as error:
        interest(owed, law(), today)
    assert error.value.code == code


def test_the_uks_sum_in_another_currency_is_refused():
    with pytest.raises(FeeRefused):
        fixed_sum(debt(currency="EUR"), UK(), date(2026, 3, 1))


@given(
    amount=st.integers(1, 10**12),
    days=st.integers(1, 170),
    parts=st.lists(st.tuples(st.integers(0, 200), st.integers(1, 10**9)), max_size=4),
)
def test_interest_is_the_exact_sum_of_its_days_rounded_down_once(amount, days, parts):
    due = date(2026, 1, 9)
    payments = tuple(sorted((Paid(due + timedelta(days=day), part) for day, part in parts), key=lambda p: p.on))
    until = due + timedelta(days=days)
    exact = Fraction(0)
    for number in range(1, days + 1):
        day = due + timedelta(days=number)
        left = max(amount - sum(paid.amount for paid in payments if paid.on <= day), 0)
        exact += Fraction(left * 1015, 10_000 * 365)
    quote = interest(debt(amount, due, payments=payments), EU(), until)
    assert quote.amount == exact.numerator // exact.denominator


@pytest.mark.parametrize(("country", "code"), [("IT", "eu"), ("GB", "uk"), ("US", None), ("", None)])
def test_the_law_of_a_country(country, code):
    found = regime_for(country)
    assert (found and found.code) == code


@pytest.mark.parametrize(
    "source",
    [
        "schema: 2\nregimes: {}",
        "regimes: {eu: {}}",
        "schema: 1\nregimes: {eu: {name: x}}",
        "schema: 1\nregimes: {eu: {name: x, rate: 1}}",
        "{",
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_its_place(source):
    with pytest.raises(SollecitoError) as error:
        read(source, "own.yaml")
    assert "own.yaml" in str(error.value)


def test_an_operators_own_rows_go_on_where_ours_end(tmp_path, settings):
    from billing.fees import table

    own = tmp_path / "rates.yaml"
    text = table.FILE.read_text()
    text = text.replace("good_until: 2026-06-30", "good_until: 2026-12-31", 1)
    text = text.replace(
        '      - {from: 2026-01-01, rate: "2.15"}\n',
        '      - {from: 2026-01-01, rate: "2.15"}\n      - {from: 2026-07-01, rate: "2.00"}\n',
        1,
    )
    own.write_text(text)
    settings.FEE_RATES = str(own)
    assert regimes()["eu"].rate_on(date(2026, 7, 1)) == 1000


DUE = datetime(2026, 1, 9, 12, tzinfo=UTC)


@pytest.fixture
def bill(db):
    return factories.invoice(factories.customer(kind="business"), due_at=DUE, amount_due=100_000)


def test_a_fixed_sum_is_charged_once_and_interest_grows_in_its_row(bill):
    for days in (30, 40, 40):
        at = DUE + timedelta(days=days)
        fees_charge(invoice_ids=[bill.pk], kind="late_fee", now=at)
        fees_charge(invoice_ids=[bill.pk], kind="interest", now=at)
    rows = {fee.kind: fee for fee in Fee.objects.all()}
    assert (rows["late_fee"].amount, rows["interest"].amount) == (4000, 100_000 * 1015 * 40 // 3_650_000)
    assert "10.15 %" in rows["interest"].basis
    assert rows["interest"].history.count() == 2
    assert Interaction.objects.filter(kind="fee.charged").count() == 3
    bill.refresh_from_db()
    assert bill.balance == 100_000, "never compound: the invoice itself stays as it was"


def test_a_refused_one_stops_nobody_elses(bill):
    consumer = factories.invoice(factories.customer(kind="consumer"), due_at=DUE)
    abroad = factories.invoice(factories.customer(kind="business", country="US"), due_at=DUE)
    result = fees_charge(invoice_ids=[bill.pk, consumer.pk, abroad.pk], kind="late_fee", now=DUE + timedelta(days=9))
    assert result.charged == (bill.pk,)
    assert set(result.refused) == {consumer.pk, abroad.pk}


def test_a_waived_fee_stays_waived(bill, admin_user):
    at = DUE + timedelta(days=30)
    fees_charge(invoice_ids=[bill.pk], kind="interest", now=at)
    fee = fee_close(fee_id=Fee.objects.get().pk, paid=False, reason="Goodwill", actor_id=admin_user.pk, now=at)
    fees_charge(invoice_ids=[bill.pk], kind="interest", now=at + timedelta(days=30))
    before = fee.amount
    fee.refresh_from_db()
    assert (fee.status, fee.amount) == ("waived", before)
    with pytest.raises(SollecitoError):
        fee_close(fee_id=fee.pk, paid=True, reason="", actor_id=admin_user.pk, now=at)


def test_queries_do_not_grow_with_the_invoices(django_assert_num_queries, db):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries(count):
        rows = [factories.invoice(factories.customer(kind="business"), due_at=DUE) for _ in range(count)]
        with CaptureQueriesContext(connection) as captured:
            done = fees_charge(invoice_ids=[row.pk for row in rows], kind="interest", now=DUE + timedelta(days=30))
        assert len(done.charged) == count
        return len(captured)

    assert queries(1) == queries(30)


@pytest.mark.parametrize(
    ("day", "laws"), [(date(2026, 6, 30), []), (date(2026, 7, 1), ["Directive 2011/7/EU", "Late Payment"])]
)
def test_a_table_that_has_run_out_is_told_before_a_deployment(monkeypatch, day, laws):
    monkeypatch.setattr("customers.clock._source", lambda: datetime(day.year, day.month, day.day, tzinfo=UTC))
    told = check_fee_rates()
    assert [message.id for message in told] == ["billing.W001"] * len(laws)
    assert all(law in message.msg and "FEE_RATES" in message.msg for law, message in zip(laws, told, strict=True))


def test_rates_of_ones_own_that_cannot_be_read_are_an_error_at_start(settings, tmp_path):
    settings.FEE_RATES = str(tmp_path / "none.yaml")
    (told,) = check_fee_file()
    assert (told.id, told.level) == ("billing.E001", 40)


@pytest.mark.django_db
def test_the_list_of_fees_says_that_the_table_has_run_out(admin_client, monkeypatch):
    monkeypatch.setattr("customers.clock._source", lambda: datetime(2026, 7, 1, tzinfo=UTC))
    assert "FEE_RATES" in admin_client.get("/admin/billing/fee/").content.decode()
    monkeypatch.setattr("customers.clock._source", lambda: datetime(2026, 6, 30, tzinfo=UTC))
    assert "FEE_RATES" not in admin_client.get("/admin/billing/fee/").content.decode()
