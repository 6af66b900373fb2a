"""The segments that come with Sollecito, read from their file and loaded where their code is not there yet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from campaigns.models import Segment
from campaigns.segments.language import SegmentError, parse
from customers.errors import SollecitoError

FILE = Path(__file__).resolve().parent.parent / "shipped" / "segments.yaml"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class ShippedSegment:
    """One entry of the file."""

    code: str
    name: str
    description: str
    query: str


def shipped_segments(path: Path = FILE) -> list[ShippedSegment]:
    """The file's segments, checked. Raises SollecitoError naming file, segment and place."""
    document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    if document.get("schema") != SCHEMA:
        raise SollecitoError(f"{path.name}: schema {document.get('schema')!r} is not {SCHEMA}.", code="newer_schema")
    found = []
    for entry in document["segments"]:
        try:
            segment = ShippedSegment(**entry)
            parse(segment.query)
        except (TypeError, SegmentError) as error:
            raise SollecitoError(f"{path.name}, segment {entry.get('code')!r}: {error}", code="bad_query") from error
        found.append(segment)
    return found


def segments_load() -> tuple[str, ...]:
    """Saves those whose code no segment has; what is there is staff's own by now. Returns the codes saved."""
    there = set(Segment.objects.values_list("code", flat=True))
    new = [segment for segment in shipped_segments() if segment.code not in there]
    for segment in new:
        # One by one, so that each has its first line of history.
        Segment.objects.create(
            code=segment.code, name=segment.name, description=segment.description, query=segment.query
        )
    return tuple(segment.code for segment in new)
