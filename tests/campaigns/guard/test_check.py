from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.guard.check import ADDRESSED, check, policy_of
from campaigns.guard.explain import explain
from campaigns.guard.hours import is_open
from campaigns.guard.types import Allowed, Blocked, Contacted, Deferred, GuardSnapshot
from campaigns.guard.zones import is_guess, zone, zone_name, zones_of
from customers.addresses import normalise

#: A Tuesday noon in Rome.
NOON = datetime(2026, 3, 10, 11, 0, tzinfo=UTC)


def snapshot(**fields: Any) -> GuardSnapshot:
    values = {
        "customer_id": 1,
        "kind": "consumer",
        "country": "IT",
        "zone": "Europe/Rome",
        "case_state": "open",
        "addresses": {"email": "anna@example.com", "call": "+39021234567", "sms": "+393331234567"},
    } | fields
    return GuardSnapshot(**values)


def test_nothing_stands_against_a_plain_mail_at_noon() -> None:
    assert check(snapshot(), "email", NOON) == Allowed()


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"deleted": True}, "customer.deleted"),
        ({"do_not_contact": True}, "customer.do_not_contact"),
        ({"legal_hold": True}, "customer.legal_hold"),
        ({"bankrupt": True}, "customer.bankrupt"),
        ({"vulnerable": True}, "customer.vulnerable"),
        ({"no_dunning": True}, "customer.no_dunning"),
        ({"owes": False}, "balance.paid"),
        ({"promised": True}, "case.promised"),
        ({"in_plan": True}, "case.in_plan"),
        ({"disputed": True}, "case.disputed"),
        ({"case_state": "paused"}, "case.paused"),
        ({"case_state": "promised"}, "case.promised"),
        ({"case_state": "in_plan"}, "case.in_plan"),
        ({"case_state": "disputed"}, "case.disputed"),
        ({"case_state": "agency"}, "case.agency"),
        ({"case_state": "recovered"}, "case.closed"),
        ({"case_state": "lost"}, "case.closed"),
        ({"case_state": "cancelled"}, "case.closed"),
        ({"addresses": {}}, "address.missing"),
        ({"suppressed": frozenset({("email", "anna@example.com")})}, "address.suppressed"),
    ],
)
def test_what_forbids_a_reminder(fields: dict[str, Any], rule: str) -> None:
    verdict = check(snapshot(**fields), "email", NOON)
    assert isinstance(verdict, Blocked)
    assert verdict.rule == rule
    assert verdict.reason.endswith(".")


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"case_state": "recovered"}, None),
        ({"owes": False}, None),
        ({"vulnerable": True}, None),
        ({"contacts": (Contacted("email", NOON - timedelta(minutes=5)),), "min_gap_hours": 20}, None),
        ({"talks": (Contacted("call", NOON - timedelta(minutes=5)),)}, None),
        ({"deleted": True}, "customer.deleted"),
        ({"do_not_contact": True}, "customer.do_not_contact"),
        ({"suppressed": frozenset({("email", "anna@example.com")})}, "address.suppressed"),
    ],
)
def test_a_receipt_heeds_only_suppression_and_hours(fields: dict[str, Any], rule: str | None) -> None:
    verdict = check(snapshot(purpose="receipt", **fields), "email", NOON)
    assert getattr(verdict, "rule", None) == rule


def test_a_receipt_waits_for_the_morning_too() -> None:
    night = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
    verdict = check(snapshot(purpose="receipt", case_state="recovered", owes=False), "email", night)
    assert isinstance(verdict, Deferred)
    assert verdict.until == datetime(2026, 3, 10, 6, 0, tzinfo=UTC)


def test_an_address_is_suppressed_in_any_spelling() -> None:
    shown = snapshot(
        addresses={"email": " Anna@Bücher.example ", "sms": "333 123 4567"},
        suppressed=frozenset({("email", "anna@xn--bcher-kva.example"), ("sms", "+393331234567")}),
    )
    for channel in ("email", "sms"):
        verdict = check(shown, channel, NOON)
        assert isinstance(verdict, Blocked)
        assert verdict.rule == "address.suppressed"


def local(text: str, name: str = "Europe/Rome", fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(name), fold=fold)


@pytest.mark.parametrize(
    ("country", "zone_", "channel", "now", "until", "rule"),
    [
        # The end of the hours is already closed, their beginning open.
        ("IT", "Europe/Rome", "call", "2026-03-10T08:29", "2026-03-10T08:30", "quiet_hours.it"),
        ("IT", "Europe/Rome", "call", "2026-03-10T08:30", None, None),
        ("IT", "Europe/Rome", "call", "2026-03-10T20:59", None, None),
        ("IT", "Europe/Rome", "call", "2026-03-10T21:00", "2026-03-11T08:30", "quiet_hours.it"),
        ("IT", "Europe/Rome", "call", "2026-03-14T15:00", "2026-03-16T08:30", "quiet_hours.it"),
        ("IT", "Europe/Rome", "call", "2026-03-15T12:00", "2026-03-16T08:30", "day_of_rest.it"),
        # Easter Monday after Easter.
        ("IT", "Europe/Rome", "call", "2026-04-06T12:00", "2026-04-07T08:30", "public_holiday.it"),
        ("IT", "Europe/Rome", "email", "2026-04-06T12:00", None, None),
        ("US", "America/Chicago", "call", "2026-03-10T07:59", "2026-03-10T08:00", "quiet_hours.us"),
        ("US", "America/Chicago", "email", "2026-03-10T21:00", "2026-03-11T08:00", "quiet_hours.us"),
        ("FR", "Europe/Paris", "call", "2026-03-10T13:30", "2026-03-10T14:00", "quiet_hours.fr"),
        ("FR", "Europe/Paris", "call", "2026-07-14T11:00", "2026-07-15T10:00", "public_holiday.fr"),
        ("DE", "Europe/Berlin", "sms", "2026-10-03T10:00", "2026-10-05T08:00", "public_holiday.de"),
        ("GB", "Europe/London", "call", "2026-12-25T10:00", "2026-12-29T08:00", "public_holiday.gb"),
        ("", "UTC", "sms", "2026-03-10T08:00", "2026-03-10T09:00", "quiet_hours.default"),
        ("ZZ", "Asia/Tokyo", "email", "2026-03-10T23:00", "2026-03-11T07:00", "quiet_hours.default"),
        # Clocks go forward at 02:00 and back at 03:00 in the night between.
        ("IT", "Europe/Rome", "email", "2026-03-29T01:30", "2026-03-29T08:00", "quiet_hours.default"),
        ("IT", "Europe/Rome", "email", "2026-10-25T01:30", "2026-10-25T08:00", "quiet_hours.default"),
    ],
)
def test_hours(country: str, zone_: str, channel: str, now: str, until: str | None, rule: str | None) -> None:
    shown = snapshot(country=country, zone=zone_, granted=frozenset({("sms", "+393331234567")}))
    verdict = check(shown, channel, local(now, zone_).astimezone(UTC))
    if until is None:
        assert verdict == Allowed()
    else:
        assert isinstance(verdict, Deferred)
        assert (verdict.until, verdict.rule) == (local(until, zone_), rule)
        assert until.replace("T", " ") in verdict.reason


def test_the_night_is_as_long_as_the_clock_makes_it() -> None:
    before = local("2026-03-28T22:00").astimezone(UTC)
    verdict = check(snapshot(), "email", before)
    assert isinstance(verdict, Deferred)
    assert verdict.until - before == timedelta(hours=9)  # to Sunday 08:00, one hour shorter than the clock says


def test_a_guessed_zone_counts_as_all_of_its_country_for_what_rings() -> None:
    shown = snapshot(country="US", zone="America/New_York", zone_is_guess=True)
    morning = local("2026-03-10T09:00", "America/New_York").astimezone(UTC)
    assert check(shown, "email", morning) == Allowed()
    verdict = check(shown, "call", morning)
    assert isinstance(verdict, Deferred)
    # 08:00 in Hawaii and on the outer Aleutians.
    assert verdict.until == local("2026-03-10T08:00", "Pacific/Honolulu")
    assert check(shown._replace(zone_is_guess=False), "call", morning) == Allowed()


def test_the_gap_and_the_cap_name_their_rule_and_end_in_open_hours() -> None:
    contacts = (Contacted("email", NOON - timedelta(hours=1)),)
    verdict = check(snapshot(contacts=contacts, min_gap_hours=20), "email", NOON)
    assert isinstance(verdict, Deferred)
    assert verdict.rule == "min_gap.ladder"
    assert verdict.until == NOON + timedelta(hours=19)
    assert check(snapshot(contacts=contacts, min_gap_hours=1), "email", NOON) == Allowed()  # due is <=

    week = tuple(Contacted("call", NOON - timedelta(days=days)) for days in (1, 3, 6))
    verdict = check(snapshot(contacts=week), "call", NOON)
    assert isinstance(verdict, Deferred)
    assert (verdict.rule, verdict.until) == ("weekly_cap.it", NOON + timedelta(days=1))
    assert check(snapshot(contacts=week), "email", NOON) == Allowed()
    assert check(snapshot(contacts=week), "call", NOON + timedelta(days=1)) == Allowed()

    late = (Contacted("email", NOON),)
    verdict = check(snapshot(contacts=late, min_gap_hours=12), "email", NOON)
    assert isinstance(verdict, Deferred)
    assert (verdict.rule, verdict.until) == ("min_gap.ladder", local("2026-03-11T07:00"))


def test_seven_calls_in_seven_days_are_the_most_in_the_us() -> None:
    shown = snapshot(
        country="US",
        zone="America/Chicago",
        contacts=tuple(Contacted("call", NOON - timedelta(hours=20 * n)) for n in range(1, 8)),
    )
    verdict = check(shown, "call", NOON + timedelta(hours=5))
    assert isinstance(verdict, Deferred)
    assert verdict.rule == "weekly_cap.us"
    assert verdict.until == NOON - timedelta(hours=140) + timedelta(days=7)


EVERYWHERE = {"email": "a@b.example", "sms": "+1", "call": "+1", "whatsapp": "+1", "letter": "x"}
MOMENTS = st.integers(0, 2 * 365 * 24 * 3600).map(lambda n: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n))
PLACES = st.sampled_from(
    [
        ("IT", "Europe/Rome"),
        ("NL", "Europe/Amsterdam"),
        ("CA", "America/St_Johns"),
        ("ES", "Atlantic/Canary"),
        ("US", "America/New_York"),
        ("US", "Pacific/Honolulu"),
        ("FR", "Europe/Paris"),
        ("DE", "Europe/Berlin"),
        ("GB", "Europe/London"),
        ("AU", "Australia/Lord_Howe"),
        ("", "Asia/Kathmandu"),
        ("PL", "Europe/Warsaw"),
    ]
)


PAST = st.lists(
    st.tuples(
        st.sampled_from(["email", "call", "sms", "whatsapp", "letter", "in_app"]),
        st.timedeltas(-timedelta(days=2), timedelta(days=31)),
    ),
    max_size=25,
)


@given(
    now=MOMENTS,
    place=PLACES,
    channel=st.sampled_from(["email", "sms", "call", "whatsapp", "letter", "in_app"]),
    guess=st.booleans(),
    gap=st.integers(0, 72),
    ago=PAST,
    talks=PAST,
    kind=st.sampled_from(["consumer", "business"]),
    collector=st.booleans(),
)
def test_the_guard_only_delays_and_a_deferral_is_the_last(
    now: datetime,
    place: tuple[str, str],
    channel: str,
    guess: bool,
    gap: int,
    ago: list[tuple[str, timedelta]],
    talks: list[tuple[str, timedelta]],
    kind: str,
    collector: bool,
) -> None:
    shown = snapshot(
        country=place[0],
        zone=place[1],
        zone_is_guess=guess,
        min_gap_hours=gap,
        contacts=tuple(Contacted(name, now - age) for name, age in ago),
        talks=tuple(Contacted(name, now - age) for name, age in talks),
        kind=kind,
        collector=collector,
        addresses=EVERYWHERE,
        granted=frozenset(EVERYWHERE.items()),
    )
    policy = policy_of(shown, now)
    rules = policy.rules(channel)
    verdict = check(shown, channel, now)
    if isinstance(verdict, Allowed):
        assert rules.hours is None or is_open(now, rules.hours, place[0], [zone(place[1])])
        assert not gap or all(now - contact.at >= timedelta(hours=gap) for contact in shown.contacts)
        on_channel = [contact.at for contact in shown.contacts if contact.channel == channel]
        for most, days in ((rules.per_day, 1), (rules.per_week, 7), (rules.per_month, 30)):
            assert not most or sum(at > now - timedelta(days=days) for at in on_channel) < most
        assert all(now - at >= timedelta(hours=rules.min_gap_hours) for at in on_channel)
        if channel in ADDRESSED:
            peace = timedelta(hours=policy.general.after_talk_hours)
            assert all(now - talk.at >= peace for talk in shown.talks)
            assert all(
                now - talk.at >= timedelta(hours=rules.after_call_hours)
                for talk in shown.talks
                if talk.channel == "call"
            )
        return
    assert isinstance(verdict, Deferred)
    assert verdict.until > now
    assert "." in verdict.rule
    assert verdict.reason
    assert check(shown, channel, verdict.until) == Allowed()


@given(
    now=MOMENTS,
    place=PLACES,
    channel=st.sampled_from(sorted(EVERYWHERE)),
    purpose=st.sampled_from(["dunning", "receipt"]),
    others=st.frozensets(st.sampled_from(sorted(EVERYWHERE.items()))),
    fact=st.sampled_from(["suppressed", "deleted", "do_not_contact"]),
)
def test_nobody_is_contacted_while_suppressed_deleted_or_left_alone(
    now: datetime,
    place: tuple[str, str],
    channel: str,
    purpose: str,
    others: frozenset[tuple[str, str]],
    fact: str,
) -> None:
    pair = (channel, normalise(channel, EVERYWHERE[channel], place[0]))
    fields = {"suppressed": others | {pair}} if fact == "suppressed" else {fact: True}
    shown = snapshot(
        country=place[0],
        zone=place[1],
        purpose=purpose,
        addresses=EVERYWHERE,
        granted=frozenset(EVERYWHERE.items()),
        **fields,
    )
    assert isinstance(check(shown, channel, now), Blocked)


def test_explanations_say_level_sentence_and_source() -> None:
    assert explain(snapshot(), "call", NOON).level == "ok"
    waiting = explain(snapshot(), "call", NOON + timedelta(hours=11))
    assert (waiting.level, waiting.rule, waiting.basis) == ("wait", "quiet_hours.it", "code")
    assert "UNIREC" in waiting.source
    stopped = explain(snapshot(bankrupt=True), "call", NOON)
    assert (stopped.level, stopped.rule) == ("stop", "customer.bankrupt")


@pytest.mark.parametrize(
    ("timezone", "country", "brand", "expected", "guess"),
    [
        ("Europe/Rome", "US", "UTC", "Europe/Rome", False),
        ("", "it", "UTC", "Europe/Rome", False),
        ("", "US", "UTC", "America/New_York", True),
        ("", "DE", "UTC", "Europe/Berlin", False),
        ("", "", "Europe/Paris", "Europe/Paris", False),
        ("", "XX", "Europe/Paris", "Europe/Paris", False),
        ("", "", "", "UTC", False),
    ],
)
def test_the_zone_is_the_customers_then_the_countrys_then_the_brands(
    timezone: str, country: str, brand: str, expected: str, guess: bool
) -> None:
    assert zone_name(timezone=timezone, country=country, brand_timezone=brand) == expected
    assert is_guess(timezone=timezone, country=country) is guess


def test_zones_with_the_same_clock_count_once() -> None:
    assert zones_of("US")[0] == "America/New_York"
    assert len(zones_of("US")) < 10
