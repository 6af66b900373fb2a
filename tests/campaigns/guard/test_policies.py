"""What each shipped policy says, by table: a change of a policy has to change its line here."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.guard.book import EEA, SHIPPED
from campaigns.guard.check import check
from campaigns.guard.explain import explain
from campaigns.guard.policy import shipped
from campaigns.guard.types import Allowed, Blocked, Contacted, Deferred, GuardSnapshot
from customers.addresses import normalise

ADDRESSES = {
    "email": "anna@example.com",
    "sms": "+393331234567",
    "whatsapp": "+393331234567",
    "call": "+393331234567",
    "letter": "Via Roma 1",
}
GRANTED = frozenset((name, normalise(name, address)) for name, address in ADDRESSES.items())
PLACES = {
    "AT": "Europe/Vienna",
    "AU": "Australia/Sydney", "CA": "America/Toronto", "DE": "Europe/Berlin", "ES": "Europe/Madrid",
    "FR": "Europe/Paris", "GB": "Europe/London", "IT": "Europe/Rome", "NL": "Europe/Amsterdam",
    "PL": "Europe/Warsaw", "US": "America/New_York", "JP": "Asia/Tokyo", "": "UTC",
}  # fmt: skip


def snapshot(country: str, **fields: object) -> GuardSnapshot:
    values: dict[str, object] = {
        "customer_id": 1,
        "kind": "consumer",
        "country": country,
        "zone": PLACES[country],
        "case_state": "open",
        "addresses": ADDRESSES,
        "granted": GRANTED,
    }
    return GuardSnapshot(**(values | fields))  # type: ignore[arg-type]


def local(country: str, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(PLACES[country])).astimezone(UTC)


# Week of Tuesday 10 March 2026. Each line: first and last open minute of a weekday, Saturday, Sunday ("" closed).
@pytest.mark.parametrize(
    ("country", "channel", "weekday", "saturday", "sunday"),
    [
        ("IT", "email", ("07:00", "21:59"), ("07:00", "21:59"), ("08:00", "21:59")),
        ("IT", "call", ("08:30", "20:59"), ("08:30", "14:59"), None),
        ("IT", "sms", ("08:30", "20:59"), ("08:30", "14:59"), None),
        ("IT", "whatsapp", ("08:30", "20:59"), ("08:30", "14:59"), None),
        ("FR", "call", ("10:00", "19:59"), None, None),
        ("FR", "sms", ("10:00", "19:59"), None, None),
        ("DE", "call", ("08:00", "19:59"), ("09:00", "13:59"), None),
        ("AT", "call", ("08:00", "19:59"), ("09:00", "13:59"), None),
        ("AT", "sms", ("08:00", "19:59"), ("09:00", "13:59"), None),
        ("DE", "email", ("07:00", "21:59"), ("07:00", "21:59"), ("08:00", "21:59")),
        ("ES", "call", ("09:00", "19:59"), None, None),
        ("PL", "call", ("08:00", "19:59"), ("09:00", "14:59"), None),
        ("NL", "call", ("09:00", "19:59"), ("10:00", "14:59"), None),
        ("NL", "sms", ("09:00", "19:59"), ("10:00", "14:59"), None),
        ("GB", "call", ("08:00", "19:59"), ("09:00", "16:59"), None),
        ("US", "call", ("08:00", "20:59"), ("08:00", "20:59"), ("08:00", "20:59")),
        ("US", "email", ("08:00", "20:59"), ("08:00", "20:59"), ("08:00", "20:59")),
        ("CA", "call", ("08:00", "19:59"), ("09:00", "16:59"), None),
        ("CA", "email", ("07:00", "20:59"), ("07:00", "20:59"), ("09:00", "20:59")),
        ("AU", "call", ("07:30", "20:59"), ("09:00", "20:59"), ("09:00", "20:59")),
        ("AU", "sms", ("07:30", "20:59"), ("09:00", "20:59"), ("09:00", "20:59")),
        ("JP", "call", ("09:00", "19:59"), ("10:00", "14:59"), None),
        ("", "sms", ("09:00", "19:59"), ("10:00", "14:59"), None),
    ],
)
def test_contact_hours(
    country: str,
    channel: str,
    weekday: tuple[str, str],
    saturday: tuple[str, str] | None,
    sunday: tuple[str, str] | None,
) -> None:
    shown = snapshot(country)
    for day, span in (("2026-03-10", weekday), ("2026-03-14", saturday), ("2026-03-15", sunday)):
        if span is None:
            for hour in range(24):
                assert isinstance(check(shown, channel, local(country, f"{day}T{hour:02d}:00")), Deferred)
            continue
        first, last = (local(country, f"{day}T{clock}") for clock in span)
        assert check(shown, channel, first) == check(shown, channel, last) == Allowed()
        for closed in (first - timedelta(minutes=1), last + timedelta(minutes=1)):
            assert isinstance(check(shown, channel, closed), Deferred)


@pytest.mark.parametrize(
    ("country", "day"),
    [
        ("IT", "2026-04-25"), ("FR", "2026-05-01"), ("DE", "2026-10-03"), ("ES", "2026-10-12"), ("PL", "2026-11-11"),
        ("GB", "2026-12-25"), ("CA", "2026-07-01"), ("AU", "2026-01-26"), ("NL", "2026-04-27"), ("JP", "2026-02-11"),
    ],
)  # fmt: skip
def test_nobody_is_rung_on_a_public_holiday(country: str, day: str) -> None:
    for channel in ("call", "sms", "whatsapp"):
        verdict = check(snapshot(country), channel, local(country, f"{day}T11:00"))
        assert isinstance(verdict, Deferred)
        assert verdict.rule.startswith("public_holiday.")


NOON = "2026-03-10T12:00"


@pytest.mark.parametrize(
    ("country", "channel", "collector", "days_ago", "rule"),
    [
        ("IT", "call", False, [1, 3, 6], "weekly_cap.it"),
        ("IT", "call", False, [1, 3, 7], ""),
        ("IT", "call", False, [0.9], "min_gap.it"),
        ("IT", "email", False, [1, 2, 3, 4, 5], "weekly_cap.default"),
        ("IT", "letter", False, [2.9], "min_gap.default"),
        ("IT", "letter", False, [3.5, 5], "weekly_cap.default"),
        ("DE", "sms", False, [1, 3, 6], "weekly_cap.de"),
        ("US", "call", False, [0.1, 1, 2, 3, 4, 5], ""),
        ("US", "call", False, [0.1, 1, 2, 3, 4, 5, 6.9], "weekly_cap.us"),
        ("US", "call", True, [0.1, 1, 2, 3, 4, 5, 6.9], "weekly_cap.us-collector"),
        ("US", "call", True, [0.1, 1, 2, 3, 4, 5, 7], ""),
        ("AU", "call", False, [1, 3, 6], "weekly_cap.au"),
        ("AU", "call", False, [1, 6, 8, 10, 12, 14, 16, 18, 20, 22], "monthly_cap.au"),
        ("AU", "call", False, [1, 6, 8, 10, 12, 14, 16, 18, 20], ""),
        ("CA", "sms", False, [1, 3, 6], "weekly_cap.ca"),
    ],
)
def test_frequency_caps(country: str, channel: str, collector: bool, days_ago: list[float], rule: str) -> None:
    now = local(country, NOON)
    made = tuple(Contacted(channel, now - timedelta(days=days)) for days in days_ago)
    verdict = check(snapshot(country, contacts=made, collector=collector), channel, now)
    assert getattr(verdict, "rule", "") == rule


def test_seven_contacts_a_week_are_the_most_whatever_the_channels() -> None:
    now = local("US", NOON)
    mixed = tuple(
        Contacted(channel, now - timedelta(hours=25 + number))
        for number, channel in enumerate(["email", "call", "call", "letter", "sms", "call", "call"])
    )
    verdict = check(snapshot("US", contacts=mixed), "email", now)
    assert isinstance(verdict, Deferred)
    assert verdict.rule == "weekly_cap.all.default"
    # A notice in the product and a webhook to the biller are no contacts.
    quiet = tuple(contact._replace(channel="in_app") for contact in mixed)
    assert check(snapshot("US", contacts=quiet), "email", now) == Allowed()
    assert check(snapshot("US", contacts=mixed), "webhook", now) == Allowed()


@pytest.mark.parametrize(
    ("country", "channel", "spoke", "hours_ago", "rule"),
    [
        ("IT", "email", "call", 47, "after_talk.default"),
        ("IT", "email", "call", 48, ""),
        ("IT", "sms", "email", 24, "after_talk.default"),
        ("IT", "in_app", "email", 1, ""),
        ("US", "call", "call", 167, "after_call.us"),
        ("US", "call", "call", 168, ""),
        ("US", "email", "call", 100, ""),
        ("US", "call", "email", 100, ""),
    ],
)
def test_peace_after_a_conversation(country: str, channel: str, spoke: str, hours_ago: int, rule: str) -> None:
    now = local(country, NOON)
    shown = snapshot(country, talks=(Contacted(spoke, now - timedelta(hours=hours_ago)),))
    verdict = check(shown, channel, now)
    assert getattr(verdict, "rule", "") == rule
    if isinstance(verdict, Deferred):
        assert check(shown, channel, verdict.until) == Allowed()


@pytest.mark.parametrize(
    ("country", "channel", "wants"),
    [
        *[(country, "whatsapp", "opt_in") for country in PLACES],
        *[(country, "email", "opt_out") for country in PLACES],
        *[(country, "sms", "opt_in" if country in ("JP", "") else "opt_out") for country in PLACES],
    ],
)
def test_consent(country: str, channel: str, wants: str) -> None:
    now = local(country, "2026-03-10T11:00")
    unasked = snapshot(country, granted=frozenset())
    verdict = check(unasked, channel, now)
    if wants == "opt_out":
        assert verdict == Allowed()
    else:
        assert isinstance(verdict, Blocked)
        assert verdict.rule == "consent.missing"
        assert explain(unasked, channel, now).source
        assert check(snapshot(country), channel, now) == Allowed()
    refused = snapshot(country, suppressed=frozenset({(channel, normalise(channel, ADDRESSES[channel]))}))
    verdict = check(refused, channel, now)
    assert isinstance(verdict, Blocked)
    assert verdict.rule == "address.suppressed"


def test_consent_of_one_number_is_not_that_of_another() -> None:
    other = snapshot("IT", granted=frozenset({("whatsapp", "+390000"), ("sms", "+393331234567")}))
    assert isinstance(check(other, "whatsapp", local("IT", NOON)), Blocked)


def test_who_collects_for_others_is_bound_by_regulation_f() -> None:
    now = local("US", NOON)
    day = now.date()
    own, others = (SHIPPED.on("US", day, collector=collector) for collector in (False, True))
    assert own.rules("call").basis == "house"
    assert others.rules("call").basis == "law"
    assert "1006.14(b)(2)(i)(A)" in others.rules("call").ground("per_week").source
    assert others.rules("email").texts == ("sender_name", "opt_out_notice", "collector_notice")
    assert own.rules("email").texts == ()
    # A guess at the zone is not enough for a collector's mail.
    morning = local("US", "2026-03-10T09:00")
    assert check(snapshot("US", zone_is_guess=True), "email", morning) == Allowed()
    assert isinstance(check(snapshot("US", zone_is_guess=True, collector=True), "email", morning), Deferred)
    # Elsewhere there are no rules of its own for collectors: the country's hold.
    assert SHIPPED.code_for("IT", collector=True) == "it"


def test_businesses_are_called_in_office_hours() -> None:
    evening = local("NL", "2026-03-10T19:00")
    assert check(snapshot("JP"), "call", local("JP", "2026-03-10T19:00")) == Allowed()
    assert isinstance(check(snapshot("JP", kind="business"), "call", local("JP", "2026-03-10T19:00")), Deferred)
    # A country's own hours are not widened or narrowed by the default's difference.
    assert check(snapshot("NL", kind="business"), "call", evening) == Allowed()
    at = local("US", "2026-03-14T12:00")
    assert check(snapshot("US", collector=True), "call", at) == Allowed()
    assert isinstance(check(snapshot("US", collector=True, kind="business"), "call", at), Deferred)


def test_members_of_the_eea_without_a_file_have_the_baseline() -> None:
    for code in EEA:
        assert SHIPPED.chain(SHIPPED.code_for(code))[-2:] == ["eu", "default"]
    assert SHIPPED.chain("us-collector") == ["us-collector", "us", "default"]
    assert [SHIPPED.code_for(code) for code in ("NL", "it", "CH", "", "EU")] == [
        "eu",
        "it",
        "default",
        "default",
        "default",
    ]


def test_every_base_exists() -> None:
    files = shipped()
    assert {"us", "us-collector", "eu", "it", "fr", "de", "es", "pl", "gb", "ca", "au", "default"} <= files.keys()
    assert all(file.extends in files for file in files.values() if file.code != "default")


@pytest.mark.parametrize(
    ("fields", "level", "rule", "basis", "says"),
    [
        ({}, "ok", "", "code", "UNIREC"),
        ({"contacts": (Contacted("call", local("IT", "2026-03-10T11:00")),)}, "wait", "min_gap.it", "code", "UNIREC"),
        ({"talks": (Contacted("email", local("IT", "2026-03-10T11:00")),)}, "wait", "after_talk.default", "house", ""),
        ({"bankrupt": True}, "stop", "customer.bankrupt", "", ""),
        (
            {"contacts": (Contacted("letter", local("IT", "2026-03-10T11:00")),), "min_gap_hours": 20},
            "wait", "min_gap.ladder", "house", "ladder",
        ),
    ],
)  # fmt: skip
def test_the_badge_names_the_rule_that_decided_and_what_it_rests_on(
    fields: dict[str, object], level: str, rule: str, basis: str, says: str
) -> None:
    told = explain(snapshot("IT", **fields), "call", local("IT", NOON))
    assert (told.level, told.rule, told.basis) == (level, rule, basis)
    assert says in told.source
    assert (told.until is not None) is (level == "wait")


@given(
    seconds=st.integers(0, 400 * 86_400),
    country=st.sampled_from(sorted(PLACES)),
    channel=st.sampled_from(sorted(ADDRESSES)),
    kind=st.sampled_from(["consumer", "business"]),
    collector=st.booleans(),
    step=st.timedeltas(timedelta(minutes=1), timedelta(hours=30)),
)
def test_who_asks_again_whenever_told_is_never_too_often_or_too_early(
    seconds: int, country: str, channel: str, kind: str, collector: bool, step: timedelta
) -> None:
    """Contacts a customer as often as the guard allows, for two months, and counts."""
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    shown = snapshot(country, kind=kind, collector=collector)
    rules = SHIPPED.policy_for(country, now, shown.zone, kind=kind, collector=collector).rules(channel)
    end, made, asked = now + timedelta(days=60), [], 0
    while now < end:
        asked += 1
        assert asked < 200, "it spins"
        recent = tuple(Contacted(channel, at) for at in reversed(made) if at > now - timedelta(days=31))
        verdict = check(shown._replace(contacts=recent), channel, now)
        if isinstance(verdict, Deferred):
            assert verdict.until > now
            now = verdict.until
            continue
        assert verdict == Allowed()
        assert rules.hours is None or rules.hours.is_open(now.astimezone(ZoneInfo(shown.zone)), country)
        made.append(now)
        now += step
    for most, days in ((rules.per_day, 1), (rules.per_week, 7), (rules.per_month, 30), (7, 7)):
        for at in made:
            assert not most or sum(at - timedelta(days=days) < other <= at for other in made) <= most
