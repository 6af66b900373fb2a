"""Owns how many parts a text message is billed and sent in (3GPP TS 23.038 and 23.040). Pure."""

from dataclasses import dataclass

from campaigns.rendering.gsm import BASIC, EXTENDED

#: Septets or UTF-16 units in a message of one part, and in each part of a longer one (the rest is its header).
_GSM = (160, 153)
_UCS2 = (70, 67)


@dataclass(frozen=True, slots=True)
class Segments:
    """`count` parts in `encoding` (GSM-7 or UCS-2)."""

    count: int
    encoding: str


def segments(text: str) -> Segments:
    """Parts `text` is sent in. One letter outside the GSM alphabet (ł, ő, an emoji) halves what fits into a part."""
    if all(char in BASIC or char in EXTENDED for char in text):
        return Segments(_parts([2 if char in EXTENDED else 1 for char in text], *_GSM), "GSM-7")
    return Segments(_parts([len(char.encode("utf-16-le")) // 2 for char in text], *_UCS2), "UCS-2")


def _parts(widths: list[int], alone: int, each: int) -> int:
    if sum(widths) <= alone:
        return 1 if widths else 0
    count, room = 1, each
    for width in widths:
        if width > room:
            count, room = count + 1, each
        room -= width
    return count
