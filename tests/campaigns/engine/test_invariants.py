"""Random ladders, facts, guards and clocks: what holds whatever they are."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.engine.assessment import assess
from campaigns.engine.decide import decide
from campaigns.engine.ladder import check_steps
from campaigns.engine.standing import Debt, LiveCase, Occasion, Offer, PlanFact, PromiseFact, Standing
from campaigns.engine.types import Outcome, RunFact
from campaigns.guard.types import Allowed, Blocked, Deferred
from campaigns.models.case import CaseState
from campaigns.models.ladder import PRE_DUNNING, Trigger
from customers.errors import SollecitoError
from tests.campaigns.engine.snapshots import DAY, HOUR, START, case, guard, invoice, ladder, step

ZONES = ["Europe/Rome", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]
SENDABLE = {"email": "a@example.com", "sms": "+390612345678", "call": "+390612345678"}


@st.composite
def steps(draw, *, ahead=False):
    """Between one and six rungs that publishing accepts."""
    found = []
    hours = -24 * 30 if ahead else 0
    for position in range(1, draw(st.integers(1, 6)) + 1):
        hours += draw(st.integers(0, 24 * 9))
        if ahead and hours > 0:
            break
        in_days = draw(st.booleans())
        fields = {
            "offset_unit": "days" if in_days else "hours",
            "window_days": draw(st.sampled_from([(), (), (1, 2, 3, 4, 5), (6,)])),
            "business_days": draw(st.booleans()),
            "wait_for_retry_hours": draw(st.sampled_from([0, 0, 24, 72])),
            "fallback_channels": draw(st.sampled_from([(), ("sms",), ("sms", "call")])),
            "condition": draw(st.sampled_from([{}, {}, {"asks_for": "new_card"}, {"retries_left": False}])),
        }
        if not ahead:
            fields["anchor"] = draw(st.sampled_from(["case", "case", "previous", "month_end"]))
            action = draw(st.sampled_from(["message"] * 4 + ["call_task", "retry_now", "tag", "late_fee"]))
            fields |= {"action": action} | ({"params": {"tag": "x"}} if action == "tag" else {})
        offset = -(-hours // 24) if in_days else hours
        found.append(step(position, offset, **fields))
    return found or [step(1, -1 if ahead else 0)]


def accepted(rungs, trigger=""):
    try:
        check_steps(rungs, trigger=trigger)
    except SollecitoError:
        return False
    return True


invoices = st.builds(
    invoice,
    id=st.integers(1, 3),
    asks_for=st.sampled_from(["funds", "new_card", ""]),
    retry_at=st.none() | st.integers(0, 500).map(lambda hours: START + hours * HOUR),
    retry_probability=st.none() | st.floats(0, 1),
    retry_unplanned=st.booleans(),
    retry_in_flight=st.booleans(),
)
verdicts = st.one_of(
    st.just(Allowed()),
    st.builds(lambda hours, rule: Deferred(START + hours * HOUR, rule), st.integers(-50, 2000), st.just("quiet.x")),
    st.builds(
        Blocked, st.sampled_from(["address.missing", "address.suppressed", "customer.vulnerable", "case.paused"])
    ),
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_step_is_heard_at_most_once_per_round_whatever_the_clock_and_the_guard_do(data):
    """Invariants 2 and 6, played out: looks at random moments, notices that fail, guards that change their mind."""
    rungs = data.draw(steps().filter(accepted))
    spec = ladder(*rungs, end_after_hours=data.draw(st.integers(0, 100)), silent_hours=data.draw(st.integers(0, 48)))
    zone = data.draw(st.sampled_from(ZONES))
    snapshot = case(ladder=spec, zone=zone, guard=guard(zone=zone, addresses=SENDABLE))
    now, heard, positions = START, [], [0]
    for _look in range(25):
        now += data.draw(st.integers(0, 24 * 6)) * HOUR
        snapshot = snapshot._replace(invoices=tuple(data.draw(st.lists(invoices, min_size=1, max_size=2))))
        asked = []

        def check(facts, channel, at, asked=asked):
            verdict = data.draw(verdicts)
            asked.append((channel, verdict))
            return verdict

        decision = decide(snapshot, now, guard=check)
        assert decision.position >= snapshot.position
        for run in decision.runs:
            assert run.rule or run.decision == "done", "what is not done names its rule"
            assert run.scheduled_for <= now, "nothing is early"
        runs = dict(snapshot.runs)
        for run in decision.runs:
            runs[run.step.id] = RunFact(run.step.id, run.decision, now, run.rule)
        if decision.act is not None:
            rung = decision.act
            if rung.action == "message":
                # The guard's own word on this very channel, now, let it pass.
                assert (decision.channel, Allowed()) in asked
                before = snapshot.runs.get(rung.id) if decision.again else None
                tried = before.channels if before else ()
                assert decision.channel not in tried, "no channel twice"
                if decision.again:
                    assert before is not None
                    assert before.message_status in ("failed", "bounced")
                status = data.draw(st.sampled_from(["sent", "failed", "bounced", "queued", "ambiguous"]))
                if status in ("sent", "ambiguous"):
                    heard.append(rung.id)
                runs[rung.id] = RunFact(
                    rung.id, "done", now, message_status=status, channels=(*tried, decision.channel)
                )
            else:
                heard.append(rung.id)
        if decision.tasks and data.draw(st.booleans()):
            # A person has stepped in.
            runs = {pk: run._replace(task_status="done") for pk, run in runs.items()}
        assert len(heard) == len(set(heard)), "a step acts at most once"
        if decision.outcome is Outcome.ENDED:
            break
        snapshot = snapshot._replace(
            position=decision.position,
            anchor_at=decision.anchor_at,
            runs=runs,
            last_decided_at=now if decision.runs else snapshot.last_decided_at,
        )
        positions.append(decision.position)
    assert positions == sorted(positions)


@settings(max_examples=200, deadline=None)
@given(
    data=st.data(),
    state=st.sampled_from([state.value for state in CaseState if state != CaseState.OPEN]),
    fact=st.sampled_from(["promised", "in_plan", "disputed", "paid", "state"]),
    hours=st.integers(0, 24 * 60),
)
def test_nothing_is_done_for_a_case_that_rests_or_owes_nothing(data, state, fact, hours):
    """Invariant 4: the engine's half; the sender asks again (tests/campaigns/test_delivery.py)."""
    rungs = data.draw(steps().filter(accepted))
    snapshot = case(ladder=ladder(*rungs))
    if fact == "state":
        snapshot = snapshot._replace(state=state, guard=guard(case_state=state))
    elif fact == "paid":
        snapshot = snapshot._replace(invoices=())
    else:
        snapshot = snapshot._replace(guard=guard(**{fact: True}))
    decision = decide(snapshot, START + hours * HOUR, guard=lambda *_: Allowed())
    assert decision.act is None
    assert decision.runs == ()
    assert decision.end_actions == ()
    assert decision.state == snapshot.state


@settings(max_examples=150, deadline=None)
@given(data=st.data(), delay=st.integers(0, 24 * 40))
def test_the_guard_only_delays_or_forbids(data, delay):
    """Invariant 6: what acts with a guard acts without one too, at the same look."""
    rungs = data.draw(steps().filter(accepted))
    snapshot = case(ladder=ladder(*rungs), guard=guard(addresses=SENDABLE))
    now = START + delay * HOUR
    verdict = data.draw(verdicts)
    guarded = decide(snapshot, now, guard=lambda *_: verdict)
    free = decide(snapshot, now, guard=lambda *_: Allowed())
    if guarded.act is not None:
        assert free.act == guarded.act
    elif free.act is not None:
        assert guarded.outcome in (Outcome.DEFERRED, Outcome.BLOCKED)
        assert guarded.runs[-1].rule == verdict.rule
        assert guarded.next_action_at is not None
        assert guarded.next_action_at > now


moments = st.integers(-24 * 40, 24 * 40).map(lambda hours: START + hours * HOUR)
debts = st.builds(
    Debt,
    id=st.integers(1, 6),
    brand_id=st.just(1),
    trigger=st.sampled_from(["payment_failed", "invoice_overdue"]),
    since=st.integers(0, 24 * 40).map(lambda hours: START - hours * HOUR),
    status=st.sampled_from(["open", "open", "paid", "void"]),
    balance=st.sampled_from([0, 4900]),
    disputed=st.booleans(),
    in_plan=st.booleans(),
    finished=st.booleans(),
)
occasions = st.builds(
    Occasion,
    trigger=st.sampled_from(sorted(PRE_DUNNING)),
    at=moments,
    invoice_id=st.none() | st.integers(1, 6),
    payment_method_id=st.none() | st.integers(1, 2),
    finished=st.booleans(),
)


@st.composite
def standings(draw, offers):
    rows = {debt.id: debt for debt in draw(st.lists(debts, max_size=5))}
    inside = draw(st.sets(st.sampled_from(sorted(rows)), max_size=3)) if rows else set()
    live = None
    if draw(st.booleans()):
        offer = draw(st.sampled_from(offers))
        live = LiveCase(
            id=9,
            state=draw(st.sampled_from(["open", "paused", "promised", "in_plan", "disputed", "agency"])),
            ladder=offer.spec,
            anchor_at=draw(moments),
            round=draw(st.integers(1, 3)),
            position=draw(st.integers(0, len(offer.spec.steps))),
            rests_until=draw(st.none() | moments),
            members=tuple(rows[pk] for pk in sorted(inside)),
            trigger=offer.trigger,
        )
    loose = tuple(debt for pk, debt in rows.items() if live is None or live.ahead or pk not in inside)
    return Standing(
        customer_id=1,
        brand_id=1,
        zone=draw(st.sampled_from(ZONES)),
        excluded=draw(st.booleans()),
        case=live,
        loose=loose,
        promise=draw(
            st.none() | st.builds(PromiseFact, st.just(1), st.just(4900), moments, st.sampled_from([0, 4900]))
        ),
        plan=draw(
            st.none()
            | st.builds(PlanFact, st.just(1), st.just(100), st.sampled_from([0, 100]), st.just(frozenset(rows)))
        ),
        occasions=tuple(sorted(draw(st.lists(occasions, max_size=3)), key=lambda o: o.at)),
        override_id=draw(st.sampled_from([None, 1, 2])),
    )


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_a_customer_and_brand_never_has_two_live_cases(data):
    """Invariant 1, as the assessment decides it; the database holds it besides."""
    offers = [
        Offer(trigger.value, None, ladder(*data.draw(steps(ahead=trigger in PRE_DUNNING)), version_id=n), None, n)
        for n, trigger in enumerate(data.draw(st.lists(st.sampled_from(list(Trigger)), min_size=1, max_size=4)), 1)
    ]
    standing = data.draw(standings(offers))
    changes = assess(standing, offers, START)
    live = standing.case is not None
    for change in changes:
        if change.opening is not None:
            assert not live, "a case is opened beside a live one"
            assert change.joins or change.opening.trigger in PRE_DUNNING
            live = True
        elif change.fields is not None and change.fields.close_reason:
            assert live, "what is not open is closed"
            live = False
    assert sum(change.opening is not None for change in changes) <= 1
    if standing.excluded:
        assert not live
    # The same facts once more change nothing further.
    if standing.case is not None and not changes:
        assert assess(standing, offers, START + timedelta(0)) == ()


@settings(max_examples=100, deadline=None)
@given(data=st.data(), hours=st.integers(-24 * 40, 24 * 3))
def test_nothing_is_said_after_the_day_that_was_announced(data, hours):
    rungs = data.draw(steps(ahead=True).filter(lambda found: accepted(found, "card_expiring")))
    day = START + 10 * DAY
    snapshot = case(ladder=ladder(*rungs, end_actions=()), anchor_at=day, invoices=(), ahead=True, stands=True)
    now = day + hours * HOUR
    decision = decide(snapshot, now, guard=lambda *_: Allowed())
    assert decision.outcome is not Outcome.ENDED
    if now >= day:
        assert decision.act is None
    if decision.act is not None:
        assert decision.runs[-1].scheduled_for <= now
