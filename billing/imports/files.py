"""Owns the opening of files people send: CSV of any delimiter and encoding, XLSX; hostile ones are refused.

What comes out are lines of cells with the line they stand on. Nothing here knows what columns mean.
"""

import codecs
import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

from django.utils.translation import gettext as _
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from customers.errors import SollecitoError
from customers.workbooks import workbook_check

#: Bytes of a file; half a million rows of a usual export.
MOST_BYTES = 100 * 1024**2
MOST_ROWS = 500_000
MOST_COLUMNS = 300
#: Characters of one cell, as in a spreadsheet; and bytes of one line, beyond which there are none.
MOST_CELL = 32_767
MOST_LINE = 4 * 1024**2
#: Looked at to find out how a file is written.
_SAMPLE_LINES = 60
_CHUNK = 64 * 1024
_DIMENSION = re.compile(rb'<dimension ref="[A-Z0-9]+:[A-Z]+(\d{1,9})"')
_DELIMITERS = ",;\t|"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "cp1250", "iso8859-15", "cp437")


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a file as it stands: the line it begins on (1 = first) and its cells; `problem` says why the file's
    own format could not be kept to there."""

    number: int
    cells: list[Any]
    problem: str = ""

    @property
    def is_blank(self) -> bool:
        """Nothing stands there."""
        return not self.problem and not any(cell not in (None, "") and str(cell).strip() for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a file is written; `encoding` and `delimiter` are empty for XLSX."""

    kind: str
    encoding: str = ""
    delimiter: str = ""


def _refuse(reason: str, code: str) -> SollecitoError:
    return SollecitoError(reason, code=code)


def shape_of(file: IO[bytes], *, encoding: str = "", delimiter: str = "") -> Shape:
    """Finds out how a file is written, where the caller does not tell. Leaves the file at its beginning.

    Raises SollecitoError (`bad_file`, `hostile_file`) for what is neither CSV nor XLSX, or no file to be opened.
    """
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    if not start:
        raise _refuse(_("The file is empty."), "bad_file")
    if start.startswith(b"PK"):
        workbook_check(file)
        return Shape("xlsx")
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise _refuse(_("This is an old Excel file (.xls). Save it as .xlsx or CSV."), "bad_file")
    found = encoding or _encoding(file)
    try:
        sample = list(islice(_text(file, found), _SAMPLE_LINES))
    except UnicodeError as error:
        raise _not_written_in(found) from error
    file.seek(0)
    if any("\x00" in line for line in sample):
        raise _refuse(_("This is no text file. Send CSV or XLSX."), "bad_file")
    return Shape("csv", found, delimiter or _delimiter(sample))


def lines(file: IO[bytes], shape: Shape) -> Iterator[Line]:
    """The file's rows from its first line on, one in memory at a time. Raises SollecitoError past MOST_ROWS rows."""
    found = _xlsx_lines(file) if shape.kind == "xlsx" else _csv_lines(file, shape)
    for count, line in enumerate(found):
        if count > MOST_ROWS:
            raise _refuse(_("The file has more than {most} rows. Split it.").format(most=MOST_ROWS), "too_large")
        yield line


def sheet_rows(file: IO[bytes]) -> int:
    """How many rows a workbook's sheet says it has; 0 where it does not say. Not to be relied on."""
    with zipfile.ZipFile(file) as archive:
        name = next((one for one in archive.namelist() if one.startswith("xl/worksheets/")), "")
        if not name:
            return 0
        with archive.open(name) as sheet:
            found = _DIMENSION.search(sheet.read(2048))
    return min(int(found[1]), MOST_ROWS) if found else 0


def _text(file: IO[bytes], encoding: str) -> Iterator[str]:
    """The file's lines with their ends. Bytes that are no text in this encoding stay visible as lone surrogates: the
    row is at fault, not the file."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    rest = ""
    while chunk := file.read(_CHUNK):
        # The last one may go on in the next chunk.
        *whole, rest = [*io.StringIO(rest + decoder.decode(chunk), newline="")] or [""]
        yield from whole
        if len(rest) > MOST_LINE:
            raise _refuse(_("A line is longer than {size} MB. This is no table.").format(size=MOST_LINE // 1024**2),
                          "hostile_file")  # fmt: skip
    yield from io.StringIO(rest + decoder.decode(b"", True), newline="")


def _encoding(file: IO[bytes]) -> str:
    """UTF-8 unless most of what is beyond ASCII is not: a single bad row is that row's fault, not the file's."""
    file.seek(0)
    start = file.read(4)
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    # A letter of a heading in two bytes, of which one is nothing.
    if re.match(rb"(?:[ -~]\x00){2}", start):
        return "utf-16-le"
    if re.match(rb"(?:\x00[ -~]){2}", start):
        return "utf-16-be"
    file.seek(0)
    right = wrong = 0
    for line in iter(lambda: file.readline(MOST_LINE), b""):
        if line.isascii():
            continue
        try:
            line.decode()
            right += 1
        except UnicodeDecodeError:
            wrong += 1
    return "cp1252" if wrong >= 3 and wrong > right else "utf-8"


def _delimiter(sample: list[str]) -> str:
    """The sign that cuts most lines into the same number of cells."""

    def score(sign: str) -> tuple[float, int]:
        counts = Counter(len(row) for row in csv.reader(sample, delimiter=sign) if len(row) > 1)
        if not counts:
            return 0.0, 0
        width, often = counts.most_common(1)[0]
        return often / len(sample), width

    try:
        best = max(_DELIMITERS, key=score)
    except csv.Error:
        return ","
    return best if score(best)[1] > 1 else ","


def _csv_lines(file: IO[bytes], shape: Shape) -> Iterator[Line]:
    # Strictly: a quotation mark that does not fit is the row's fault, and must not swallow the rows below it unseen.
    reader = csv.reader(_text(file, shape.encoding), delimiter=shape.delimiter, strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield Line(begins, [], _("has quotation marks that do not fit, up to line {line}").format(
                line=max(begins, reader.line_num)))  # fmt: skip
            continue
        except UnicodeError as error:
            raise _not_written_in(shape.encoding) from error
        yield Line(begins, *_within_bounds(list(cells)))


def _within_bounds(cells: list[Any]) -> tuple[list[Any], str]:
    """The cells, no more and none longer than a table has, and what is wrong with them."""
    if len(cells) > MOST_COLUMNS:
        return cells[:MOST_COLUMNS], _("has more than {most} cells").format(most=MOST_COLUMNS)
    if any(isinstance(cell, str) and len(cell) > MOST_CELL for cell in cells):
        cut = [cell[:MOST_CELL] if isinstance(cell, str) else cell for cell in cells]
        return cut, _("has a cell of more than {most} characters").format(most=MOST_CELL)
    return cells, ""


def _not_written_in(encoding: str) -> SollecitoError:
    return _refuse(_("The file is not written in {encoding}.").format(encoding=encoding.upper()), "bad_file")


def _xlsx_lines(file: IO[bytes]) -> Iterator[Line]:
    file.seek(0)
    try:
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError, SyntaxError) as error:
        raise _refuse(_("The workbook cannot be opened: {why}.").format(why=error), "bad_file") from error
    try:
        sheet = book.worksheets[0] if book.worksheets else None
        if sheet is None:
            raise _refuse(_("The workbook has no sheet."), "bad_file")
        # A sheet may claim to be 16,384 columns wide; then every row would be filled up to that.
        sheet.reset_dimensions()
        for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            if len(row) > MOST_COLUMNS:
                raise _refuse(
                    _("Row {row} reaches beyond column {most}. Delete what stands there.").format(
                        row=number, most=MOST_COLUMNS
                    ),
                    "hostile_file",
                )
            yield Line(number, *_within_bounds(list(row)))
    except (zipfile.BadZipFile, SyntaxError, ValueError, KeyError) as error:
        raise _refuse(_("The sheet cannot be read: {why}.").format(why=error), "bad_file") from error
    finally:
        book.close()
