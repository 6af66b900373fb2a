"""A manager imports files: one nobody knows, whose columns they name, and an ERP's with all kinds of broken rows."""

import csv
import os
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from billing.imports.work import imports_run
from billing.models import ImportMapping, ImportRun, Invoice
from customers.clock import wall_clock
from tests import factories as make
from tests.billing.imports.test_broken_rows import AS_OF, BROKEN, broken_file, canonical, wipe
from tests.browser.door import enter

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FILE = """Fattura;Cliente;Importo totale;Data fattura;Scadenza;Reparto
F-1;Przedsiębiorstwo Usługowe „Źródło” Spółka z ograniczoną odpowiedzialnością;1.234,50;31/01/2026;28/02/2026;Nord
F-2;Società Cooperativa Agricola;10,00;01/02/2026;28/02/2026;Sud
F-2;Società Cooperativa Agricola;10,00;01/02/2026;28/02/2026;Sud
F-3;=HYPERLINK("http://evil.example");10,00;01/02/2026;28/02/2026;Sud
F-4;Beta Srl;1e309;01/02/2026;28/02/2026;Sud
F-5;Beta Srl;-12,00;30/02/2026;28/02/2026;Sud
;;;;;
F-6;Beta Srl;20,00;01/02/2026;28/01/2026;Sud
F-7;Beta Srl;77,00;01/02/2026;28/02/2026;Sud
"""


def log_in(page: Any, url: str) -> None:
    make.staff("manager", "mara")
    enter(page, f"{url}/admin/", "mara")
    page.wait_for_selector("text=Dashboard")


def shoot(page: Any, name: str) -> None:
    """For people who want to look: SCREENSHOTS=/some/folder pytest …"""
    if folder := os.environ.get("SCREENSHOTS"):
        for width in (1440, 1024):
            page.set_viewport_size({"width": width, "height": 1000})
            page.screenshot(path=str(Path(folder) / f"{name}-{width}.png"), full_page=True)
        page.set_viewport_size({"width": 1440, "height": 1000})


def work() -> None:
    while imports_run(now=wall_clock() + timedelta(seconds=1)).total:
        pass


def test_an_unknown_file_is_mapped_looked_at_and_written(open_page: Any, live_server: Any, tmp_path: Path) -> None:
    make.brand()
    file = tmp_path / "esportazione-contabilità-2026.csv"
    file.write_text(FILE)
    page = open_page(width=1440, height=1000)
    log_in(page, live_server.url)
    page.goto(f"{live_server.url}/admin/billing/invoice/")
    page.click("a:has-text('Import') >> visible=true >> nth=-1")
    page.wait_for_selector("input[type=file]")
    shoot(page, "import-1-form")
    page.set_input_files("input[type=file]", str(file))
    page.click("form.sol-form button[type=submit]")

    page.wait_for_selector("text=What do the columns hold?")
    assert page.input_value("select[name=column_0]") == "number"
    assert page.input_value("select[name=decimal]") == ","
    assert page.input_value("select[name=column_2]") == "amount"
    page.select_option("select[name=column_5]", "extra")
    page.fill("input[name=currency]", "EUR")
    page.fill("input[name=name]", "Contabilità")
    shoot(page, "import-2-columns")
    page.click("button:has-text('Save and read the file')")

    page.wait_for_selector("text=Reading the file")
    shoot(page, "import-3-reading")
    work()
    page.wait_for_selector(".sol-chips")
    assert page.locator("td >> text=is a formula").count() == 1
    assert page.locator("td >> text=Keep the row that is right.").count() == 1
    shoot(page, "import-4-rows")
    page.click(".sol-chips >> text=Rejected")
    page.wait_for_selector(".sol-chips a.active:has-text('Rejected')")
    assert page.locator("table.sol-table tbody tr").count() == 6
    shoot(page, "import-5-rejected")
    with page.expect_download() as taken:
        page.click(".sol-chips >> text=CSV")
    text = Path(taken.value.path()).read_text(encoding="utf-8-sig")
    assert text.count("\n") == 7
    assert "'=HYPERLINK" in text
    assert Invoice.objects.count() == 0

    page.click("a:has-text('Import these rows')")
    page.click("form.sol-form button[type=submit]")
    page.wait_for_selector("text=Writing the rows")
    work()
    page.wait_for_selector(".sol-fact >> text=Written")
    shoot(page, "import-6-done")
    assert sorted(Invoice.objects.values_list("number", flat=True)) == ["F-1", "F-2", "F-7"]
    assert ImportMapping.objects.get().name == "Contabilità"
    page.goto(f"{live_server.url}/admin/billing/importrun/")
    shoot(page, "import-7-history")
    run = ImportRun.objects.get()
    assert (run.new, run.rejected, run.asked_by.username) == (3, 6, "mara")

    page.goto(f"{live_server.url}/admin/customers/customer/?q=beta")
    page.click("a[href*='export-list'] >> visible=true")
    page.wait_for_selector("text=1 rows")
    shoot(page, "export-1-form")
    with page.expect_download() as taken:
        page.click("form.sol-form button[type=submit]")
    assert "Beta Srl" in Path(taken.value.path()).read_text(encoding="utf-8-sig")


def through_the_pages(page: Any, url: str, file: Path, *, as_of: str, write: bool) -> ImportRun:
    """Sends a file the way people do, up to the page that says it is written."""
    page.goto(f"{url}/admin/billing/importrun/add/")
    page.set_input_files("input[type=file]", str(file))
    page.select_option("select[name=preset]", "ibm")
    page.fill("input[name=as_of]", as_of)
    page.click("form.sol-form button[type=submit]")
    page.wait_for_selector("text=Reading the file")
    work()
    page.wait_for_selector(".sol-chips")
    if write:
        page.click("a:has-text('Import these rows')")
        page.click("form.sol-form button[type=submit]")
        page.wait_for_selector("text=Writing the rows")
        # The page follows the work by itself, batch after batch, to the end.
        imports_run(now=wall_clock() + timedelta(seconds=1), seconds=0)
        page.wait_for_selector("text=/1,0[0-9]+ of 2,478 rows done/")
        shoot(page, "import-progress")
        work()
        page.wait_for_selector(".sol-fact >> text=Written")
    return ImportRun.objects.latest("pk")


def test_a_real_file_by_the_pages_and_by_command_comes_to_the_same(
    open_page: Any, live_server: Any, tmp_path: Path
) -> None:
    brand = make.brand()
    page = open_page(width=1440, height=1000)
    log_in(page, live_server.url)
    broken, where = broken_file()
    file = tmp_path / "debtors.csv"
    file.write_bytes(broken)
    as_of = AS_OF.isoformat()
    run = through_the_pages(page, live_server.url, file, as_of=as_of, write=True)
    assert (run.status, run.new, run.rejected, run.customers_new) == ("done", 2466, 12, 100)
    page.click(".sol-chips >> text=Rejected")
    page.wait_for_selector(".sol-chips a.active:has-text('Rejected')")
    shoot(page, "import-twelve-kinds")
    lines = page.locator("table.sol-table tbody tr")
    assert lines.count() == 12
    for line, number in zip(lines.all(), sorted(where), strict=True):
        column, reason = BROKEN[where[number]][1:]
        told = line.inner_text()
        assert f"{number:,}" in told, "the row"
        assert column in told
        assert reason in told
        assert line.locator(".sol-sub").last.inner_text().strip(), "what to do"
    by_pages = canonical(moments=False)

    # The same once more changes nothing, and the page says so.
    again = through_the_pages(page, live_server.url, file, as_of=as_of, write=False)
    assert (again.new, again.changed, again.unchanged, again.rejected) == (0, 0, 2466, 12)
    page.wait_for_selector("text=There is nothing to write")
    assert canonical(moments=False) == by_pages

    # The rejected rows, corrected where they stand, are taken: only what the download itself put beside them differs.
    with page.expect_download() as taken:
        page.click(".sol-chips >> text=CSV")
    with Path(taken.value.path()).open(encoding="utf-8-sig", newline="") as handed_back:
        rows = list(csv.DictReader(handed_back))
    assert len(rows) == 12
    assert all(row["Why it was rejected"] for row in rows)
    mended = tmp_path / "mended.csv"
    with mended.open("w", newline="", encoding="utf-8-sig") as target:
        writer = csv.DictWriter(target, list(rows[0]))
        writer.writeheader()
        for place, row in enumerate(rows):
            writer.writerow(row | {
                "invoiceNumber": f"M-{place}", "customerID": "0379-NEVHP", "InvoiceDate": "1/2/2013",
                "DueDate": "2/1/2013", "InvoiceAmount": "55.94", "Currency": "USD", "Disputed": "No",
                "SettledDate": "",
            })  # fmt: skip
    last = through_the_pages(page, live_server.url, mended, as_of=as_of, write=False)
    assert (last.new, last.rejected) == (12, 0)

    wipe()
    call_command("import_invoices", file, preset="ibm", brand=brand.code, as_of=AS_OF, user="mara",
                 stdout=StringIO(), stderr=StringIO())  # fmt: skip
    assert canonical(moments=False) == by_pages
    call_command("import_invoices", file, preset="ibm", brand=brand.code, as_of=AS_OF, user="mara",
                 stdout=StringIO(), stderr=StringIO())  # fmt: skip
    assert canonical(moments=False) == by_pages
