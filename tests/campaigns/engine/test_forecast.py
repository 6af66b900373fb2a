"""The forecast plays the same decisions forward, and says what moved them."""

from datetime import UTC, datetime, time

from campaigns.engine.forecast import forecast
from tests.campaigns.engine.snapshots import DAY, HOUR, START, case, guard, invoice, ladder, step


def acts(found):
    return [(round((item.at - START) / DAY, 2), item.step_key or item.kind) for item in found]


def test_every_step_and_the_end():
    assert acts(forecast(case(), START)) == [(0, "s1"), (3, "s2"), (7, "s3"), (10, "ends")]


def test_the_horizon_cuts_it_off():
    assert acts(forecast(case(), START, 5 * DAY)) == [(0, "s1"), (3, "s2")]


def test_a_planned_retry_moves_the_first_mail_and_is_named():
    patient = ladder(step(1, 0, wait_for_retry_hours=12), step(2, 3))
    found = forecast(case(ladder=patient, invoices=(invoice(retry_at=START + 2 * HOUR),)), START)
    assert found[0].at == START + 3 * HOUR
    assert found[0].scheduled_for == START
    assert "A retry is planned" in found[0].reason


def test_the_window_moves_a_step_into_the_customer_s_morning():
    office = ladder(step(1, 0), step(2, 4, window_days=(1, 2, 3, 4, 5), window_from=time(9), window_to=time(12)))
    found = forecast(case(ladder=office), START)  # day 4 is a Saturday
    assert found[1].at == datetime(2026, 3, 16, 8, tzinfo=UTC)
    assert found[1].local == "Mon 16 Mar 09:00 (Europe/Rome)"


def test_the_least_gap_between_messages_is_kept():
    close = ladder(step(1, 0), step(2, 1), min_gap_hours=40)
    found = forecast(case(ladder=close, guard=guard(min_gap_hours=40)), START)
    assert found[1].at - found[0].at >= 40 * HOUR
    assert found[1].reason


def test_what_is_forbidden_stops_it_at_the_person():
    found = forecast(case(guard=guard(addresses={})), START)
    assert [item.kind for item in found] == ["blocked"]


def test_a_pause_is_played_to_its_end_and_a_rest_without_date_not():
    paused = case(state="paused", position=1, rests_until=START + 20 * DAY)
    days = [day for day, _key in acts(forecast(paused, START + DAY))]
    assert days[0] == 20
    assert forecast(paused._replace(state="promised"), START) == []
