"""Owns finding the table in a file: where its headings are, which rows are data, and who a report's rows are about."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import IO, Any

from django.utils.translation import gettext as _

from billing.imports.cells import shown
from billing.imports.files import MOST_COLUMNS, Line, Shape, lines, shape_of
from billing.imports.items import RowError
from billing.imports.presets import BY_CUSTOMER, BY_SECTION, Preset
from customers.errors import SollecitoError

#: A report may tell its title, company and day before the headings.
_HEADINGS_WITHIN = 30
#: Rows looked at to guess how dates and amounts are written.
_SAMPLES = 200


@dataclass(frozen=True, slots=True)
class Table:
    """A table found in a file: its shape, the line of its headings (1 = first), the headings and the first rows."""

    shape: Shape
    line: int
    headings: list[str]
    samples: list[list[str]]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of data: its number (1 = first below the headings), its line in the file, its cells by heading."""

    number: int
    line: int
    cells: Mapping[str, Any]
    raw: list[str]
    problem: RowError | None = None


def table_of(file: IO[bytes], presets: Iterable[Preset] = (), *, encoding: str = "", delimiter: str = "") -> Table:
    """Finds the table: the first line that has all headings one of `presets` needs, else the first that looks like
    headings. Raises SollecitoError (`bad_file`) where there is none."""
    shape = shape_of(file, encoding=encoding, delimiter=delimiter)
    first = list(islice(lines(file, shape), _HEADINGS_WITHIN + _SAMPLES))
    candidates = [line for line in first[:_HEADINGS_WITHIN] if not line.is_blank and not line.problem]
    known = list(presets)
    found = next(
        (line for line in candidates if any(not p.missing(names(line.cells)) for p in known)),
        next((line for line in candidates if _looks_like_headings(line.cells)), None),
    )
    if found is None and any(len(line.cells) >= MOST_COLUMNS for line in first):
        raise SollecitoError(
            _("The table is wider than {most} columns. Delete those nobody needs.").format(most=MOST_COLUMNS),
            code="hostile_file",
        )
    if found is None:
        raise SollecitoError(
            _("No row of headings was found in the first {n} lines.").format(n=_HEADINGS_WITHIN), code="bad_file"
        )
    samples = [[shown(cell) for cell in line.cells] for line in first if line.number > found.number][:_SAMPLES]
    return Table(shape, found.number, names(found.cells), samples)


def names(cells: Sequence[Any]) -> list[str]:
    """Headings as columns are known by: blank ones by their place, repeated ones by a number behind."""
    told: list[str] = []
    for place, cell in enumerate(cells, start=1):
        name = shown(cell).replace("\ufeff", "").strip() or f"column {place}"
        count = 2
        unique = name
        while unique in told:
            unique = f"{name} ({count})"
            count += 1
        told.append(unique)
    return told


def _looks_like_headings(cells: Sequence[Any]) -> bool:
    filled = [str(cell).strip() for cell in cells if cell not in (None, "") and str(cell).strip()]
    words = [text for text in filled if not text[0].isdigit()]
    return len(filled) >= 3 and len(words) == len(filled) and not any(isinstance(cell, date) for cell in cells)


def rows_of(file: IO[bytes], table: Table, preset: Preset) -> Iterator[Row]:
    """The rows of data below the headings, in their order. Blank lines at the end are none; those between others are
    rows that say nothing. Of reports for people, totals and headings of sections are left out."""
    customer = ""
    number = 0
    waiting: list[Line] = []
    for line in lines(file, table.shape):
        if line.number <= table.line:
            continue
        if line.is_blank:
            if not preset.grouping:
                waiting.append(line)
            continue
        if preset.grouping:
            heading, is_data = _grouped(line, preset, table.headings)
            if not is_data:
                # Below a total nobody is meant until the next name: better rejected than put on the wrong account.
                customer = heading
                continue
        for blank in waiting:
            number += 1
            yield _row(number, blank, table.headings, preset, "")
        waiting.clear()
        number += 1
        yield _row(number, line, table.headings, preset, customer)


_TOTALS = ("total", "percentage", "grand total")


def _grouped(line: Line, preset: Preset, headings: Sequence[str]) -> tuple[str, bool]:
    """(Name of a group that begins, empty where one ends; whether the line is data). A name alone begins one, whatever
    it is: there are companies called Total."""
    filled = [(place, cell) for place, cell in enumerate(line.cells) if cell not in (None, "") and str(cell).strip()]
    place, first = filled[0]
    text = str(first).strip()

    def holds(name: str) -> bool:
        column = preset.columns.get(name)
        at = headings.index(column) if column in headings else -1
        # The word of a total may stand in any column, that of the dates, too.
        return any(here == at for here, _cell in filled[1:])

    if text.casefold() in _TOTALS:
        return "", False
    if len(filled) > 1 and text.casefold().startswith(_TOTALS) and not (holds("issued") or holds("due")):
        return "", False
    if len(filled) == 1 and place == 0:
        return (text if preset.grouping == BY_CUSTOMER else ""), False
    if preset.grouping == BY_SECTION and not holds("number") and len(filled) < 3:
        return "", False
    return "", True


def _row(number: int, line: Line, headings: Sequence[str], preset: Preset, customer: str) -> Row:
    raw = [shown(cell) for cell in line.cells]
    cells = dict(zip(headings, line.cells, strict=False))
    problem = None
    beyond = [cell for cell in line.cells[len(headings) :] if cell not in (None, "")]
    if line.problem:
        problem = RowError(number, "", "", line.problem, _("Put cells that hold the delimiter into quotation marks."))
    elif beyond:
        problem = RowError(
            number,
            "",
            shown(beyond[0])[:200],
            _("has {n} cells where the headings are {m}").format(n=len(line.cells), m=len(headings)),
            _("Put cells that hold the delimiter into quotation marks."),
        )
    if preset.grouping == BY_CUSTOMER and customer:
        column = preset.columns.get("customer") or "Contact"
        cells.setdefault(column, customer)
    return Row(number, line.number, cells, raw, problem)
