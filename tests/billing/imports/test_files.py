"""Files as people send them: any delimiter, encoding and workbook; hostile ones are refused with a reason."""

import io
import zipfile
from datetime import datetime

import pytest
from openpyxl import Workbook

from billing.imports import files
from billing.imports.files import lines, shape_of
from customers.errors import SollecitoError


def book(*rows, formula=None):
    workbook = Workbook()
    for row in rows:
        workbook.active.append(row)
    if formula:
        workbook.active["A2"] = formula
    out = io.BytesIO()
    workbook.save(out)
    return out


def read(file):
    return [(line.number, line.cells) for line in lines(file, shape_of(file))]


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(sign):
    text = sign.join(["number", "amount", "note"]) + "\n" + sign.join(["1", '"1,5;x"', "a"]) + "\n"
    assert read(io.BytesIO(text.encode())) == [(1, ["number", "amount", "note"]), (2, ["1", "1,5;x", "a"])]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_encoding_is_found(encoding):
    text = "a,b\n" + "Müller,1\n" * 4
    assert [cells[0] for _n, cells in read(io.BytesIO(text.encode(encoding)))][1:] == ["Müller"] * 4


def test_one_badly_encoded_line_is_not_the_files_fault():
    content = "a,b\nŁódź,1\n".encode() + b"M\xfcller,2\n"
    assert read(io.BytesIO(content))[1:] == [(2, ["Łódź", "1"]), (3, ["M\udcfcller", "2"])]


def test_a_cell_over_several_lines_is_one_row_and_lines_are_counted():
    assert read(io.BytesIO(b'a,b\n"x\ny",1\nz,2\n'))[1:] == [(2, ["x\ny", "1"]), (4, ["z", "2"])]


def test_a_workbook_keeps_numbers_and_days():
    rows = read(book(["a", "b"], [12.5, datetime(2026, 1, 2)]))  # noqa: DTZ001
    assert rows[1] == (2, [12.5, datetime(2026, 1, 2)])  # noqa: DTZ001


def bomb(size, parts=1):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        for number in range(parts):
            archive.writestr(f"xl/{number}.xml", b"0" * size)
    return out


def entities():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>')
    return out


def plain_zip():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.csv", "a,b")
    return out


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [
        (bomb(600 * 1024**2), "hostile_file", "would unpack to"),
        (bomb(10, parts=2_500), "hostile_file", "would unpack to"),
        (entities(), "hostile_file", "XML no spreadsheet"),
        (plain_zip(), "bad_file", "ZIP archive"),
        (io.BytesIO(b"PK\x03\x04 and nothing"), "bad_file", "cannot be opened"),
        (io.BytesIO(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "bad_file", "old Excel"),
        (io.BytesIO(b"\x89PNG\x00\x00\x00"), "bad_file", "no text file"),
        (io.BytesIO(b""), "bad_file", "empty"),
    ],
    ids=["bomb", "many parts", "entities", "zip", "half a zip", "xls", "binary", "empty"],
)
def test_a_file_that_is_none_is_refused_with_a_reason(file, code, words):
    with pytest.raises(SollecitoError, match=words) as refused:
        shape_of(file)
    assert refused.value.code == code


def test_a_sheet_that_claims_to_be_endless_is_read_as_wide_as_it_is():
    source = book(["a", "b"], [1, 2])
    out = io.BytesIO()
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(out, "w") as changed:
        for name in archive.namelist():
            data = archive.read(name)
            changed.writestr(name, data.replace(b'<dimension ref="A1:B2"', b'<dimension ref="A1:XFD1048576"'))
    assert [len(cells) for _n, cells in read(out)] == [2, 2]


def test_too_many_rows_or_columns_are_refused(monkeypatch):
    monkeypatch.setattr(files, "MOST_ROWS", 2)
    with pytest.raises(SollecitoError, match="more than 2 rows"):
        read(io.BytesIO(b"a,b\n1,2\n3,4\n5,6\n"))
    monkeypatch.setattr(files, "MOST_COLUMNS", 3)
    with pytest.raises(SollecitoError, match="beyond column 3"):
        read(book(["a", "b", "c", "d"]))
