"""Owns what an XLSX file may be before anything reads it: no archive that unpacks without end, no XML that grows."""

import io
import zipfile
from typing import IO, Any

from django.utils.translation import gettext as _
from import_export.formats.base_formats import XLSX

from customers.errors import SollecitoError

#: An XLSX file is a ZIP file: what it may unpack to, in how many parts, and how often its own size.
MOST_UNPACKED = 400 * 1024**2
MOST_PARTS = 2_000
MOST_RATIO = 250
#: All texts of a workbook are one part, which whoever reads it holds in memory.
MOST_TEXTS = 64 * 1024**2


def _refusal(reason: str, code: str) -> SollecitoError:
    return SollecitoError(reason, code=code)


def workbook_check(file: IO[bytes]) -> None:
    """Refuses what would unpack to more than a spreadsheet does. The sizes an archive declares bind its reader: it
    stops there. Leaves the file at its beginning. Raises SollecitoError (`hostile_file`, `bad_file`)."""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            unpacked = sum(part.file_size for part in parts)
            bomb = (
                len(parts) > MOST_PARTS
                or unpacked > MOST_UNPACKED
                or any(
                    part.file_size > 1024**2 and part.file_size > MOST_RATIO * max(part.compress_size, 1)
                    for part in parts
                )
            )
            if bomb:
                raise _refusal(
                    _(
                        "The workbook would unpack to {size} MB in {parts} parts. It is not read: save it anew as CSV."
                    ).format(size=unpacked // 1024**2, parts=len(parts)),
                    "hostile_file",
                )
            if any(p.filename.endswith("sharedStrings.xml") and p.file_size > MOST_TEXTS for p in parts):
                raise _refusal(
                    _("The workbook holds more than {size} MB of text. Save the sheet as CSV.").format(
                        size=MOST_TEXTS // 1024**2
                    ),
                    "hostile_file",
                )
            if "[Content_Types].xml" not in archive.namelist():
                raise _refusal(_("This is a ZIP archive, not a workbook. Send the file inside it."), "bad_file")
            if any(part.flag_bits & 1 for part in parts):
                raise _refusal(_("The workbook is locked with a password."), "bad_file")
            for part in parts:
                if part.filename.endswith((".xml", ".rels")):
                    with archive.open(part) as opened:
                        # Entities are how XML grows without end; no spreadsheet program writes any.
                        if b"<!DOCTYPE" in opened.read(2048).upper():
                            raise _refusal(_("The workbook holds XML no spreadsheet program writes."), "hostile_file")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise _refusal(_("The workbook cannot be opened: {why}.").format(why=error), "bad_file") from error
    file.seek(0)


class CheckedXLSX(XLSX):
    """django-import-export's XLSX, looked at before it is opened."""

    def create_dataset(self, in_stream: bytes) -> Any:
        """The sheet's rows. Raises ValueError, which the import's form tells of, for a file that is refused."""
        try:
            workbook_check(io.BytesIO(in_stream))
        except SollecitoError as error:
            raise ValueError(error.message) from error
        return super().create_dataset(in_stream)
