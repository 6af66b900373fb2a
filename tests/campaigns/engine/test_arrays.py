"""Array literals come back from PostgreSQL as the values that were written."""

from datetime import UTC, datetime

import pytest
from django.db import connection

from campaigns.engine.arrays import array

MOMENT = datetime(2026, 3, 29, 1, 30, 0, 500000, tzinfo=UTC)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", [1, None, 2**62]),
        ("bigint", []),
        ("bigint", [None, None]),
        ("timestamptz", [MOMENT, None]),
        ("text", ["", "NULL", 'a "quoted" \\ one', "{a,b}", "it's", "“Più”\n", None]),
        ("text", ['same "x"', 'same "x"']),
        ("text", []),
    ],
)
def test_values_come_back(kind, values):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT %s::{kind}[]", [array(values)])
        assert cursor.fetchone() == (values,)
