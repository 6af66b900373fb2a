"""Reads a whole file at once, for whoever keeps nothing of it: simulations on past receivables."""

from typing import IO

from billing.imports.guessing import guess_preset
from billing.imports.items import Item, RowError
from billing.imports.presets import PRESETS, Preset
from billing.imports.reading import read_row
from billing.imports.tables import rows_of, table_of
from customers.errors import SollecitoError


def read_file(file: IO[bytes], preset: Preset | None = None) -> tuple[list[Item], list[RowError]]:
    """What the rows stand for, and what is wrong with those that cannot be taken. Without `preset` the headings tell.

    Raises SollecitoError (`bad_file`) for a file that no preset, or not this one, reads.
    """
    wanted = [preset] if preset else list(PRESETS.values())
    table = table_of(file, wanted)
    chosen = guess_preset(table.headings, wanted)
    if chosen is None:
        missing = f"The file has no column {', '.join(preset.missing(table.headings))}." if preset else ""
        raise SollecitoError(missing or f"No preset reads the columns {', '.join(table.headings)}.", code="bad_file")
    fitted = chosen.fitted(table.headings)
    items: list[Item] = []
    errors: list[RowError] = []
    seen: dict[str, int] = {}
    for row in rows_of(file, table, fitted):
        item = [row.problem] if row.problem else read_row(fitted, row.number, row.cells)
        if not isinstance(item, list) and item.number in seen:
            reason = f"is in row {seen[item.number]} already"
            item = [RowError(row.number, fitted.columns["number"], item.number, reason)]
        if isinstance(item, list):
            errors += item
        else:
            seen[item.number] = row.number
            items.append(item)
    return items, errors
