"""Files in by the admin: sent, columns named, looked at, written; rejected rows handed back."""

import csv
import io
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from billing.imports.work import imports_run
from billing.models import ImportMapping, ImportRun, Invoice
from customers import clock
from tests import factories as make

pytestmark = pytest.mark.django_db

FILE = """number,customer,customer_name,email,country,amount,currency,issued,due,settled,disputed
R-1,C-1,Łukasz Ltd,a@example.com,PL,120.50,EUR,2026-01-10,2026-02-10,,
R-2,C-1,Łukasz Ltd,a@example.com,PL,"=1+1",EUR,2026-01-10,2026-02-10,,
"""
UNKNOWN = """Fattura n.;Ragione sociale;Importo;Data;Scadenza;Reparto
F-1;Acme Srl;1.234,50;31/01/2026;28/02/2026;Nord
F-2;Beta Srl;10,00;01/02/2026;28/02/2026;Sud
"""


def send(client: Client, text: str, **more: str) -> ImportRun:
    brand = make.brand()
    asked = {"preset": "", "brand": brand.pk, "as_of": "2026-03-10", "email_domain": "", **more}
    asked["file"] = SimpleUploadedFile("a.csv", text.encode())
    assert client.post(reverse("admin:billing_importrun_add"), asked).status_code == 302
    return ImportRun.objects.latest("pk")


def page(run: ImportRun, name: str = "change", *more: str) -> str:
    return reverse(f"admin:billing_importrun_{name}", args=[run.pk, *more])


def work() -> None:
    while imports_run(now=clock.now()).total:
        pass


def test_a_file_is_looked_at_and_written_on_confirmation() -> None:
    client = make.desk(make.staff("manager"))
    run = send(client, FILE)
    work()
    shown = client.get(page(run)).content.decode()
    assert "R-1" in shown
    assert "€120.50, issued" in shown
    assert "is not an amount" in shown
    assert Invoice.objects.count() == 0
    assert client.post(page(run, "do", "write")).status_code == 302
    work()
    run.refresh_from_db()
    assert (run.status, run.new, run.rejected, run.asked_by.username) == ("done", 1, 1, "manager")
    invoice = Invoice.objects.get()
    assert (invoice.number, invoice.amount_due, invoice.currency) == ("R-1", 12050, "EUR")


def test_rejected_rows_come_back_with_their_reasons_and_without_formulas() -> None:
    client = make.desk(make.staff("manager"))
    run = send(client, FILE)
    work()
    answer = client.get(page(run, "rejected", "csv"))
    heads, row = csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig")))
    told = dict(zip(heads, row, strict=True))
    assert (told["number"], told["Row"], told["amount"]) == ("R-2", "2", "'=1+1")
    assert "is not an amount" in told["Why it was rejected"]
    assert "Write it in digits" in told["What to do"]


def test_columns_of_an_unknown_file_are_guessed_corrected_and_kept() -> None:
    client = make.desk(make.staff("manager"))
    run = send(client, UNKNOWN)
    assert run.status == "mapping"
    assert client.get(page(run)).url == page(run, "columns")
    form = client.get(page(run, "columns")).context["form"]
    asked = {field.html_name: field.value() if field.value() is not None else "" for field in form}
    assert (asked["decimal"], asked["date_format"], asked["delimiter"]) == (",", "%d/%m/%Y", ";")
    assert (asked["column_1"], asked["column_2"], asked["column_4"]) == ("customer", "amount", "due")
    # The abbreviation after the word is not guessed, and the amounts lack a currency.
    refused = client.post(page(run, "columns"), asked | {"column_0": ""})
    assert "Say which columns hold: Invoice number" in refused.content.decode()
    done = client.post(page(run, "columns"), asked | {"column_0": "number", "currency": "eur", "name": "Zucchetti",
                                                      "column_5": "extra"})  # fmt: skip
    assert done.status_code == 302
    work()
    client.post(page(run, "do", "write"))
    work()
    assert list(Invoice.objects.order_by("number").values_list("number", "amount_due", "currency")) == [
        ("F-1", 123450, "EUR"),
        ("F-2", 1000, "EUR"),
    ]
    assert Invoice.objects.get(number="F-1").metadata["Reparto"] == "Nord"
    assert ImportMapping.objects.get().code == "zucchetti"
    again = send(client, UNKNOWN.replace("28/02/2026;Nord", "15/03/2026;Nord"))
    assert (again.status, again.preset) == ("checking", "zucchetti")
    work()
    again.refresh_from_db()
    assert (again.changed, again.unchanged) == (1, 1)
    assert "2026-03-15" in client.get(page(again)).content.decode()


def test_the_same_bytes_are_not_taken_for_other_debts() -> None:
    client = make.desk(make.staff("manager"))
    run = send(client, FILE)
    work()
    client.post(page(run, "do", "write"))
    work()
    ImportMapping.objects.create(name="Mine", code="mine", layout=run.layout | {"code": "mine"})
    asked = {"preset": "mine", "brand": run.brand_id, "file": SimpleUploadedFile("a.csv", FILE.encode())}
    answer = client.post(reverse("admin:billing_importrun_add"), asked)
    assert "imported as" in answer.content.decode()
    assert ImportRun.objects.count() == 1


@pytest.mark.parametrize("role", ["collector", "auditor"])
def test_only_who_may_import_does(role: str) -> None:
    manager = make.desk(make.staff("manager"))
    run = send(manager, FILE)
    work()
    other = make.desk(make.staff(role))
    assert other.get(page(run)).status_code == 200
    assert other.get(reverse("admin:billing_importrun_add")).status_code == 403
    assert other.post(page(run, "do", "write")).status_code == 403
    assert other.get(page(run, "columns")).status_code == 403
    assert other.get(page(run, "rejected", "csv")).status_code == 403


def test_a_page_costs_the_same_whatever_the_rows(django_assert_max_num_queries) -> None:
    client = make.desk(make.staff("manager"))
    lines = [f"R-{n},C-{n},,,,{n}.00,EUR,2026-01-10,2026-02-10,," for n in range(1, 400)]
    run = send(client, FILE.splitlines()[0] + "\n" + "\n".join(lines))
    work()
    client.get(page(run))
    with django_assert_max_num_queries(12):
        assert "Page 1 of 4" in client.get(page(run)).content.decode()


def test_the_page_tells_how_fast_it_goes_and_how_long_it_will_take() -> None:
    client = make.desk(make.staff("manager"))
    run = send(client, FILE)
    began = run.created_at
    ImportRun.objects.filter(pk=run.pk).update(
        rows=30_000, expected=100_000, turn_from=10_000, turn_at=began, claimed_at=began + timedelta(seconds=10)
    )
    shown = client.get(page(run)).content.decode()
    assert "30,000 rows read" in shown
    assert "2,000 rows a second, about 35 s to go." in shown
    assert 'aria-valuenow="30"' in shown
    ImportRun.objects.filter(pk=run.pk).update(turn_from=30_000)
    assert "a second" not in client.get(page(run)).content.decode()
