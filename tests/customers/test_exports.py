"""Tables handed out: no formulas, nothing lost, constant memory."""

import csv
import io
import tracemalloc
from datetime import UTC, date, datetime
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers import exports
from customers.datafiles import PIECE, datafile_opened, datafile_write
from customers.errors import SollecitoError
from customers.exports import FORMULA, escape_cell, export_bytes, unescape_cell
from customers.models import DataFile, DataPiece
from tests import factories

EVIL = ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=HYPERLINK(1)", "＝1"]


def read_csv(data):
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("text", EVIL)
def test_text_that_begins_like_a_formula_is_text(text):
    assert escape_cell(text) == f"'{text}"
    ((heading,), (cell,)) = read_csv(b"".join(export_bytes("csv", ["name"], [[text]])))
    assert (heading, cell) == ("name", f"'{text}")
    sheet = openpyxl.load_workbook(io.BytesIO(b"".join(export_bytes("xlsx", [text], [[text]])))).active
    for cell in (sheet["A1"], sheet["A2"]):
        assert cell.data_type == "s"
        assert cell.value.startswith("'")


@given(st.text())
def test_what_is_escaped_reads_back_as_it_was(text):
    assert unescape_cell(escape_cell(text)) == text or text.startswith("'")
    assert not str(escape_cell(text)).startswith(FORMULA)


def test_numbers_and_moments_stay_what_they_are():
    row = [Decimal("-12.50"), -3, None, True, date(2026, 3, 1), datetime(2026, 3, 1, 9, tzinfo=UTC), ["a", "b"]]
    headings = list("abcdefg")
    cells = read_csv(b"".join(export_bytes("csv", headings, [row])))[1]
    assert cells == ["-12.50", "-3", "", "yes", "2026-03-01", "2026-03-01T09:00:00+00:00", "a, b"]
    sheet = openpyxl.load_workbook(io.BytesIO(b"".join(export_bytes("xlsx", headings, [row])))).active
    values = [cell.value for cell in sheet[2]]
    assert values[:3] == [-12.5, -3, None]
    assert values[5] == datetime(2026, 3, 1, 9)  # noqa: DTZ001 (a sheet knows no zones)


def test_characters_a_sheet_cannot_hold_are_left_out():
    data = b"".join(export_bytes("xlsx", ["a"], [["bell\x07 and nul\x00"]]))
    assert openpyxl.load_workbook(io.BytesIO(data)).active["A2"].value == "bell and nul"


def test_more_rows_than_a_sheet_holds_are_refused(monkeypatch):
    monkeypatch.setattr(exports, "MOST_XLSX_ROWS", 3)
    with pytest.raises(SollecitoError, match="Choose CSV"):
        list(export_bytes("xlsx", ["a"], [["1"], ["2"], ["3"]]))


def test_memory_does_not_grow_with_the_rows():
    def most(count):
        tracemalloc.start()
        for _piece in export_bytes("csv", ["a", "b"], (["x" * 40, n] for n in range(count))):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    most(100)
    assert most(40_000) < 2 * most(4_000)


@pytest.mark.django_db
def test_a_file_comes_back_whole_and_hashed():
    content = bytes(range(256)) * 10_000
    file = datafile_write(name="a.bin", chunks=[content[:7], content[7:]], now=factories.NOW)
    assert file.size == len(content) > 2 * PIECE
    assert DataPiece.objects.filter(file=file).count() == 3
    with datafile_opened(file.pk) as opened:
        assert opened.read() == content
    with pytest.raises(SollecitoError, match="larger"):
        datafile_write(name="b", chunks=[content], now=factories.NOW, most=1024**2)
    assert DataFile.objects.filter(sha256=file.sha256).count() == 1
