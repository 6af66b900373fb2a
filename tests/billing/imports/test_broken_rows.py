"""The real file with twelve kinds of broken rows: exactly those are rejected, each with its reason and remedy; and the
browser and the command leave the same rows behind, byte for byte."""

import csv
import io
import json
from datetime import date, datetime
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from billing.imports.work import imports_run
from billing.models import Allocation, Dispute, ImportRow, ImportRun, Invoice, Payment
from customers import clock
from customers.models import Contact, Customer, Interaction
from tests import factories as make

pytestmark = pytest.mark.django_db
IBM = Path(__file__).resolve().parents[2] / "data" / "ibm-accounts-receivable.csv"
AS_OF = date(2013, 6, 30)

#: What is broken → the row it is made of another, and what it is rejected for: column, words of the reason.
BROKEN = {
    "bad date": ({"InvoiceDate": "31/31/2013"}, "InvoiceDate", "is not a date"),
    "negative amount": ({"InvoiceAmount": "-55.94"}, "InvoiceAmount", "is not above zero"),
    "duplicate": ({}, "invoiceNumber", "is in row"),
    "unknown currency": ({"Currency": "XQZ"}, "Currency", "is no currency we know"),
    "missing customer": ({"customerID": " "}, "customerID", "is missing"),
    "wrong encoding": ({"customerID": "M\udcfcller"}, "customerID", "no text in the file's encoding"),
    "byte order mark": ({"customerID": "\ufeff0379-NEVHP"}, "customerID", "invisible character"),
    "formula": ({"customerID": "=HYPERLINK(1)"}, "customerID", "is a formula"),
    "beyond all numbers": ({"InvoiceAmount": "1e309"}, "InvoiceAmount", "is not an amount"),
    "blank": (None, "", "is blank"),
    "too long": ({"invoiceNumber": "9" * 101}, "invoiceNumber", "is longer than 100"),
    "due before issue": ({"DueDate": "1/1/2001"}, "DueDate", "is before the invoice was issued"),
}


def broken_file() -> tuple[bytes, dict[int, str]]:
    """The IBM file with a currency column and twelve broken rows: its bytes, and row → what is broken."""
    with IBM.open(newline="") as file:
        rows = list(csv.DictReader(file))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*rows[0], "Currency"])
    writer.writeheader()
    where: dict[int, str] = {}
    kinds = list(BROKEN)
    number = 0
    for place, row in enumerate(rows):
        number += 1
        writer.writerow(row | {"Currency": "USD"})
        if place % 100 == 50 and kinds:
            kind = kinds.pop(0)
            change = BROKEN[kind][0]
            number += 1
            where[number] = kind
            new = {"invoiceNumber": f"B-{number}", "Currency": "USD"} if kind != "duplicate" else {"Currency": "USD"}
            writer.writerow(dict.fromkeys(row, "") if change is None else row | new | change)
    assert not kinds
    return text.getvalue().encode("utf-8", "surrogateescape"), where


def canonical(*, moments: bool = True) -> str:
    """Everything an import writes, named by what it is about instead of by our row numbers, in one order; without
    `moments`, not when it was written: of two imports at different hours."""
    names = dict(Invoice.objects.values_list("pk", "external_id"))

    def plain(value: object) -> object:
        return value.isoformat() if isinstance(value, date | datetime) else value

    def rows(queryset, *fields: str) -> list[list[object]]:
        return sorted(([plain(v) for v in row] for row in queryset.values_list(*fields)), key=repr)

    def said(row: list[object]) -> list[object]:
        # A line of the log that tells of the import itself stands at the moment of the import.
        return row if moments or row[2] != "invoice.imported" else [row[0], "", *row[2:]]

    def subject(row: list[object]) -> list[object]:
        kind, _colon, pk = str(row[-1]).partition(":")
        return [*row[:-1], f"{kind}:{names.get(int(pk))}" if pk else ""]

    invoices = [f.name for f in Invoice._meta.concrete_fields if f.name not in ("id", "created_at", "updated_at")]
    customers = [f.name for f in Customer._meta.concrete_fields if f.name not in ("id", "created_at")]
    if not moments:
        customers.remove("reassess_at")
    swap = {"customer": "customer__external_id", "brand": "brand__code"}
    told = {
        "customers": rows(Customer.objects, *(swap.get(name, name) for name in customers)),
        "contacts": rows(Contact.objects, "customer__external_id", "name", "email", "is_primary"),
        "invoices": rows(Invoice.objects, *(swap.get(name, name) for name in invoices)),
        "payments": rows(Payment.objects, "source", "external_id", "customer__external_id", "amount", "allocated",
                         "refunded", "currency", "received_at", "method"),
        "allocations": rows(Allocation.objects, "payment__external_id", "invoice__external_id", "amount"),
        "disputes": rows(Dispute.objects, "source", "external_id", "invoice__external_id", "amount", "currency",
                         "status", "opened_at", "closed_at"),
        "log": sorted(
            map(subject, map(said, rows(Interaction.objects, "customer__external_id", "at", "kind", "summary",
                                        "actor_kind", "actor__username", "key", "subject"))),
            key=repr,
        ),
    }  # fmt: skip
    return json.dumps(told, indent=0, sort_keys=True)


def wipe() -> None:
    for model in (Interaction, Dispute, Allocation, Payment, Invoice, ImportRun, Customer):
        model.objects.all().delete()


def work() -> None:
    while imports_run(now=clock.now()).total:
        pass


def in_browser(client: Client, name: str, content: bytes, brand_id: int) -> ImportRun:
    asked = {"preset": "ibm", "brand": brand_id, "as_of": AS_OF.isoformat(), "email_domain": ""}
    asked["file"] = SimpleUploadedFile(name, content)
    assert client.post(reverse("admin:billing_importrun_add"), asked).status_code == 302
    run = ImportRun.objects.latest("pk")
    work()
    run.refresh_from_db()
    if run.new + run.changed:
        client.post(reverse("admin:billing_importrun_do", args=[run.pk, "write"]))
        work()
        run.refresh_from_db()
    return run


def test_exactly_the_broken_rows_are_rejected_each_with_its_reason_and_remedy(tmp_path: Path) -> None:
    make.brand()
    content, where = broken_file()
    path = tmp_path / "broken.csv"
    path.write_bytes(content)
    out = StringIO()
    call_command("import_invoices", path, preset="ibm", brand="acme", as_of=AS_OF, json=True, stdout=out)
    told = json.loads(out.getvalue())
    assert (told["rows"], told["created"], told["rejected"]) == (2466 + 12, 2466, 12)
    rejected = {row.number: row for row in ImportRow.objects.filter(outcome="rejected")}
    assert rejected.keys() == where.keys()
    for number, kind in where.items():
        (column, value, reason, remedy), *others = rejected[number].errors
        assert (column, others) == (BROKEN[kind][1], []), kind
        assert BROKEN[kind][2] in reason, kind
        assert remedy, kind
        assert rejected[number].line == number + 1
    assert Invoice.objects.count() == 2466
    # The same broken file again: nothing new, and the same twelve.
    before = canonical()
    call_command("import_invoices", path, preset="ibm", brand="acme", as_of=AS_OF, json=True, stdout=StringIO())
    assert canonical() == before


def test_with_strict_a_broken_row_keeps_the_file_out(tmp_path: Path) -> None:
    make.brand()
    path = tmp_path / "broken.csv"
    path.write_bytes(broken_file()[0])
    with pytest.raises(Exception, match="12 rows cannot be taken"):
        call_command("import_invoices", path, preset="ibm", brand="acme", strict=True, stdout=StringIO(),
                     stderr=StringIO())  # fmt: skip
    assert not Invoice.objects.exists()


def test_browser_and_command_write_the_same_and_twice_is_once(monkeypatch: pytest.MonkeyPatch) -> None:
    brand = make.brand()
    User.objects.create_superuser("mara", "mara@example.com", "a-long-password")
    client = Client()
    client.force_login(User.objects.get())
    with clock.running_on(lambda: make.NOW):
        first = in_browser(client, "ibm.csv", IBM.read_bytes(), brand.pk)
        assert (first.status, first.new, first.rejected, first.customers_new) == ("done", 2466, 0, 100)
        by_browser = canonical()
        again = in_browser(client, "again.csv", IBM.read_bytes(), brand.pk)
        assert (again.new, again.changed, again.unchanged) == (0, 0, 2466)
        assert canonical() == by_browser
        wipe()
        call_command("import_invoices", IBM, preset="ibm", brand="acme", as_of=AS_OF, user="mara", stdout=StringIO())
    assert canonical() == by_browser
    assert len(by_browser) > 1_000_000


def test_a_byte_order_mark_before_the_headings_is_read_over(tmp_path: Path) -> None:
    make.brand()
    for name, encoding in (("a.csv", "utf-8-sig"), ("b.csv", "utf-16")):
        path = tmp_path / name
        path.write_bytes("\n".join(IBM.read_text().splitlines()[:4]).encode(encoding))
        out = StringIO()
        call_command("import_invoices", path, preset="ibm", brand="acme", json=True, stdout=out)
        assert json.loads(out.getvalue())["rejected"] == 0
    assert Invoice.objects.count() == 3
