"""What people and attackers send: each gets a clear reason, and nothing half written stays."""

import io
import zipfile
from datetime import date

import pytest
from openpyxl import Workbook

from billing.imports import files, runs
from billing.imports.files import MOST_COLUMNS, lines, shape_of
from billing.imports.runs import import_start
from billing.models import ImportMapping, ImportRow, ImportRun, Invoice
from customers import workbooks
from customers.errors import SollecitoError
from customers.models import DataFile, DataPiece
from tests import factories as make
from tests.billing.imports.test_work import HEAD, finish, row, take_in

pytestmark = pytest.mark.django_db
GOOD = HEAD + row(1) + row(2)


def sent(content: bytes, preset: str = "standard", **more: str) -> ImportRun:
    return import_start(name="a.csv", chunks=[content], preset=preset, brand_id=make.brand().pk,
                        as_of=date(2026, 3, 10), now=make.NOW, actor_id=None, **more)  # fmt: skip


def book(rows: list[list[object]]) -> bytes:
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet()
    for cells in rows:
        sheet.append(cells)
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def zip_of(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        for name, data in parts.items():
            archive.writestr(f"xl/{name}.xml", data)
    return out.getvalue()


WIDE = ",".join(f"c{n}" for n in range(10_000)).encode() + b"\n1,2\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zip_of(workbook=b"0" * 500 * 1024**2), "would unpack to"),
        (WIDE, f"wider than {MOST_COLUMNS} columns"),
        (book([[f"c{n}" for n in range(10_000)]]), "beyond column"),
        (b"number,customer\n" + b"x" * 50 * 1024**2, "line is longer than 4 MB"),
        (GOOD.encode("utf-16-le")[:-1], "not written in UTF-16-LE"),
        (b"\xff\xfe" + GOOD.encode("utf-16-le")[:-1], "not written in UTF-16"),
        (b"\x00\x01\x02\x03" * 100, "no text file"),
        (b"number,customer\n\x00,1\n", "no text file"),
        (b"\n\n\n", "No row of headings"),
    ],
    ids=["zip bomb", "10,000 columns", "10,000 in a sheet", "50 MB line", "half UTF-16", "half UTF-16 with mark",
         "binary", "NUL", "blank"],
)  # fmt: skip
def test_what_is_no_table_is_refused_and_nothing_of_it_stays(content: bytes, words: str) -> None:
    with pytest.raises(SollecitoError, match=words):
        sent(content)
    assert not any(model.objects.exists() for model in (ImportRun, ImportRow, DataFile, DataPiece, Invoice))


def test_a_file_too_large_is_refused_while_it_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MOST_BYTES", 3 * 1024**2)
    taken = []

    def pieces():
        for number in range(200):
            taken.append(number)
            yield b"x" * 1024**2

    with pytest.raises(SollecitoError, match="larger than 3 MB"):
        import_start(name="a.csv", chunks=pieces(), preset="standard", brand_id=make.brand().pk,
                     as_of=date(2026, 3, 10), now=make.NOW, actor_id=None)  # fmt: skip
    assert len(taken) == 4, "the rest of 200 MB was never looked at"
    assert not DataPiece.objects.exists()


def test_texts_of_a_workbook_beyond_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "MOST_TEXTS", 1000)
    with pytest.raises(SollecitoError, match="MB of text"):
        sent(zip_of(sharedStrings=b"<t>abc</t>" * 200))


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_any_line_end_in_any_unicode_is_read(encoding: str, ends: str) -> None:
    run = take_in_bytes((HEAD + row(1) + row(2)).replace("\n", ends).encode(encoding))
    assert (run.new, run.rejected) == (2, 0)


def test_line_ends_may_change_within_a_file() -> None:
    first, *others = (HEAD + row(1) + row(2) + row(3)).splitlines()
    run = take_in_bytes((first + "\r\n" + others[0] + "\n" + others[1] + "\r" + others[2]).encode())
    assert (run.new, run.rejected) == (3, 0)


def take_in_bytes(content: bytes) -> ImportRun:
    return finish(sent(content))


def test_bad_rows_are_rejected_alone_and_say_why() -> None:
    long = "x" * (files.MOST_CELL + 1)
    text = GOOD + "".join(row(n) for n in range(100, 200)) + row(3).replace("C-3", "C\x00-3")
    text += row(4).replace("C-4", long) + row(5) + row(6)
    text += "," * 5_000 + "\n" + row(7).replace("N-7", '"N"-7') + row(8)
    run = take_in_bytes(text.encode())
    assert (run.new, run.rejected) == (105, 4)
    reasons = [one.errors[0][2] for one in ImportRow.objects.filter(outcome="rejected").order_by("number")]
    for reason, words in zip(
        reasons, ["invisible character", "more than 32767 characters", "more than 300 cells", "quotation marks"],
        strict=True,
    ):  # fmt: skip
        assert words in reason


def test_a_quotation_mark_left_open_rejects_what_it_swallows_and_is_named() -> None:
    text = HEAD + row(1) + row(2).replace("C-2", '"C-2') + "".join(row(n) for n in range(3, 20))
    run = take_in_bytes(text.encode())
    assert (run.new, run.rejected) == (1, 1)
    (_column, _value, reason, remedy) = ImportRow.objects.get(outcome="rejected").errors[0]
    assert "quotation marks that do not fit, up to line" in reason
    assert remedy


def test_a_huge_quoted_cell_costs_its_rows_and_no_memory() -> None:
    text = HEAD + row(1) + '"' + "y\n" * 200_000 + '",' + row(2) + row(3)
    found = list(lines(io.BytesIO(text.encode()), shape_of(io.BytesIO(text.encode()))))
    assert [line.cells[0] for line in found if line.cells and line.cells[0].startswith("N-")][:1] == ["N-1"]
    assert any("quotation marks" in line.problem for line in found)


QUICKBOOKS = """Apex
As of 31 December 2025

Date,Transaction Type,Num,Customer,Due Date,Amount,Open Balance
{first},Invoice,1041,"Alvarez, Dana",{due},"1,284.50","(0.00)"
Total for 1 - 30 days past due,,,,,"1,284.50",284.50
TOTAL,,,,,"1,284.50",284.50
"""


@pytest.mark.parametrize(
    ("first", "due", "day"),
    [("11/18/2025", "12/01/2025", date(2025, 12, 1)), ("18/11/2025", "01/12/2025", date(2025, 12, 1))],
)
def test_day_and_month_are_told_by_the_whole_file(first: str, due: str, day: date) -> None:
    content = QUICKBOOKS.format(first=first, due=due).replace("(0.00)", "284.50").encode()
    run = finish(sent(content, "quickbooks", currency="GBP"))
    item = ImportRow.objects.get().item
    assert (run.status, run.new, item["due"], item["currency"]) == ("checked", 1, day.isoformat(), "GBP")


def test_where_day_and_month_may_be_either_or_no_currency_is_told_somebody_is_asked() -> None:
    either = QUICKBOOKS.format(first="05/06/2025", due="06/07/2025").encode()
    run = sent(either, "quickbooks", currency="GBP")
    assert (run.status, run.layout["date_format"]) == ("mapping", "")
    run = sent(either, "quickbooks", currency="GBP", date_format="%d/%m/%Y")
    assert (run.status, run.layout["date_format"]) == ("checking", "%d/%m/%Y")
    run = sent(QUICKBOOKS.format(first="11/18/2025", due="12/19/2025").encode(), "quickbooks")
    assert (run.status, run.layout["family"]) == ("mapping", "quickbooks")
    assert not ImportMapping.objects.exists()


XERO = """Invoice Number,Invoice Date,Due Date,Invoice Reference,Current,Older,Total,Currency
Total Energies Ltd,,,,,,,
INV-1,15 Jan 2026,14 Feb 2026,PO 9,0.00,"2,000.00","2,000.00",EUR
INV-2,16 Jan 2026,14 Feb 2026,,0.00,300.00,300.00,USD
CN-1,16 Jan 2026,14 Feb 2026,,0.00,(50.00),(50.00),EUR
Total Total Energies Ltd,,,,0.00,"2,250.00","2,250.00",
INV-9,15 Jan 2026,14 Feb 2026,,0.00,10.00,10.00,EUR
Total,,,,0.00,"2,260.00","2,260.00",
"""


def test_a_company_called_total_keeps_its_rows_credits_and_strays_are_rejected() -> None:
    run = finish(sent(XERO.encode(), "xero"))
    assert (run.status, run.rows, run.new, run.rejected) == ("checked", 4, 2, 2)
    told = {one.label: one.item for one in ImportRow.objects.filter(outcome="new")}
    assert {one["customer"] for one in told.values()} == {"Total Energies Ltd"}
    assert [(told[n]["amount"], told[n]["currency"]) for n in ("INV-1", "INV-2")] == [(200000, "EUR"), (30000, "USD")]
    credit, stray = ImportRow.objects.filter(outcome="rejected").order_by("number")
    assert credit.errors[0][:3] == ["Total", "(50.00)", "is not above zero"]
    assert stray.errors[0][2] == "is missing"


def test_the_same_invoices_are_found_again_under_the_name_somebody_gave_the_columns() -> None:
    from dataclasses import replace

    from billing.imports.presets import Preset
    from billing.imports.runs import import_confirm, import_map

    content = QUICKBOOKS.format(first="05/06/2025", due="06/07/2025").replace("(0.00)", "284.50")
    for told in (content, content + "\n"):
        run = sent(told.encode(), "" if ImportMapping.objects.exists() else "quickbooks")
        if run.status == "mapping":
            layout = replace(Preset.from_json(run.layout), date_format="%d/%m/%Y", currency="GBP")
            run = import_map(run_id=run.pk, layout=layout, save_as="Our books")
        run = finish(run)
        if run.new:
            finish(import_confirm(run_id=run.pk, now=make.NOW))
    assert (run.preset, run.new, run.unchanged) == ("our-books", 0, 1)
    assert Invoice.objects.get().source == "import:quickbooks"


def test_what_was_taken_in_before_is_left_alone_by_a_file_that_breaks_halfway(monkeypatch: pytest.MonkeyPatch) -> None:
    take_in(GOOD)
    monkeypatch.setattr(files, "MOST_LINE", 20_000)
    body = "".join(row(n) for n in range(10, 3_000)) + "z" * 200_000
    run = take_in_bytes((HEAD + body).encode())
    assert (run.status, run.error[:21]) == ("failed", "A line is longer than")
    assert Invoice.objects.count() == 2
