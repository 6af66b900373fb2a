"""The import of receivables, by command and resource, on a real file."""

import csv
import json
from datetime import date
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from billing.imports.items import Receivable
from billing.imports.parties import Context
from billing.imports.presets import PRESETS
from billing.imports.reading import read_row
from billing.imports.receivables import Receivables
from billing.models import Allocation, Dispute, Invoice, Payment
from customers.models import Contact, Customer, Interaction
from tests import factories

IBM = Path(__file__).resolve().parents[2] / "data" / "ibm-accounts-receivable.csv"
AS_OF = date(2013, 6, 30)
IBM_ROW = {
    "countryCode": "391",
    "customerID": "0379-NEVHP",
    "invoiceNumber": "0000611365",
    "InvoiceDate": "1/2/2013",
    "DueDate": "2/1/2013",
    "InvoiceAmount": "55.94",
    "Disputed": "No",
    "SettledDate": "1/15/2013",
    "PaperlessBill": "Paper",
}


def ibm_rows():
    with IBM.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def run(**options):
    out = StringIO()
    call_command("import_invoices", IBM, preset="ibm", brand="acme", as_of=AS_OF, json=True, stdout=out, **options)
    return json.loads(out.getvalue())


def snapshot():
    return (
        list(Invoice.objects.order_by("pk").values()),
        list(Customer.objects.order_by("pk").values("pk", "name", "email", "metadata")),
        Payment.objects.count(),
        Allocation.objects.count(),
        Dispute.objects.count(),
        Interaction.objects.count(),
    )


@pytest.mark.django_db
def test_the_real_file_comes_in_whole_and_once():
    factories.brand()
    first = run()
    assert (first["rows"], first["created"], first["errors"], first["customers_created"]) == (2466, 2466, [], 100)
    before = snapshot()
    again = run()
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, 2466)
    assert snapshot() == before


@pytest.mark.django_db
def test_what_was_settled_by_the_day_is_paid_and_the_rest_open():
    factories.brand()
    run()
    rows = ibm_rows()
    read = [read_row(PRESETS["ibm"], n, row) for n, row in enumerate(rows, 1)]
    settled = [r for r in read if r.settled <= AS_OF]
    future = [r for r in read if r.issued > AS_OF and r.settled > AS_OF]
    paid = Invoice.objects.filter(status="paid")
    assert paid.count() == len(settled)
    assert paid.aggregate(s=Sum("amount_paid"))["s"] == sum(r.amount for r in settled)
    assert Allocation.objects.aggregate(s=Sum("amount"))["s"] == sum(r.amount for r in settled)
    assert Invoice.objects.filter(status="draft").count() == len(future)
    still_open = Invoice.objects.filter(status="open")
    assert still_open.count() == 2466 - len(settled) - len(future) > 0
    disputed = [r for r in read if r.disputed and r.issued <= AS_OF < r.settled]
    assert Dispute.objects.filter(status="open").count() == len(disputed) > 0
    assert still_open.filter(disputed_at__isnull=False).count() == len(disputed)
    assert not still_open.exclude(collection_method="manual").exists()
    assert not Customer.objects.exclude(country="").exists()
    assert not Contact.objects.exists()
    assert not Customer.objects.filter(reassess_at__isnull=True).exists()


@pytest.mark.django_db
def test_a_later_day_settles_and_an_earlier_one_reopens_nothing():
    factories.brand()
    run()
    open_before = Invoice.objects.filter(status="open").count()
    call_command("import_invoices", IBM, preset="ibm", brand="acme", as_of=date(2014, 12, 31), stdout=StringIO())
    assert set(Invoice.objects.values_list("status", flat=True)) == {"paid"}
    assert open_before > 0
    assert not Dispute.objects.filter(status="open").exists()
    settled = snapshot()
    assert run()["unchanged"] == 2466
    assert snapshot() == settled
    assert Allocation.objects.count() == Payment.objects.count() == 2466


@pytest.mark.django_db
def test_addresses_are_made_up_only_when_asked():
    factories.brand()
    run(email_domain="example.com")
    assert Contact.objects.filter(is_primary=True, email__endswith="@example.com").count() == 100


@pytest.mark.django_db
def test_a_dry_run_writes_nothing():
    factories.brand()
    counts = run(dry_run=True)
    assert (counts["created"], counts["written"]) == (2466, False)
    assert not Invoice.objects.exists()
    assert not Customer.objects.exists()


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("DueDate", "31/12/2013", "is not a date"),
        ("DueDate", "", "is missing"),
        ("InvoiceAmount", "12.345", "more decimals"),
        ("InvoiceAmount", "1,5", "is not an amount"),
        ("InvoiceAmount", "-3", "above zero"),
        ("InvoiceAmount", "NaN", "is not an amount"),
        ("InvoiceAmount", "1e309", "is not an amount"),
        ("customerID", " ", "is missing"),
        ("Disputed", "maybe", "neither yes nor no"),
        ("SettledDate", "1/1/2013", "before the invoice was issued"),
    ],
)
def test_a_bad_row_is_told_by_row_field_value_and_reason(column, value, reason):
    (error,) = read_row(PRESETS["ibm"], 7, IBM_ROW | {column: value})
    assert (error.row, error.field, error.value) == (7, column, value.strip())
    assert reason in error.reason


def test_dates_are_american_and_amounts_exact():
    row = read_row(PRESETS["ibm"], 1, IBM_ROW)
    assert isinstance(row, Receivable)
    assert (row.issued, row.due, row.settled, row.amount) == (
        date(2013, 1, 2),
        date(2013, 2, 1),
        date(2013, 1, 15),
        5594,
    )


@pytest.mark.django_db
def test_a_file_of_another_kind_is_refused(tmp_path):
    factories.brand()
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(CommandError, match="No row of headings"):
        call_command("import_invoices", path, preset="ibm", brand="acme")


@pytest.mark.django_db
def test_a_batch_costs_the_same_whatever_its_size(django_assert_num_queries):
    brand = factories.brand()
    ledger = Receivables(Context(PRESETS["ibm"], brand, AS_OF, factories.NOW))
    items = [read_row(PRESETS["ibm"], n, row) for n, row in enumerate(ibm_rows(), 1)]
    for part in (items[:20], items[20:420]):
        with django_assert_num_queries(11):
            ledger.write(part)
        with django_assert_num_queries(3):
            ledger.plan(part)
