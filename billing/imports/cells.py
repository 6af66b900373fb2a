"""Owns single cells: dates and amounts as people and programs write them. Pure."""

import re
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

#: Bytes that were no text in the file's encoding.
LONE = re.compile("[\ud800-\udfff]")
_SIGNS = re.compile(r"[\s\u00a0\u202f$€£¥₹]|zł")
_CODE = re.compile(r"^[A-Z]{3}(?=[\d(+-])|(?<=[\d)-])[A-Z]{3}$")


def shown(raw: object) -> str:
    """A cell's text as it may be stored and shown: bytes that are no text, and NULs, made visible."""
    text = "" if raw is None else str(raw)
    return LONE.sub("\ufffd", text).replace("\x00", "\ufffd")


@lru_cache(maxsize=4096)
def parse_moment(text: str, formats: str) -> datetime | None:
    """A date, perhaps with a time, in one of `formats` (strptime, parted by `|`); None if it fits none. Naive: the
    caller knows what place it is meant at."""
    for one in formats.split("|"):
        try:
            return datetime.strptime(text, one)  # noqa: DTZ007
        except ValueError:
            continue
    return None


def parse_amount(text: str, decimal: str) -> Decimal | None:
    """An amount as written: a currency's sign, blanks and thousands' marks are read over, brackets or a minus mean
    less than nothing. None for what is no amount: `1,5` where the decimals follow a point is none."""
    bare = _CODE.sub("", _SIGNS.sub("", text))
    minus = bare.startswith("-") or bare.endswith("-") or (bare.startswith("(") and bare.endswith(")"))
    bare = bare.strip("()").strip("-").removeprefix("+")
    thousands = "." if decimal == "," else ","
    mark, group = re.escape(decimal), f"[{re.escape(thousands)}'’]"
    if not re.fullmatch(rf"(\d+|\d{{1,3}}({group}\d{{3}})+)({mark}\d*)?", bare, re.ASCII):
        return None
    if bare.startswith(decimal) or len(bare) > 40:
        return None
    for sign in (thousands, "'", "’"):
        bare = bare.replace(sign, "")
    value = Decimal(bare.replace(decimal, "."))
    return -value if minus else value
