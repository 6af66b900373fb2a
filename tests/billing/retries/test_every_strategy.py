"""What holds for every registered strategy, whatever it has learnt and whatever it is asked."""

import copy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.retries import STRATEGIES, limits
from billing.retries.declines import TABLE
from billing.retries.planner import plan_next
from billing.retries.types import PastAttempt, PlannedRetry, RetryContext, Stop

NAMES = sorted(STRATEGIES)
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)

moments = st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: EPOCH + timedelta(minutes=minutes))
codes = st.fixed_dictionaries(
    {
        field: st.none() | st.sampled_from(sorted(code for f, code in TABLE if f == family)) | st.just("of_next_year")
        for field, family in (
            ("decline_code", "stripe"),
            ("network_decline_code", "network"),
            ("advice_code", "advice"),
            ("network_advice_code", "mac"),
        )
    }
)
soft = st.sampled_from(["insufficient_funds", "do_not_honor", "processing_error", "card_velocity_exceeded"]).map(
    lambda code: {"decline_code": code}
)
about = {
    "invoice_id": st.sampled_from(["in_1", "in_2", "in_3"]),
    "customer_id": st.sampled_from(["cus_1", "cus_2"]) | st.none(),
    "country": st.sampled_from(["IT", "US", "IN", "", "??"]) | st.none(),
    "timezone": st.sampled_from(["Europe/Rome", "America/Los_Angeles", "Asia/Kathmandu", "nowhere", ""]) | st.none(),
    "brand": st.sampled_from(["visa", "mastercard", "amex", "sepa_debit", "moon_pay", ""]) | st.none(),
    "funding": st.sampled_from(["credit", "debit", "prepaid", ""]) | st.none(),
    "issuer": st.sampled_from(["bank 1", "bank 2", ""]) | st.none(),
    "amount": st.sampled_from([0, 1, 4900, 10**12]) | st.none(),
    "currency": st.sampled_from(["EUR", "JPY", "KWD", "", "XXX"]) | st.none(),
    "tenure_months": st.sampled_from([0, 0.5, 400]) | st.none(),
    "cross_border": st.booleans() | st.none(),
}


#: Values as files and tables of others hold them.
ODD = [
    {"at": "2024-05-01T10:00:00Z"},
    {"at": datetime(2024, 5, 1, 10)},  # noqa: DTZ001 (that it says no zone is the point)
    {"at": "some day"},
    {"at": 1714557600},
    {"amount": float("nan"), "tenure_months": float("nan"), "cross_border": float("nan")},
    {"network_decline_code": 51, "network_advice_code": 24.0, "decline_code": float("nan")},
    {"timezone": 5, "country": 39, "customer_id": 7, "approved": "false"},
]


@st.composite
def rows(draw):
    """A row of history as it may come: any field may be missing, or be one nobody knows."""
    row = draw(st.fixed_dictionaries(about | {"at": moments, "approved": st.booleans()}))
    row |= draw(codes | soft) | {"attempt_number": draw(st.integers(0, 9))}
    for name in draw(st.lists(st.sampled_from(sorted(row)), max_size=4)):
        row.pop(name, None)
    return row | draw(st.sampled_from([{}, {}, {}, {}, {"colour": "green"}, *ODD]))


@st.composite
def questions(draw):
    """A context, its attempts and the moment of asking, in the shapes that the documentation names."""
    failed = draw(moments)
    context = draw(st.fixed_dictionaries({}, optional=about)) | draw(soft)
    window = draw(st.integers(1, 40))
    context |= {"failed_at": failed, "window_days": window, "max_attempts": draw(st.integers(0, 12))}
    if draw(st.booleans()):
        context["deadline"] = failed + timedelta(days=window)
    attempts = [{"at": failed, "approved": False, "attempt_number": 0} | draw(codes | soft | soft)]
    for minutes in draw(st.lists(st.integers(1, 5 * 24 * 60), max_size=6)):
        attempts.append(
            {"at": attempts[-1]["at"] + timedelta(minutes=minutes), "approved": False} | draw(codes | soft)
        )
    return context, attempts, attempts[-1]["at"] + timedelta(minutes=draw(st.integers(0, 12 * 24 * 60)))


calm = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("name", NAMES)
@calm
@given(history=st.lists(rows(), max_size=25), question=questions())
def test_an_answer_keeps_every_rule_and_is_the_same_for_the_same_input(name, history, question):
    context, attempts, now = question
    kept = copy.deepcopy((history, question))
    first, second = STRATEGIES[name](), STRATEGIES[name]()
    first.fit(history)
    second.fit(history)
    answer = first.next_attempt(context, attempts, now)
    assert answer == second.next_attempt(context, attempts, now) == first.next_attempt(context, attempts, now)
    assert (history, question) == kept
    if hasattr(first, "next_attempts"):
        assert first.next_attempts([question, question]) == [answer, answer]
    past = [PastAttempt.from_mapping(attempt) for attempt in attempts]
    known = RetryContext.from_mapping(context)
    verdicts = [attempt.verdict for attempt in past]
    if any(verdict.hard for verdict in verdicts) or not verdicts[-1].may_retry:
        assert answer is None
    if answer is None:
        return
    assert now < answer <= known.ends_at
    assert len(past) - 1 < known.max_attempts
    assert all(answer >= attempt.at + attempt.verdict.retry.wait for attempt in past)
    made = [attempt.at for attempt in past]
    assert limits.check(brand=known.brand, history=made, now=answer, invoice_history=made).allowed


@pytest.mark.parametrize("name", NAMES)
@calm
@given(history=st.lists(rows(), max_size=15), news=st.lists(rows(), max_size=5), question=questions())
def test_what_has_nothing_to_do_with_it_breaks_nothing(name, history, news, question):
    context, attempts, now = question
    strategy = STRATEGIES[name]()
    strategy.fit([*history, {}, {"at": None}, {"colour": "green"}])
    for row in news if hasattr(strategy, "observe") else []:
        strategy.observe(context | {"colour": "green"}, row)
    answer = strategy.next_attempt(context | {"colour": "green"}, [a | {"weather": "rain"} for a in attempts], now)
    assert answer is None or now < answer


@pytest.mark.parametrize("name", NAMES)
@calm
@given(
    question=questions(),
    elsewhere=st.lists(st.integers(0, 60 * 24 * 30), max_size=45),
    coming=st.lists(st.integers(1, 60 * 24 * 30), max_size=15),
    waiting=st.lists(st.tuples(st.integers(0, 60 * 24 * 12), codes), max_size=3),
    pause=st.integers(0, 60 * 24 * 20),
)
def test_a_plan_keeps_what_binds_its_card_and_a_pause(name, question, elsewhere, coming, waiting, pause):
    """The ledger of the card: charges and declines of other invoices, those that are planned, and a hold."""
    context, attempts, now = question
    known, past = RetryContext.from_mapping(context), [PastAttempt.from_mapping(a) for a in attempts]
    # A hold is told to the planner as the moment of asking (billing.retries.loop).
    start = now + timedelta(minutes=pause)
    history = [start - timedelta(minutes=minutes) for minutes in elsewhere]
    planned = [start + timedelta(minutes=minutes) for minutes in coming]
    others = [PastAttempt(at=now - timedelta(minutes=minutes), **told) for minutes, told in waiting]
    told = {"card_declines": others, "card_planned": planned}
    plan = plan_next(known, past, history, start, name, **told)
    assert plan == plan_next(known, past, list(reversed(history)), start, name, **told)
    if any(attempt.verdict.hard for attempt in others):
        assert isinstance(plan, Stop)
    if isinstance(plan, Stop):
        assert plan.reason.endswith(".")
        return
    assert isinstance(plan, PlannedRetry)
    assert start < plan.at <= known.ends_at
    assert all(plan.at >= attempt.at + attempt.verdict.retry.wait for attempt in (*past, *others))
    made = [attempt.at for attempt in past]
    verdict = limits.check(
        brand=known.brand,
        history=sorted({*history, *made}),
        now=plan.at,
        invoice_history=made,
        coming=planned,
    )
    assert verdict.allowed
    assert plan.explanation.endswith(".")
    assert len(plan.reasons) == 3
    assert 0 < plan.probability < 1
