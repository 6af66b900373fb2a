"""The pace of calls to a processor, by a clock that moves only when somebody sleeps."""

import pytest

from billing.gateways import throttle
from billing.gateways.throttle import TokenBucket


class Clock:
    def __init__(self):
        self.now = 100.0
        self.slept = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(throttle, "time", clock)
    return clock


def test_a_burst_of_one_second_passes_and_then_the_rate_is_kept(clock):
    bucket = TokenBucket(25)
    assert [bucket.wait() for _ in range(25)] == [0.0] * 25
    began = clock.now
    for _ in range(50):
        bucket.wait()
    assert clock.now - began == pytest.approx(2.0)


def test_a_quiet_hour_saves_up_one_second_only(clock):
    bucket = TokenBucket(10)
    clock.now += 3600
    for _ in range(10):
        bucket.wait()
    assert clock.slept == []
    assert bucket.wait() == pytest.approx(0.1)


def test_who_comes_while_others_wait_waits_behind_them(clock, monkeypatch):
    bucket = TokenBucket(2)
    monkeypatch.setattr(clock, "sleep", lambda seconds: None)  # others sleep; this caller's clock stands still
    assert [bucket.wait() for _ in range(5)] == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.5])


def test_less_than_one_call_a_second_is_a_pace_too(clock):
    bucket = TokenBucket(0.5)
    assert bucket.wait() == 0.0
    assert bucket.wait() == pytest.approx(2.0)


def test_a_rate_of_nothing_lets_all_through(clock):
    bucket = TokenBucket(0)
    assert [bucket.wait() for _ in range(100)] == [0.0] * 100
    assert clock.slept == []
