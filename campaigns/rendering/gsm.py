"""Owns the spelling of text messages: letters the GSM alphabet lacks are replaced where that saves parts. Pure.

One `ł` or one curly quote turns a message of 160 characters to a part into one of 70. Readers of Polish, French or
Spanish text messages are used to them without accents; where the GSM alphabet cannot say it at all (Greek small
letters, Cyrillic), nothing is touched.
"""

import unicodedata

#: Characters in one part (septets; those of EXTENDED take two).
ONE_PART = 160

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")
_TYPOGRAPHY = str.maketrans(
    {
        "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2011": "-", "–": "-", "—": "-", "…": "...", "•": "-",
        "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "\u200b": "",
    }
)  # fmt: skip
_LETTERS = str.maketrans({"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i", "œ": "oe", "Œ": "Oe"})


def septets(text: str) -> int | None:
    """Length in septets, or None if a character is not in the GSM alphabet."""
    if all(char in BASIC or char in EXTENDED for char in text):
        return sum(2 if char in EXTENDED else 1 for char in text)
    return None


def spell(text: str) -> str:
    """`text` with plain punctuation, and without accents if it then fits the GSM alphabet and did not before."""
    plain = text.translate(_TYPOGRAPHY)
    if septets(plain) is not None:
        return plain
    folded = "".join(_base(char) for char in plain.translate(_LETTERS))
    return folded if septets(folded) is not None else plain


def _base(char: str) -> str:
    if char in BASIC or char in EXTENDED:
        return char
    return "".join(part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part))
