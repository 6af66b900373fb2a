"""Many lives in several processes: also where a Celery worker's child does it, and when one of them is killed."""

import os
import signal

import billiard
import pytest
from billiard.exceptions import WorkerLostError

from campaigns.simulator import run
from campaigns.simulator.run import simulate
from tests.campaigns.simulator.lives import DAY, START, bill, life, offers

LIVES = [life(bill(), key=number) for number in range(40)]


@pytest.fixture(autouse=True)
def few_are_worth_it(monkeypatch):
    monkeypatch.setattr(run, "WORTH_A_PROCESS", 1)
    monkeypatch.setattr(run, "CHUNK", 5)


def both(processes=2, **fields):
    return simulate(LIVES, offers(), start=START, until=START + 30 * DAY, processes=processes, **fields)


def _as_a_worker_s_child(answer):
    seen = []
    played = both(progress=lambda done, total: seen.append((done, total)))
    answer.send((billiard.current_process().daemon, played.events, seen))


def test_a_daemonic_worker_plays_in_two_processes_and_tells_how_far_it_is():
    ours, theirs = billiard.Pipe()
    worker = billiard.get_context("fork").Process(target=_as_a_worker_s_child, args=(theirs,), daemon=True)
    worker.start()
    assert ours.poll(60)
    daemon, events, seen = ours.recv()
    worker.join(30)
    assert daemon
    assert events == both(processes=1).events
    assert seen == [(done, 40) for done in range(5, 45, 5)]


def test_a_process_that_is_killed_is_told_of_instead_of_waited_for(monkeypatch):
    here = os.getpid()
    real = run.play

    def killed(one, *args, **fields):
        if one.key == 17 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(one, *args, **fields)

    monkeypatch.setattr(run, "play", killed)
    monkeypatch.setattr("billiard.pool.LOST_WORKER_TIMEOUT", 1.0)
    with pytest.raises(WorkerLostError, match="SIGKILL"):
        both()
