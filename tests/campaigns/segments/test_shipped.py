"""The shipped segments are readable, run, and are loaded once."""

from pathlib import Path

import pytest

from campaigns.models import Segment
from campaigns.segments.evaluate import query_count
from campaigns.segments.shipped import segments_load, shipped_segments
from customers.errors import SollecitoError
from tests import factories as f
from tests.factories import NOW


@pytest.mark.django_db
def test_they_run_and_load_once_and_keep_what_staff_changed() -> None:
    f.invoice(f.customer(tags=["vip"]))
    codes = segments_load()
    assert set(codes) == {segment.code for segment in shipped_segments()}
    for segment in Segment.objects.all():
        segment.full_clean()
        assert query_count(segment.query, NOW).exact
    Segment.objects.filter(code="vip").update(query='tags = "gold"')
    assert segments_load() == ()
    assert Segment.objects.get(code="vip").query == 'tags = "gold"'
    assert Segment.objects.get(code="vip").history.count() == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schema: 2\nsegments: []", "schema 2 is not 1"),
        ("schema: 1\nsegments:\n- {code: x, name: X, description: '', query: 'kount = 1'}", "segment 'x'.*column 1"),
        ("schema: 1\nsegments:\n- {code: x, name: X, query: 'vulnerable = True'}", "segment 'x'.*description"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "segments.yaml"
    path.write_text(text)
    with pytest.raises(SollecitoError, match=words):
        shipped_segments(path)
