"""Files in and out of the admin: an import asks, shows, then writes; an export holds no formulas."""

import io

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from billing.models import Invoice
from tests import factories as make

pytestmark = pytest.mark.django_db

FILE = """number,customer,customer_name,email,country,amount,currency,issued,due,settled,disputed
R-1,C-1,Łukasz Ltd,a@example.com,PL,120.50,EUR,2026-01-10,2026-02-10,,
"""


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "boss-password"))
    return client


def test_an_import_shows_its_rows_and_writes_on_confirmation(boss: Client) -> None:
    brand = make.brand()
    text = FILE.encode()
    url = reverse("admin:billing_invoice_import")
    asked = {"format": "0", "preset": "standard", "brand": brand.pk, "as_of": "2026-03-10", "email_domain": ""}
    shown = boss.post(url, asked | {"import_file": SimpleUploadedFile("a.csv", text), "resource": ""})
    assert shown.status_code == 200
    assert Invoice.objects.count() == 0
    confirm = shown.context["confirm_form"]
    data = {name: confirm.initial[name] if confirm.initial.get(name) is not None else "" for name in confirm.fields}
    done = boss.post(reverse("admin:billing_invoice_process_import"), data)
    assert done.status_code == 302
    invoice = Invoice.objects.get()
    assert (invoice.number, invoice.amount_due, invoice.currency, invoice.brand) == ("R-1", 12050, "EUR", brand)


def test_an_export_holds_no_formulas(boss: Client) -> None:
    make.invoice(make.customer(name="=HYPERLINK(evil)"), number="N-1")
    fields = {f"invoiceresource_{name}": "on" for name in ("number", "customer", "amount")}
    answer = boss.post(reverse("admin:billing_invoice_export"), {"format": "0", "resource": "", **fields})
    text = answer.content.decode()
    assert "N-1" in text
    assert "49.00" in text
    assert "=HYPERLINK" not in text
    assert io.StringIO(text).readline().startswith("number")
