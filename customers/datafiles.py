"""Owns files kept in the database piece by piece: written once, read in constant memory, hashed on the way in."""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO

from django.utils.translation import gettext as _

from customers.errors import SollecitoError
from customers.models import DataFile, DataPiece

#: Bytes of one piece: small enough for any buffer on the way, large enough that few queries read a file.
PIECE = 1024 * 1024


def datafile_write(
    *, name: str, chunks: Iterable[bytes], now: datetime, most: int | None = None, file: DataFile | None = None
) -> DataFile:
    """Stores a file as it comes, at `now` (aware UTC); `file`: into this empty one.

    Call it in a transaction of the caller's: what goes wrong halfway leaves nothing; or with a `file` the caller
    deletes then. Raises SollecitoError
    (`too_large`) past `most` bytes.
    """
    file = file or DataFile.objects.create(name=name[-255:], created_at=now)
    digest = hashlib.sha256()
    buffer = bytearray()
    number = size = 0

    def put(data: bytes) -> None:
        nonlocal number
        DataPiece.objects.create(file=file, number=number, data=data)
        number += 1

    for chunk in chunks:
        size += len(chunk)
        if most is not None and size > most:
            raise SollecitoError(
                _("The file is larger than {size} MB. Split it, or take columns away that are not needed.").format(
                    size=most // 1024**2
                ),
                code="too_large",
            )
        digest.update(chunk)
        buffer += chunk
        while len(buffer) >= PIECE:
            put(bytes(buffer[:PIECE]))
            del buffer[:PIECE]
    if buffer:
        put(bytes(buffer))
    file.size, file.sha256 = size, digest.hexdigest()
    file.save(update_fields=["size", "sha256"])
    return file


def datafile_pieces(file_id: int) -> Iterator[bytes]:
    """The file's bytes, one piece in memory at a time."""
    number = 0
    while (
        data := DataPiece.objects.filter(file_id=file_id, number=number).values_list("data", flat=True).first()
    ) is not None:
        yield bytes(data)
        number += 1


@contextmanager
def datafile_opened(file_id: int) -> Iterator[IO[bytes]]:
    """The file as one on disk, at its beginning, for as long as the block lasts."""
    with tempfile.TemporaryFile() as target:
        for piece in datafile_pieces(file_id):
            target.write(piece)
        target.seek(0)
        yield target
