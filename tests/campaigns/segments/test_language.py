"""Queries are read as written, refused with the place of the mistake."""

import contextlib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.segments.fields import FIELDS
from campaigns.segments.language import Compared, Joined, SegmentError, parse


def test_and_binds_closer_than_or() -> None:
    tree = parse('kind = "business" and overdue_days > 30 or vulnerable = True')
    assert isinstance(tree, Joined)
    assert tree.operator == "or"
    first, second = tree.parts
    assert isinstance(first, Joined)
    assert first.operator == "and"
    assert isinstance(second, Compared)
    assert second.field.name == "vulnerable"


def test_or_before_and_is_grouped_the_same() -> None:
    tree = parse('vulnerable = True or kind = "business" and overdue_days > 30')
    assert isinstance(tree, Joined)
    assert [type(part) for part in tree.parts] == [Compared, Joined]


def test_brackets_win() -> None:
    tree = parse('kind = "business" and (overdue_days > 30 or vulnerable = True)')
    assert isinstance(tree, Joined)
    assert tree.operator == "and"


def test_amounts_are_read_in_major_units() -> None:
    assert parse("balance.EUR > 10.50").value == Decimal(1050)  # type: ignore[union-attr]
    assert parse("balance.JPY > 500").value == Decimal(500)  # type: ignore[union-attr]
    assert parse("balance.KWD > 1.250").value == Decimal(1250)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("query", "line", "column", "words"),
    [
        ("", None, None, "empty"),
        ("  \n ", None, None, "empty"),
        ("countri = 'IT'", 1, 1, "Did you mean country?"),
        ("country = 'IT' and\n  kund = 'business'", 2, 3, "no field kund"),
        ("country = 'IT' and\n\n  kind = 'busines'", 3, 10, "business"),
        ("country = ", None, None, "Unexpected end"),
        ("country == 'IT'", 1, 10, "Syntax error"),
        ("country = 'IT' & kind = 'business'", 1, 16, "Illegal character"),
        ("balance > 5", 1, 1, "balance.EUR"),
        ("balance.EURO > 5", 1, 1, "balance.EUR"),
        ("balance.eur > 5", 1, 1, "one currency at a time"),
        ("balance.EUR > 5.123", 1, 15, "more decimals"),
        ("balance.EUR in (5)", 1, 1, "cannot be compared by in"),
        ("overdue_days > 'x'", 1, 16, "compared with a number"),
        ("overdue_days > 99999999999999999999", 1, 16, "too large"),
        ("overdue_days > 1e999999999", 1, 16, "too large"),
        ("overdue_days > 1e-999999999", 1, 16, "too many decimals"),
        ("overdue_days = None", 1, 16, "always has a value"),
        ("country ~ None", 1, 11, "Syntax error"),
        ("vulnerable = 1", 1, 14, "True or False"),
        ("country = True", 1, 11, "text in quotes"),
        ("tags > 'a'", 1, 1, "cannot be compared by >"),
        (r"name = 'a\u0000'", 1, 8, "cannot be stored"),
        ("(country = 'IT'", None, None, "Unexpected end"),
        ("country = 'IT' country = 'FR'", 1, 16, "Syntax error"),
        ("country.code = 'IT'", 1, 1, "no field country.code"),
        ("metadata = 'IT'", 1, 1, "no field metadata"),
        ("metadata.seats > 'x'", 1, 18, "for numbers"),
        ("metadata.seats ~ 5", 1, 18, "Syntax error"),
        ("case.state = 'recovered'", 1, 14, "never"),
        ("country in (" + ", ".join(["'IT'"] * 501) + ")", 1, 1, "at most 500"),
    ],
)
def test_a_mistake_is_refused_with_its_place(query: str, line: int | None, column: int | None, words: str) -> None:
    with pytest.raises(SegmentError) as caught:
        parse(query)
    assert words in caught.value.message
    if line is not None and "Syntax error" in words or line is None:
        assert caught.value.line == line
    else:
        assert (caught.value.line, caught.value.column) == (line, column)
        assert caught.value.message.startswith(f"Line {line}, column {column}: ")


def test_a_long_chain_is_no_deep_one() -> None:
    tree = parse(" or ".join(["no_dunning = True"] * 1500))
    assert isinstance(tree, Joined)
    assert len(tree.parts) == 1500


@given(st.text(max_size=200))
def test_whatever_is_typed_is_read_or_refused(query: str) -> None:
    with contextlib.suppress(SegmentError):
        parse(query)


_WORDS = st.sampled_from(
    ["country", "balance.EUR", "overdue_days", "tags", "metadata.x", "=", "!=", ">", "in", "not", "~", "(", ")", ",",
     "and", "or", "None", "True", "'IT'", "5", "1.5", "\n", "startswith"]
)  # fmt: skip


@given(st.lists(_WORDS, max_size=14))
def test_whatever_is_put_together_is_read_or_refused(words: list[str]) -> None:
    with contextlib.suppress(SegmentError):
        parse(" ".join(words))


def test_every_field_and_its_values_are_documented() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/segments.md").read_text()
    for field in FIELDS.values():
        assert f"| `{field.name}" in page, field.name
        assert all(f"`{choice}`" in page for choice in field.choices), field.name


@pytest.mark.parametrize(
    "query",
    [
        '(country = "IT" or tags = "x" and ' * 1000 + 'country = "FR"' + ")" * 1000,
        'country = "IT" and (' * 1000 + 'tags = "x" or country = "FR"' + ")" * 1000,
        'country = "\ud800"',
    ],
)
def test_what_would_end_a_process_is_refused(query):
    with pytest.raises(SegmentError):
        parse(query)
