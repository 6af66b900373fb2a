from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.guard.book import SHIPPED
from campaigns.guard.hours import Hours, Span, is_open, next_open
from campaigns.guard.policy import BASES, FOLDER, read
from customers.errors import SollecitoError

ROME = ZoneInfo("Europe/Rome")


def hours(*spans: str) -> Hours:
    parsed = tuple(Span.parse(span) for span in spans)
    return Hours(parsed, parsed, parsed, None)


def at(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ROME, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("span", "now", "expected"),
    [
        # 2026-03-29: 02:00 becomes 03:00. An opening the clock skips opens when the clock has passed it.
        ("02:30-06:00", "2026-03-29T01:59", "2026-03-29T03:00"),
        ("03:00-06:00", "2026-03-29T01:59", "2026-03-29T03:00"),
        # All of it skipped: the next day's.
        ("02:10-02:50", "2026-03-29T01:00", "2026-03-30T02:10"),
        # Hours over midnight.
        ("20:00-02:00", "2026-03-10T02:00", "2026-03-10T20:00"),
        ("20:00-02:00", "2026-03-10T01:59", "2026-03-10T01:59"),
        ("20:00-02:00", "2026-03-10T19:59", "2026-03-10T20:00"),
        ("00:00-24:00", "2026-03-10T23:59", "2026-03-10T23:59"),
    ],
)
def test_next_opening(span: str, now: str, expected: str) -> None:
    assert next_open(at(now), hours(span), "", [ROME]) == at(expected)


def test_an_hour_told_twice_opens_both_times() -> None:
    # 2026-10-25: 03:00 becomes 02:00 again; 02:30 comes at 00:30 and at 01:30 UTC.
    half_hour = hours("02:30-02:45")
    first, second = at("2026-10-25T02:30"), at("2026-10-25T02:30", fold=1)
    assert second - first == timedelta(hours=1)
    assert next_open(at("2026-10-25T01:00"), half_hour, "", [ROME]) == first
    assert next_open(at("2026-10-25T02:50"), half_hour, "", [ROME]) == second
    assert next_open(at("2026-10-25T02:10", fold=1), half_hour, "", [ROME]) == second


def moments_after(day: str, *, days: int) -> st.SearchStrategy[datetime]:
    start = datetime.fromisoformat(f"{day}T00:00+00:00")
    return st.integers(0, days * 24 * 3600).map(lambda seconds: start + timedelta(seconds=seconds))


MINUTES = st.integers(0, 24 * 60 - 1)


@given(
    # Around both changes of clocks of that year, and anywhere.
    now=st.one_of(
        moments_after("2026-03-28", days=3),
        moments_after("2026-10-24", days=3),
        moments_after("2026-01-01", days=365),
    ),
    start=MINUTES,
    length=st.integers(1, 24 * 60),
)
def test_the_next_opening_is_open_and_never_early(now: datetime, start: int, length: int) -> None:
    span = Span(start, start + length)
    open_ = Hours((span,), (span,), (span,), None)
    found = next_open(now, open_, "", [ROME])
    assert found >= now
    assert is_open(found, open_, "", [ROME])
    if is_open(now, open_, "", [ROME]):
        assert found == now
    # No open minute is passed over.
    minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while minute < found:
        assert not is_open(minute, open_, "", [ROME])
        minute += timedelta(minutes=3)


@pytest.mark.parametrize("text", ["08:30", "8-21", "08:30-08:30", "24:00-02:00", "08:61-09:00", "x-y"])
def test_spans_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Span.parse(text)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_policy_is_dated_and_sourced(path: object) -> None:
    file = read(path.stem, path.read_text())  # type: ignore[attr-defined]
    assert file.title != file.code
    for version in file.versions:
        assert version.channels
        for rules in (*version.channels.values(), *version.business_channels.values()):
            for ground in (rules.ground(), *rules.because.values()):
                assert ground.basis in BASES
                assert len(ground.source) > 40
                # What we chose ourselves must not look like the law's.
                assert ground.source.startswith(("House", "No statute")) <= (ground.basis in ("house", "code"))
            assert rules.policy == path.stem  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "source",
    [
        "versions: [{channels: {}}]",
        "versions: [{valid_from: 2026-01-01, channels: {fax: {source: x, basis: law}}}]",
        "versions: [{valid_from: 2026-01-01, channels: {call: {source: x, basis: hearsay}}}]",
        "versions: [{valid_from: 2026-01-01, channels: {call: {source: '', basis: law}}}]",
        "versions: [{valid_from: 2026-01-01, channels: {call: {source: x, basis: law, open: {sunday: []}}}}]",
        "versions: [{valid_from: 2026-01-01, channels: {call: {source: x, basis: law, hours: []}}}]",
        "versions: [{valid_from: 2026-01-01, channels: {call: {source: x, basis: law, per_week: many}}}]",
        "versions: [{valid_from: 2026-01-01, channels: {call: {source: x, basis: law, per_week: -1}}}]",
        # Longer than the guard remembers: it would not hold.
        "versions: [{valid_from: 2026-01-01, channels: {call: {source: x, basis: law, after_call_hours: 721}}}]",
        "versions: [{valid_from: 2026-01-01, channels: {call: {source: x, basis: law, per_month: 51}}}]",
        "versions: [{valid_from: 2026-01-01, channels: {call: {source: x, basis: law, consent: maybe}}}]",
        "versions: [{valid_from: 2026-01-01, channels: {call: {source: x, basis: law, texts: [poem]}}}]",
        "versions: [{valid_from: 2026-01-01, channels: {call: {source: x, basis: law, because: {open: {}}}}}]",
        "versions: [{valid_from: soon, channels: {call: {source: x, basis: law}}}]",
        "versions: [{valid_from: 2026-01-01, business: {hours: 1}}]",
        "{versions: [], colour: red}",
        "[unbalanced",
        "{}",
    ],
)
def test_a_policy_that_would_close_for_ever_or_says_nothing_is_refused(source: str) -> None:
    with pytest.raises(SollecitoError):
        read("xx", source)


def test_the_version_in_force_is_the_newest_that_has_begun() -> None:
    source = """
versions:
  - {valid_from: 2026-01-01, channels: {call: {source: old, basis: law}}}
  - {valid_from: 2026-07-01, channels: {call: {source: new, basis: law}}}
"""
    assert [version.valid_from.month for version in read("xx", source).versions] == [7, 1]
    assert SHIPPED.policy_for("IT", datetime(2016, 1, 1, tzinfo=UTC) + timedelta(days=3650)).code == "it"
    early = SHIPPED.policy_for("FR", datetime(2022, 6, 1, tzinfo=UTC))
    assert early.rules("call").policy == "eu"


def test_a_country_without_rules_for_a_channel_has_the_defaults() -> None:
    policy = SHIPPED.policy_for("IT", datetime(2026, 3, 10, tzinfo=UTC))
    assert policy.rules("email").policy == "default"
    assert policy.rules("call").policy == "it"
    assert policy.rules("in_app").hours is None
