"""Planning one retry: the rules by category, what binds every strategy, and the calendar's odd days."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.retries import STRATEGIES, limits
from billing.retries.declines import TABLE, AsksFor, Category, classify
from billing.retries.localtime import at_local, first_at_hour, in_words, last_business_day, payday, zone
from billing.retries.planner import MAX_JITTER_SECONDS, plan_next
from billing.retries.strategies import FixedStrategy, RuleStrategy
from billing.retries.types import PastAttempt, PlannedRetry, RetryContext, Stop

ROME = ZoneInfo("Europe/Rome")
FAILED = datetime(2026, 11, 4, 13, 37, tzinfo=UTC)  # a Wednesday


def make_context(**overrides):
    values = {
        "invoice_id": "in_1",
        "failed_at": FAILED,
        "timezone": "Europe/Rome",
        "brand": "visa",
        "decline_code": "insufficient_funds",
    }
    return RetryContext(**{**values, **overrides})


def play(context, strategy="rules", history=(), **codes):
    """All retries of an invoice that is declined with the same codes each time, and the final stop."""
    codes = codes or {"decline_code": context.decline_code}
    attempts = [PastAttempt(at=context.failed_at, origin="first", **codes)]
    plans = []
    while True:
        plan = plan_next(context, attempts, history, attempts[-1].at + timedelta(seconds=9), strategy)
        if isinstance(plan, Stop):
            return plans, plan
        plans.append(plan)
        attempts.append(PastAttempt(at=plan.at, **codes))


def local(plan):
    return plan.at.astimezone(ROME)


def test_insufficient_funds_waits_for_paydays_early_in_the_morning():
    plans, stop = play(make_context())
    assert [local(plan).date() for plan in plans[:4]] == [
        date(2026, 11, 6),  # Friday
        date(2026, 11, 9),
        date(2026, 11, 13),  # the Friday before Sunday the 15th
        date(2026, 11, 16),
    ]
    assert all(6 <= local(plan).hour < 9 for plan in plans)
    assert plans[2].rule == "rules.payday"
    assert plans[0].explanation == (
        f"Friday {local(plans[0]):%H:%M} in Rome: payday pattern (Friday), insufficient funds, 8 tries left."
    )
    assert stop.rule == "count.spent"
    assert stop.asks_for is AsksFor.FUNDS
    gaps = [later.at - earlier.at for earlier, later in zip(plans, plans[1:], strict=False)]
    assert min(gaps) >= timedelta(hours=24)


@pytest.mark.parametrize("code", ["do_not_honor", "try_again_later", "brand_new_code"])
def test_a_refusal_without_reason_is_tried_on_days_1_3_5_7_at_changing_hours(code):
    plans, stop = play(make_context(decline_code=code))
    days = [(local(plan).date() - FAILED.astimezone(ROME).date()).days for plan in plans]
    assert days[:4] == [1, 3, 5, 7]
    assert len(plans) == 8
    assert days[-1] <= 21
    assert all(local(plan).minute * 60 + local(plan).second <= MAX_JITTER_SECONDS for plan in plans)
    hours = [local(plan).hour for plan in plans]
    assert max(hours.count(hour) for hour in hours) <= 2
    assert stop.rule == "count.spent"


def test_an_hour_that_failed_twice_is_not_tried_again():
    # The first retry of the rule would run at the first free hour after the day's wait; all afternoon ones failed.
    failed = at_local(date(2026, 11, 4), 6, ROME)
    tried = [
        PastAttempt(at=at_local(date(2026, 11, day), hour, ROME), decline_code="do_not_honor", origin="customer")
        for day in (4, 5)
        for hour in (10, 14, 9, 18)
    ]
    context = make_context(failed_at=failed, decline_code="do_not_honor")
    plan = plan_next(context, [context.first_decline, *tried], [], tried[-1].at + timedelta(minutes=1))
    assert local(plan).hour not in {10, 14, 9, 18}


def test_another_invoices_final_code_and_waits_bind_the_same_card():
    context = make_context(brand="mastercard")
    now = FAILED + timedelta(minutes=1)
    final = PastAttempt(at=FAILED - timedelta(days=5), decline_code="insufficient_funds", network_advice_code="21")
    stop = plan_next(context, [], [], now, card_declines=[final])
    assert stop.rule == "decline.revocation"
    slow = PastAttempt(at=FAILED - timedelta(days=1), decline_code="insufficient_funds", network_advice_code="30")
    plan = plan_next(context, [], [slow.at], now, card_declines=[slow])
    assert plan.at >= slow.at + timedelta(days=10)
    # It is not this invoice's: it neither uses up a retry nor sets the category.
    asked = PastAttempt(at=FAILED - timedelta(days=1), decline_code="authentication_required")
    assert isinstance(plan_next(context, [], [], now, card_declines=[asked]), PlannedRetry)


def test_an_outage_is_tried_after_hours_then_daily():
    plans, _stop = play(make_context(decline_code="processing_error"))
    first_gap = plans[0].at - FAILED
    assert timedelta(hours=2) <= first_gap <= timedelta(hours=6, seconds=MAX_JITTER_SECONDS)
    days = [(later.at.date() - earlier.at.date()).days for earlier, later in zip(plans[:4], plans[1:4], strict=False)]
    assert days == [1, 1, 1]


def test_a_card_limit_waits_a_day_at_least():
    plans, _stop = play(make_context(decline_code="card_velocity_exceeded"))
    moments = [FAILED] + [plan.at for plan in plans]
    assert all(later - earlier >= timedelta(hours=24) for earlier, later in zip(moments, moments[1:], strict=False))
    assert len(plans) == 8


@pytest.mark.parametrize(
    ("code", "asks_for"),
    [
        ("expired_card", AsksFor.NEW_CARD),
        ("lost_card", AsksFor.NEW_CARD),
        ("fraudulent", AsksFor.NEW_CARD),
        ("incorrect_cvc", AsksFor.NEW_CARD),
        ("account_closed", AsksFor.NEW_CARD),
        ("revocation_of_authorization", AsksFor.NEW_CARD),
        ("card_not_supported", AsksFor.NEW_CARD),
        ("do_not_try_again", AsksFor.NEW_CARD),
        ("authentication_required", AsksFor.AUTHENTICATE),
    ],
)
@pytest.mark.parametrize("strategy", ["rules", "fixed"])
def test_final_codes_stop_at_once_and_say_what_would_help(code, asks_for, strategy):
    plans, stop = play(make_context(decline_code=code), strategy)
    assert plans == []
    assert stop.asks_for is asks_for
    assert code in stop.reason
    assert stop.rule == f"decline.{stop.category}"


def test_a_hard_code_is_never_forgotten():
    context = make_context()
    soft = PastAttempt(at=FAILED + timedelta(days=2), decline_code="insufficient_funds")
    hard = PastAttempt(at=FAILED, decline_code="do_not_honor", network_advice_code="03")
    now = FAILED + timedelta(days=2, seconds=5)
    assert isinstance(plan_next(context, [hard, soft], [], now), Stop)


def test_a_new_method_is_tried_at_once_and_the_old_cards_codes_do_not_bind_it():
    context = make_context(fingerprint="new")
    old = PastAttempt(at=FAILED, decline_code="expired_card", fingerprint="old")
    now = FAILED + timedelta(days=3)
    plan = plan_next(context, [old], [], now)
    assert plan.rule == "method.new"
    assert plan.at == now
    full = [now - timedelta(hours=hours) for hours in range(1, 16)]
    assert plan_next(context, [old], full, now).rule == "limit.visa-15-30d"


@pytest.mark.parametrize(
    ("mac", "wait"), [("26", timedelta(days=2)), ("30", timedelta(days=10)), ("02", timedelta(days=1))]
)
def test_mastercards_waits_are_kept_by_every_strategy(mac, wait):
    for strategy in STRATEGIES:
        context = make_context(brand="mastercard", network_advice_code=mac)
        plan = plan_next(context, [], [], FAILED + timedelta(seconds=1), strategy)
        if strategy == "fixed" and wait > timedelta(days=7):
            assert plan.rule == "schedule.over"
        else:
            assert plan.at >= FAILED + wait


def test_an_earlier_longer_wait_still_binds():
    context = make_context(brand="mastercard")
    attempts = [
        PastAttempt(at=FAILED, decline_code="insufficient_funds", network_advice_code="29"),
        PastAttempt(at=FAILED + timedelta(days=1), decline_code="insufficient_funds", origin="processor"),
    ]
    plan = plan_next(context, attempts, [], FAILED + timedelta(days=1, seconds=1))
    assert plan.at >= FAILED + timedelta(days=8)


def test_a_full_card_pushes_the_plan_to_where_its_window_opens():
    context = make_context()
    now = FAILED + timedelta(seconds=5)
    history = [now - timedelta(days=29, hours=hours) for hours in range(-240, -225)]
    free = plan_next(context, [], [], now)
    plan = plan_next(context, [], history, now)
    assert plan.at > free.at
    used = [*history, FAILED]
    assert limits.check(brand="visa", history=used, now=plan.at).allowed
    assert not limits.check(brand="visa", history=used, now=free.at).allowed
    blocked = plan_next(context, [], [now - timedelta(minutes=m) for m in range(1, 16)], now)
    assert blocked.rule == "limit.visa-15-30d"
    assert blocked.reason.startswith("Visa: 16 of 15 used in 30 days, the next not before ")
    assert blocked.asks_for is AsksFor.FUNDS


def test_ach_is_presented_three_times_in_all():
    plans, stop = play(make_context(brand="us_bank_account"), network_decline_code="R01")
    assert len(plans) == 2
    assert stop.rule == "limit.ach-3-180d"


@pytest.mark.parametrize("count", [1, 3, 8])
def test_the_count_is_of_retries_and_what_the_customer_tries_is_free(count):
    context = make_context(max_attempts=count)
    plans, stop = play(context)
    assert (len(plans), stop.rule) == (count, "count.spent")
    tried = [context.first_decline] + [
        PastAttempt(at=FAILED + timedelta(hours=n), decline_code="insufficient_funds", origin="customer")
        for n in range(1, 5)
    ]
    assert isinstance(plan_next(context, tried, [], FAILED + timedelta(hours=5)), PlannedRetry)


def test_the_window_ends_with_a_last_chance_then_stops():
    context = make_context(deadline=FAILED + timedelta(days=2))
    plan = plan_next(context, [], [], FAILED + timedelta(hours=45))
    assert plan.at <= context.ends_at
    assert plan.rule == "window.last_chance"
    assert plan_next(context, [], [], context.ends_at).rule == "window.closed"
    assert plan_next(make_context(deadline=FAILED + timedelta(hours=5)), [], [], FAILED).rule == "window.closed"


def test_paid_stops():
    paid = PastAttempt(at=FAILED + timedelta(days=1), approved=True)
    assert plan_next(make_context(), [paid], [], FAILED + timedelta(days=1)).rule == "attempt.approved"


def test_lack_of_funds_hidden_behind_do_not_honor_keeps_its_paydays():
    attempts = [
        PastAttempt(at=FAILED, decline_code="insufficient_funds"),
        PastAttempt(at=FAILED + timedelta(days=1), decline_code="do_not_honor"),
    ]
    plan = plan_next(make_context(), attempts, [], FAILED + timedelta(days=1, minutes=1))
    assert plan.rule in {"rules.payday", "rules.funds_even"}


def test_jitter_is_stable_and_differs_between_invoices():
    moments = {
        plan_next(make_context(invoice_id=f"in_{n}"), [], [], FAILED + timedelta(seconds=1)).at for n in range(40)
    }
    assert len(moments) > 20
    assert max(moments) - min(moments) <= timedelta(seconds=MAX_JITTER_SECONDS)


def test_the_fixed_schedule_skips_passed_days_and_ends():
    plans, stop = play(make_context(), "fixed")
    assert [(plan.at.date() - FAILED.date()).days for plan in plans] == [3, 5, 7]
    assert stop.rule == "schedule.over"
    assert {local(plan).hour for plan in plans} == {14}
    late = FixedStrategy((1, 4)).next_attempt(make_context(), [], FAILED + timedelta(days=2))
    assert (late.date() - FAILED.date()).days == 4
    with pytest.raises(ValueError, match="rising days"):
        FixedStrategy((3, 3))


def test_strategies_take_mappings_with_missing_fields_and_extra_ones():
    context = {"invoice_id": 7, "failed_at": FAILED, "country": None, "timezone": None, "unheard_of": 1}
    attempt = {"attempt_number": 0, "at": FAILED, "approved": False, "decline_code": "insufficient_funds"}
    for make in STRATEGIES.values():
        strategy = make()
        strategy.fit([attempt])
        assert strategy.next_attempt(context, [attempt], FAILED + timedelta(minutes=1)) > FAILED
        assert strategy.next_attempt({**context, "decline_code": "lost_card"}, [], FAILED) is None
    with pytest.raises(KeyError, match="failed_at"):
        RuleStrategy().next_attempt({}, [], FAILED)


def test_naive_moments_and_unknown_strategies_are_refused():
    naive = FAILED.replace(tzinfo=None)
    with pytest.raises(ValueError, match="aware"):
        plan_next(make_context(), [], [], naive)
    with pytest.raises(ValueError, match="aware"):
        PastAttempt(at=naive)
    with pytest.raises(KeyError):
        plan_next(make_context(), [], [], FAILED, "astrology")


def test_importable_without_django():
    code = "import sys, billing.retries.planner, billing.retries.strategies; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- the calendar ---


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 11, 30), (2, "the last business day of the month")),
        (date(2026, 10, 30), (2, "the last business day of the month")),  # the 31st is a Saturday
        (date(2026, 10, 31), None),
        (date(2024, 2, 29), (2, "the last business day of the month")),  # leap day
        (date(2024, 2, 28), None),
        (date(2026, 2, 27), (2, "the last business day of the month")),
        (date(2026, 12, 1), (2, "the 1st")),
        (date(2026, 11, 13), (2, "the Friday before the 15th")),
        (date(2026, 8, 14), (2, "the Friday before the 15th")),
        (date(2026, 11, 15), None),  # a Sunday
        (date(2026, 11, 20), (1, "Friday")),
        (date(2026, 11, 19), None),
    ],
)
def test_paydays(day, expected):
    assert payday(day) == expected


def test_last_business_day_of_a_leap_february():
    assert last_business_day(2028, 2) == date(2028, 2, 29)
    assert last_business_day(2027, 2) == date(2027, 2, 26)


@pytest.mark.parametrize(
    ("zone_name", "earliest", "hour", "expected"),
    [
        # Spring: 02:30 local does not exist in Rome on 29 March 2026; hour 2 is read as 03:00 local.
        (
            "Europe/Rome",
            datetime(2026, 3, 28, 23, 30, tzinfo=UTC),
            2,
            datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
        ),
        (
            "Europe/Rome",
            datetime(2026, 3, 28, 23, 30, tzinfo=UTC),
            6,
            datetime(2026, 3, 29, 4, 0, tzinfo=UTC),
        ),
        # Autumn: hour 2 comes twice on 25 October 2026; the first one counts, after it the next day's.
        (
            "Europe/Rome",
            datetime(2026, 10, 24, 23, 30, tzinfo=UTC),
            2,
            datetime(2026, 10, 25, 0, 0, tzinfo=UTC),
        ),
        (
            "Europe/Rome",
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            2,
            datetime(2026, 10, 26, 1, 0, tzinfo=UTC),
        ),
        (
            "America/New_York",
            datetime(2026, 11, 1, 4, 30, tzinfo=UTC),
            6,
            datetime(2026, 11, 1, 11, 0, tzinfo=UTC),
        ),
        # Across the date line, and the turn of the year.
        (
            "Pacific/Kiritimati",
            datetime(2026, 12, 31, 9, 0, tzinfo=UTC),
            6,
            datetime(2026, 12, 31, 16, 0, tzinfo=UTC),
        ),
        (
            "Asia/Kathmandu",
            datetime(2026, 1, 1, 0, 16, tzinfo=UTC),
            6,
            datetime(2026, 1, 2, 0, 15, tzinfo=UTC),
        ),
    ],
)
def test_local_hours_across_clock_changes(zone_name, earliest, hour, expected):
    assert first_at_hour(earliest, hour, zone(zone_name)) == expected


def test_a_payday_on_the_day_the_clocks_change_is_planned_at_the_new_time():
    # Egypt's clocks change on Friday 24 April 2026.
    failed = datetime(2026, 4, 21, 8, 0, tzinfo=UTC)
    plan = plan_next(make_context(failed_at=failed, timezone="Africa/Cairo"), [], [], failed + timedelta(seconds=1))
    assert plan.at.astimezone(ZoneInfo("Africa/Cairo")).hour == 6
    assert plan.at.date() == date(2026, 4, 24)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "Europe", "../etc/passwd", "UTC"])
def test_unknown_zones_are_utc(name):
    assert zone(name).key == "UTC"
    assert at_local(date(2026, 1, 1), 6, zone(name)) == datetime(2026, 1, 1, 6, tzinfo=UTC)


def test_moments_in_words():
    moment = datetime(2026, 11, 6, 5, 10, tzinfo=UTC)
    assert in_words(moment, "Europe/Rome", FAILED) == "Friday 06:10 in Rome"
    assert in_words(moment, "America/New_York", FAILED) == "Friday 00:10 in New York"
    assert in_words(moment + timedelta(days=7), "", FAILED) == "Friday 13 November 05:10 in UTC"


# --- what must hold for every input ---

CODES = st.fixed_dictionaries(
    {
        field: st.none() | st.sampled_from(sorted(code for f, code in TABLE if f == family)) | st.just("new")
        for field, family in (
            ("decline_code", "stripe"),
            ("network_decline_code", "network"),
            ("network_advice_code", "mac"),
            ("advice_code", "advice"),
        )
    }
)
SOFT = st.sampled_from(
    [
        {"decline_code": "insufficient_funds"},
        {"decline_code": "do_not_honor"},
        {"decline_code": "insufficient_funds", "network_advice_code": "26"},
        {"decline_code": "processing_error"},
        {"decline_code": "card_velocity_exceeded"},
        {},
    ]
)
ZONES = [
    "Europe/Rome",
    "America/Los_Angeles",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "nowhere",
]


@settings(max_examples=150, deadline=None)
@given(
    start=st.integers(0, 4 * 365 * 24 * 60).map(lambda m: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=m)),
    past=st.lists(st.tuples(st.integers(1, 60 * 24 * 6), CODES | SOFT | SOFT), max_size=6),
    first=SOFT,
    elsewhere=st.lists(st.integers(0, 60 * 24 * 45), max_size=40),
    wait=st.integers(0, 60 * 24 * 10),
    zone_name=st.sampled_from(ZONES),
    brand=st.sampled_from(["visa", "mastercard", "amex", "discover", "us_bank_account", ""]),
    window=st.integers(1, 40),
    most=st.integers(0, 12),
    strategy=st.sampled_from(sorted(STRATEGIES)),
)
def test_no_plan_breaks_a_rule(start, past, first, elsewhere, wait, zone_name, brand, window, most, strategy):
    context = RetryContext(
        "in_x", start, timezone=zone_name, brand=brand, window_days=window, max_attempts=most, **first
    )
    attempts = [context.first_decline]
    for minutes, codes in past:
        attempts.append(PastAttempt(at=attempts[-1].at + timedelta(minutes=minutes), **codes))
    now = attempts[-1].at + timedelta(minutes=wait)
    history = [now - timedelta(minutes=minutes) for minutes in elsewhere]

    plan = plan_next(context, attempts, history, now, strategy)

    assert plan == plan_next(context, attempts, history, now, strategy)
    verdicts = [attempt.verdict for attempt in attempts]
    if any(verdict.hard for verdict in verdicts) or not verdicts[-1].may_retry:
        assert isinstance(plan, Stop)
    if isinstance(plan, Stop):
        assert plan.reason.endswith(".")
        assert plan.rule
        return
    assert now < plan.at <= context.ends_at
    assert plan.at.utcoffset() == timedelta(0)
    assert len(attempts) - 1 < most
    assert all(plan.at >= attempt.at + attempt.verdict.retry.wait for attempt in attempts)
    own = [attempt.at for attempt in attempts]
    assert limits.check(brand=brand, history=sorted({*history, *own}), now=plan.at, invoice_history=own).allowed
    assert 0 < plan.probability < 1
    assert len(plan.reasons) == 3
    assert plan.explanation.endswith(".")


def test_every_retryable_code_gets_a_plan_and_every_other_a_stop():
    fields = {"stripe": "decline_code", "network": "network_decline_code", "mac": "network_advice_code"}
    for family, code in TABLE:
        codes = {fields.get(family, "advice_code"): code}
        plan = plan_next(make_context(**{"decline_code": None, **codes}), [], [], FAILED + timedelta(seconds=1))
        verdict = classify(**codes)
        assert isinstance(plan, PlannedRetry) is verdict.may_retry, (family, code, plan)
        if isinstance(plan, Stop):
            assert plan.category is verdict.category
            assert plan.category is not Category.UNKNOWN


def test_what_a_bank_wants_confirmed_is_not_charged_off_session_again():
    """The customer's own try met another obstacle: that does not take the bank's wish away."""
    asked = PastAttempt(at=FAILED, decline_code="authentication_required")
    tried = PastAttempt(at=FAILED + timedelta(hours=1), decline_code="insufficient_funds", origin="customer")
    plan = plan_next(make_context(), [asked, tried], [], FAILED + timedelta(days=2))
    assert isinstance(plan, Stop)
    assert plan.asks_for is AsksFor.AUTHENTICATE
    other = [replace(attempt, fingerprint="fp_old") for attempt in (asked, tried)]
    assert isinstance(
        plan_next(make_context(fingerprint="fp_new"), other, [], FAILED + timedelta(days=2)), PlannedRetry
    )
