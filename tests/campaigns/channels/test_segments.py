import pytest

from campaigns.channels.segments import segments


@pytest.mark.parametrize(
    ("text", "count", "encoding"),
    [
        ("", 0, "GSM-7"),
        ("a" * 160, 1, "GSM-7"),
        ("a" * 161, 2, "GSM-7"),
        ("a" * 306, 2, "GSM-7"),
        ("a" * 307, 3, "GSM-7"),
        ("perché è così, più o meno: à ò ù", 1, "GSM-7"),
        ("€" * 80, 1, "GSM-7"),
        ("€" * 81, 2, "GSM-7"),
        # 153 septets hold 76 whole euro signs; the 77th goes to the next part as a whole.
        ("€" * 152, 2, "GSM-7"),
        ("€" * 153, 3, "GSM-7"),
        ("ł" * 70, 1, "UCS-2"),
        ("ł" * 71, 2, "UCS-2"),
        ("ł" * 134, 2, "UCS-2"),
        ("ł" * 135, 3, "UCS-2"),
        ("😀" * 35, 1, "UCS-2"),
        ("😀" * 36, 2, "UCS-2"),
        # 67 units hold 33 whole emoji.
        ("😀" * 66, 2, "UCS-2"),
        ("😀" * 67, 3, "UCS-2"),
        ("Zażółć gęślą jaźń", 1, "UCS-2"),
        ("a" * 159 + "“", 3, "UCS-2"),
    ],
)
def test_parts_are_counted_as_phones_count_them(text: str, count: int, encoding: str) -> None:
    found = segments(text)
    assert (found.count, found.encoding) == (count, encoding)
