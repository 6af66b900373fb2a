"""Banks decide by card, amount and time, the same way every time."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunning_site.embedded.stripe_sandbox.cards import DECLINES, luhn_valid
from dunning_site.embedded.stripe_sandbox.issuers import BLOCKED, DAY, PROFILES, Ask, balance, decide, last_payday


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def ask(when: str | int = "2026-05-20T12:00:00", **more: object) -> Ask:
    now = at(when) if isinstance(when, str) else when
    given_ = {"fingerprint": "f", "amount": 2000, "currency": "eur", "now": now, "exp_year": 2040, "exp_month": 12}
    return Ask(**{**given_, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("profile", "options", "more", "expected"),
    [
        ("always_ok", {}, {}, None),
        ("always_ok", {}, {"exp_year": 2026, "exp_month": 4}, "expired_card"),
        ("always_ok", {}, {"exp_year": 2026, "exp_month": 5}, None),
        ("ignores_expiry", {}, {"exp_year": 2020}, None),
        ("decline", {"code": "lost_card"}, {}, "lost_card"),
        ("decline_charges", {}, {"setup": True}, None),
        ("decline_charges", {}, {}, "generic_decline"),
        ("hard", {"code": "stolen_card"}, {}, "stolen_card"),
        ("hard", {"code": "stolen_card", "from": str(at("2026-06-01"))}, {}, None),
        ("hard", {"code": "stolen_card", "until": str(at("2026-05-20"))}, {}, None),
        ("velocity", {"limit": "2"}, {"tries": (at("2026-05-20T11:00"),)}, None),
        ("velocity", {"limit": "1"}, {"tries": (at("2026-05-20T11:00"),)}, "card_velocity_exceeded"),
        ("velocity", {"limit": "1"}, {"tries": (at("2026-05-19T11:00"),)}, None),
        ("velocity", {"then": "decline", "code": "do_not_honor"}, {}, "do_not_honor"),
        ("technical", {"hours": "11-13"}, {}, "processing_error"),
        ("technical", {"hours": "13-15"}, {}, None),
        ("nsf_until_day", {"day": "25"}, {}, "insufficient_funds"),
        ("nsf_until_day", {"day": "15"}, {}, None),
        ("payday", {"day": "15", "top_up": "9000", "daily": "1000"}, {}, None),
        ("payday", {"day": "15", "top_up": "9000", "daily": "1500"}, {}, "insufficient_funds"),
        ("payday", {"day": "15", "top_up": "9000", "daily": "1000"}, {"amount": 4001}, "insufficient_funds"),
        ("authentication", {}, {}, "authentication_required"),
        ("authentication", {}, {"authenticated": True}, None),
        ("authentication_once", {}, {"set_up": True}, None),
        ("authentication_nsf", {}, {"authenticated": True}, "insufficient_funds"),
        ("blocked", {}, {}, BLOCKED),
        ("expired", {}, {}, "expired_card"),
    ],
)
def test_profiles(profile: str, options: dict[str, str], more: dict[str, object], expected: str | None) -> None:
    assert decide(profile, ask(**more), options) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "options", "expected"),
    [
        ("2026-05-15T05:59:59", {"day": "15"}, "2026-04-15T06:00:00"),
        ("2026-05-15T06:00:00", {"day": "15"}, "2026-05-15T06:00:00"),
        ("2026-03-01T12:00:00", {"day": "31"}, "2026-02-28T06:00:00"),
        ("2026-01-10T12:00:00", {"day": "28"}, "2025-12-28T06:00:00"),
        ("2026-05-20T12:00:00", {"weekday": "4"}, "2026-05-15T06:00:00"),
        ("2026-05-22T05:00:00", {"weekday": "4"}, "2026-05-15T06:00:00"),
    ],
)
def test_paydays(now: str, options: dict[str, str], expected: str) -> None:
    assert last_payday(at(now), options, 1, "f") == at(expected)


def test_our_own_charges_are_spent_until_the_next_payday() -> None:
    options = {"day": "15", "top_up": "9000", "daily": "0"}
    spent = ((at("2026-05-16"), 8000), (at("2026-05-10"), 5000))
    assert balance(ask(spent=spent), options) == 1000
    assert balance(ask("2026-06-15T07:00:00", spent=spent), options) == 9000


@given(
    profile=st.sampled_from(sorted(PROFILES)),
    now=st.integers(at("2024-01-01"), at("2030-01-01")),
    amount=st.integers(0, 10**8),
    fingerprint=st.text(max_size=8),
    seed=st.integers(0, 9),
)
def test_answers_are_known_codes_and_never_change(
    profile: str, now: int, amount: int, fingerprint: str, seed: int
) -> None:
    question = ask(now, amount=amount, fingerprint=fingerprint, seed=seed)
    answer = decide(profile, question, {})
    assert answer is None or answer == BLOCKED or answer in DECLINES
    assert answer == decide(profile, question, {})


def test_waiting_for_payday_pays_off() -> None:
    """The point of it all: the same card that refuses today approves after its next payday."""
    answers = [
        decide("payday", ask(at("2026-05-01") + day * DAY, fingerprint="g", amount=20000), {}) for day in range(62)
    ]
    assert None in answers
    assert "insufficient_funds" in answers
    assert any(first and second is None for first, second in zip(answers, answers[1:], strict=False))


def test_check_digits() -> None:
    assert luhn_valid("4242424242424242")
    assert not luhn_valid("4242424242424241")
