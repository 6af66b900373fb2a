"""Owns the folder in which the SMTP sink keeps mail: one .eml a mail, and an append-only index of one line each."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

INDEX = "index.jsonl"
#: Files in one folder: directories of many thousands are slow to list for people.
_PER_FOLDER = 1000


@dataclass(frozen=True, slots=True)
class StoredMail:
    """One line of the index. `at` is when the mail was taken in, ISO 8601 in UTC; `date` its own Date header."""

    number: int
    at: str
    date: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    size: int

    @property
    def file(self) -> str:
        """Path of the mail within its folder."""
        return f"{self.number // _PER_FOLDER:05d}/{self.number:08d}.eml"


class MailWriter:
    """The one writer of a folder; safe to call from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._next = sum(1 for _ in MailReader(folder).lines()) + 1
        self._index = (folder / INDEX).open("ab")

    def store(
        self, content: bytes, *, sender: str, recipients: list[str], subject: str, date: str, at: datetime
    ) -> StoredMail:
        """Writes one mail, then its line: a line is never there before its mail."""
        with self._lock:
            mail = StoredMail(self._next, at.isoformat(), date, sender, tuple(recipients), subject, len(content))
            path = self.folder / mail.file
            if mail.number % _PER_FOLDER in (0, 1):
                path.parent.mkdir(exist_ok=True)
            with path.open("wb") as out:
                out.write(content)
            self._index.write(json.dumps(asdict(mail), ensure_ascii=False).encode() + b"\n")
            self._index.flush()
            self._next += 1
        return mail

    def __len__(self) -> int:
        """Mails stored so far."""
        return self._next - 1

    def close(self) -> None:
        """Closes the index."""
        self._index.close()


class MailReader:
    """Reads a folder others write to, line by line as they come; keeps the index in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mails: list[StoredMail] = []
        self._offset = 0
        self._lock = threading.Lock()

    def lines(self) -> Iterator[StoredMail]:
        """Every mail, oldest first."""
        return iter(self.mails())

    def mails(self) -> list[StoredMail]:
        """Every mail, oldest first; reads only what was added since the last call."""
        path = self.folder / INDEX
        with self._lock:
            try:
                size = os.path.getsize(path)
            except FileNotFoundError:
                self._mails, self._offset = [], 0
                return []
            if size < self._offset:  # emptied and begun anew
                self._mails, self._offset = [], 0
            if size > self._offset:
                with path.open("rb") as index:
                    index.seek(self._offset)
                    for line in index:
                        if not line.endswith(b"\n"):  # being written just now
                            break
                        raw = json.loads(line)
                        self._mails.append(StoredMail(**{**raw, "recipients": tuple(raw["recipients"])}))
                        self._offset += len(line)
            return list(self._mails)

    def content(self, mail: StoredMail) -> bytes:
        """The mail as it came."""
        return (self.folder / mail.file).read_bytes()
