"""Writes rows as CSV or XLSX, row by row in constant memory, with no cell a spreadsheet would take for a formula.

Everything the product hands out as a table goes through here: lists, result files, packages for agencies.
"""

import csv
import io
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from django.utils import timezone
from openpyxl import Workbook

from customers.errors import SollecitoError

#: What makes a spreadsheet read a cell as a formula, or end the cell before it and begin one (OWASP, CSV injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: Rows of one sheet of an XLSX file, by its format; one is taken by the headings.
MOST_XLSX_ROWS = 1_048_576
_CHUNK = 64 * 1024
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
#: Characters XML 1.0 has no way to write.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def content_type(form: str) -> str:
    """The media type of `csv` or `xlsx`."""
    return _TYPES[form]


def escape_cell(value: Any) -> Any:
    """The value as it may stand in a cell: text that begins like a formula gets an apostrophe before it.

    Numbers and dates go as they are: a negative amount is no formula. What reads such files back takes the
    apostrophe away again (`unescape_cell`).
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def unescape_cell(text: str) -> str:
    """Takes back what `escape_cell` did."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def export_bytes(form: str, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """The file of `csv` or `xlsx` piece by piece; `rows` is read once, as the pieces are taken.

    Moments (aware) are written in the site's time zone, CSV's with their offset. Raises SollecitoError (`too_many`)
    for more rows than an XLSX sheet holds.
    """
    return _xlsx(headings, rows) if form == "xlsx" else _csv(headings, rows)


def _csv(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    # With the mark, spreadsheets take the file for the UTF-8 it is.
    text = io.StringIO("\ufeff", newline="")
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([escape_cell(str(heading)) for heading in headings])
    for row in rows:
        writer.writerow([_plain(value) for value in row])
        if text.tell() > _CHUNK:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _xlsx(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    book = Workbook(write_only=True)  # spools the rows to a file of its own
    sheet = book.create_sheet()
    sheet.append([_typed(str(heading)) for heading in headings])
    for number, row in enumerate(rows, start=2):
        if number > MOST_XLSX_ROWS:
            sheet.close()
            raise SollecitoError(
                f"An XLSX sheet holds {MOST_XLSX_ROWS:,} rows. Choose CSV, or filter the list.", code="too_many"
            )
        sheet.append([_typed(value) for value in row])
    with tempfile.TemporaryFile() as file:
        book.save(file)
        file.seek(0)
        while piece := file.read(_CHUNK):
            yield piece


def _plain(value: Any) -> Any:
    """A cell of a CSV file."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return timezone.localtime(value).isoformat(timespec="seconds")
    if isinstance(value, list | tuple):
        return escape_cell(", ".join(map(str, value)))
    if isinstance(value, int | float | Decimal | date | time):
        return value
    return escape_cell(str(value))


def _typed(value: Any) -> Any:
    """A cell of an XLSX file: numbers and days stay what they are, so that they can be summed and sorted."""
    if isinstance(value, datetime):
        return timezone.localtime(value).replace(tzinfo=None, microsecond=0)
    if value is None or (isinstance(value, int | float | Decimal | date | time) and not isinstance(value, bool)):
        return value
    return _NOT_XML.sub("", str(_plain(value)))
