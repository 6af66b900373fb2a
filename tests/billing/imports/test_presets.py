"""One example per kind of file, as the programs write them, and the guesses for unknown ones."""

import io
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from billing.imports.cells import parse_amount
from billing.imports.guessing import guess_columns, guess_date_format, guess_decimal, guess_preset
from billing.imports.presets import PRESETS, Preset
from billing.imports.tables import table_of
from billing.imports.whole import read_file

STRIPE_INVOICES = """id,Total,Amount Paid,Currency,Customer,Customer Email,Date (UTC),Due Date (UTC),Number,Status
in_1,120.50,0.00,eur,cus_1,a@example.com,2026-01-10 09:30,2026-02-10 09:30,INV-1,open
in_2,10.00,10.00,usd,cus_2,,2026-01-10 09:30,,INV-2,paid
in_3,10.00,0.00,usd,cus_2,,2026-01-10 09:30,,INV-3,void
"""
STRIPE_PAYMENTS = """id,Created (UTC),Amount,Amount Refunded,Currency,Seller Message,Status,Customer ID,Invoice ID
ch_1,2026-01-10 09:30,120.50,0.00,eur,The bank declined.,Failed,cus_1,in_1
ch_2,2026-01-12 09:30,120.50,20.00,eur,Payment complete.,Paid,cus_1,in_1
"""
CHARGEBEE = """Invoice Number,Customer Id,Invoice Date,Due Date,Amount,Amount Paid,Amount Due,Currency,Status
7,c-1,05-Jan-2026 10:15,20-Jan-2026 10:15,49.00,9.00,40.00,EUR,Payment Due
8,c-2,05-Jan-2026 10:15,20-Jan-2026 10:15,49.00,0.00,49.00,EUR,Not Paid
"""
QUICKBOOKS = """Apex Services
A/R Ageing Detail
As of December 31 2025

,Date,Transaction Type,Num,Customer,Due Date,Amount,Open Balance
1 - 30 days past due,,,,,,,
,11/18/2025,Invoice,1041,"Alvarez, Dana",12/18/2025,"1,284.50","284.50"
,12/01/2025,Credit Memo,1042,"Alvarez, Dana",12/18/2025,-20.00,-20.00
Total for 1 - 30 days past due,,,,,,"1,264.50",264.50
TOTAL,,,,,,"1,264.50",264.50
"""
XERO = """Aged Receivables Detail
Fixture Pty Ltd
As at 31 March 2026

Invoice Number,Invoice Date,Due Date,Invoice Reference,Current,< 1 Month,1 Month,Older,Total

Alpha & Co,,,,,,,,
INV-1,15 Jan 2026,14 Feb 2026,PO 9,0.00,0.00,2000.00,0.00,2000.00
INV-2,20 Jan 2026,19 Feb 2026,,0.00,0.00,100.00,0.00,100.00
Total Alpha & Co,,,,0.00,0.00,2100.00,0.00,2100.00

Beta Ltd,,,,,,,,
INV-3,20 Jan 2026,19 Feb 2026,,0.00,0.00,50.00,0.00,50.00
Total Beta Ltd,,,,0.00,0.00,50.00,0.00,50.00
Total,,,,0.00,0.00,2150.00,0.00,2150.00
"""


def read(text, **more):
    return read_file(io.BytesIO(text.encode()), **more)


def told(items):
    return [(i.number, i.customer, i.amount, i.paid, i.currency, i.issued, i.due, i.status) for i in items]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("stripe_invoices", STRIPE_INVOICES),
        ("stripe_payments", STRIPE_PAYMENTS),
        ("chargebee", CHARGEBEE),
        ("quickbooks", QUICKBOOKS),
        ("xero", XERO),
    ],
)
def test_a_file_is_known_by_its_headings(code, text):
    table = table_of(io.BytesIO(text.encode()), PRESETS.values())
    assert guess_preset(table.headings).code == code


def test_stripe_invoices():
    items, errors = read(STRIPE_INVOICES)
    assert errors == []
    assert told(items) == [
        ("in_1", "cus_1", 12050, 0, "EUR", date(2026, 1, 10), date(2026, 2, 10), "open"),
        ("in_2", "cus_2", 1000, 1000, "USD", date(2026, 1, 10), date(2026, 1, 10), "paid"),
        ("in_3", "cus_2", 1000, 0, "USD", date(2026, 1, 10), date(2026, 1, 10), "void"),
    ]
    assert items[0].extra == {"Number": "INV-1"}


def test_stripe_payments():
    items, errors = read(STRIPE_PAYMENTS)
    assert errors == []
    assert [(i.number, i.amount, i.succeeded, i.refunded, i.invoice) for i in items] == [
        ("ch_1", 12050, False, 0, "in_1"),
        ("ch_2", 12050, True, 2000, "in_1"),
    ]
    assert items[0].at.isoformat() == "2026-01-10T09:30:00+00:00"


def test_chargebee():
    items, errors = read(CHARGEBEE)
    assert errors == []
    assert told(items)[0] == ("7", "c-1", 4900, 900, "EUR", date(2026, 1, 5), date(2026, 1, 20), "open")


def test_quickbooks_sections_and_totals_are_no_rows_and_credits_no_invoices():
    items, (error,) = read(QUICKBOOKS, preset=replace(PRESETS["quickbooks"], currency="USD"))
    assert told(items) == [
        ("1041", "Alvarez, Dana", 128450, 100000, "USD", date(2025, 11, 18), date(2025, 12, 18), "")
    ]
    assert (error.field, error.value) == ("Transaction Type", "Credit Memo")


def test_xero_rows_are_about_the_contact_above_them():
    items, errors = read(XERO, preset=replace(PRESETS["xero"], currency="AUD"))
    assert errors == []
    assert [(i.number, i.customer, i.amount) for i in items] == [
        ("INV-1", "Alpha & Co", 200000),
        ("INV-2", "Alpha & Co", 10000),
        ("INV-3", "Beta Ltd", 5000),
    ]


def test_presets_survive_being_stored():
    for preset in PRESETS.values():
        back = Preset.from_json(preset.as_json())
        assert back.as_json() == preset.as_json()


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("1,234.50", ".", "1234.50"),
        ("1.234,50", ",", "1234.50"),
        ("1 234,50 €", ",", "1234.50"),
        ("$1,284.50", ".", "1284.50"),
        ("EUR 12.00", ".", "12.00"),
        ("(12.00)", ".", "-12.00"),
        ("12.00-", ".", "-12.00"),
        ("1'234.50", ".", "1234.50"),
        ("1,5", ".", None),
        ("1,23,456", ".", None),
        ("1e309", ".", None),
        ("=1+1", ".", None),
        ("", ".", None),
        ("٣", ".", None),
    ],
)
def test_amounts_as_people_write_them(text, decimal, value):
    assert parse_amount(text, decimal) == (None if value is None else Decimal(value))


def test_columns_dates_and_decimals_are_guessed():
    assert guess_columns(["Rechnungsnummer", "Kunde", "Betrag", "Rechnungsdatum", "Fällig am", "Abteilung"]) == {
        "number": "Rechnungsnummer",
        "customer": "Kunde",
        "amount": "Betrag",
        "issued": "Rechnungsdatum",
        "due": "Fällig am",
    }
    assert guess_columns(["Importo totale EUR", "Numero fattura", "Nr."])["amount"] == "Importo totale EUR"
    assert guess_date_format(["31.12.2026", "01.02.2026"]) == "%d.%m.%Y"
    assert guess_date_format(["12/31/2026", "1/2/2026"]) == "%m/%d/%Y"
    assert guess_decimal(["1.234,50", "10,00"]) == ","
    assert guess_decimal(["1,234.50", "10"]) == "."
