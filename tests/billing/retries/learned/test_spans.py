"""What a bank lets pass by the hour: spans of hours that are treated alike, found from few charges."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from billing.retries.learned.spans import CHANGES, SHARES, by_spans, spans

_COUNTS = arrays(np.float64, (3, 24), elements=st.floats(0, 1e5))
_FEW = arrays(np.float64, (2, 24), elements=st.integers(0, 9).map(float))


def _votes(share: np.ndarray, many: int) -> tuple[np.ndarray, np.ndarray]:
    """So many charges at each hour, of all banks and of one bank: those that passed, and those that did not."""
    passed = np.stack([share * many, share * many])
    return passed, many - passed


def test_where_a_bank_changes_its_mind_is_found_to_the_hour():
    share = np.where((np.arange(24) >= 9) & (np.arange(24) < 17), 0.9, 0.2)
    mean, unsure = by_spans(*_votes(share, 8), shared=0.3)
    assert np.abs(mean[1] - share).max() < 0.1
    # Where a span begins is less sure than what it lets pass.
    assert unsure[1][[8, 9, 16, 17]].min() > unsure[1][[0, 4, 12, 13]].max()


def test_hours_without_charges_are_learned_from_those_around_them():
    share = np.where(np.arange(24) < 12, 0.9, 0.2)
    passed, refused = _votes(share, 6)
    told = np.isin(np.arange(24) % 4, (0, 1))
    mean, _unsure = by_spans(passed * told, refused * told, shared=0.3)
    assert mean[1][:10].min() > 0.7
    assert mean[1][12:22].max() < 0.4


def test_a_bank_nobody_was_charged_at_is_like_all_banks():
    share = np.where(np.arange(24) < 12, 0.9, 0.2)
    passed, refused = _votes(share, 20)
    passed[1] = refused[1] = 0
    mean, unsure = by_spans(passed, refused, shared=2)
    assert mean[1][:12].mean() > mean[1][12:].mean() + 0.4
    assert (unsure[1] > unsure[0]).all()


def test_thousands_of_banks_are_each_told_as_if_alone_and_few_at_a_time():
    """Worked out all at once, their chances would take a quarter of a megabyte each."""
    rng = np.random.default_rng(3)
    refused, passed = rng.poisson(2, (2, 1001, 24)).astype(float)
    passed[2::2] = refused[2::2] = 0
    tracemalloc.start()
    mean, unsure = by_spans(passed, refused, shared=0.3)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 50e6
    for bank in (1, 2, 999):
        alone = by_spans(passed[[0, bank]], refused[[0, bank]], shared=0.3)
        assert mean[bank] == pytest.approx(alone[0][1])
        assert unsure[bank] == pytest.approx(alone[1][1])


def test_what_is_thought_usual_counts_where_nothing_is_known():
    nothing = np.zeros((1, 24))
    assert by_spans(nothing, nothing, shared=1)[0] == pytest.approx(0.5)
    assert by_spans(nothing, nothing, shared=1, often=0.9)[0].mean() > 0.9


def test_it_is_as_sure_as_it_is_right():
    """Days made by the very law that is assumed: the errors are as large as it says, and no larger on one side."""
    rng = np.random.default_rng(7)
    changes, drawn = rng.random((400, 24)) < CHANGES, rng.choice(SHARES, (400, 24))
    share, now = np.empty((400, 24)), drawn[:, 0]
    for hour in (*range(24), *range(24)):  # twice, so that it goes around the clock
        share[:, hour] = now = np.where(changes[:, hour], drawn[:, hour], now)
    whole = rng.integers(0, 5, share.shape).astype(float)
    passed = rng.binomial(whole.astype(int), share).astype(float)
    first = np.zeros((1, 24))
    mean, unsure = by_spans(np.concatenate([first, passed]), np.concatenate([first, whole - passed]), shared=0)
    error = (mean[1:] - share) / unsure[1:]
    assert abs(error.mean()) < 0.1
    assert 0.9 < error.std() < 1.1


@given(_FEW, _FEW, st.integers(0, 23))
def test_whatever_was_answered_before_one_more_charge_passes_or_does_not(passed, refused, hour):
    told = passed[..., None] * np.log(SHARES) + refused[..., None] * np.log(1 - SHARES)
    _chances, before = spans(told, often=0.3)
    either = []
    for share in (SHARES, 1 - SHARES):
        more = told.copy()
        more[:, hour] += np.log(share)
        either.append(np.exp(spans(more, often=0.3)[1] - before))
    assert sum(either) == pytest.approx(1)
    assert spans(np.zeros((1, 24, len(SHARES))))[1] == pytest.approx(0)


@given(_FEW, _FEW, st.integers(1, 23))
def test_no_hour_of_the_clock_is_special(passed, refused, hours):
    there = by_spans(passed, refused, shared=1)
    turned = by_spans(np.roll(passed, hours, 1), np.roll(refused, hours, 1), shared=1)
    for one, other in zip(there, turned, strict=True):
        assert np.roll(one, hours, 1) == pytest.approx(other, abs=1e-6)


@given(_COUNTS, _COUNTS)
def test_whatever_was_counted_shares_stay_shares(passed, refused):
    mean, unsure = by_spans(passed, refused, shared=1)
    assert ((mean > 0) & (mean < 1)).all()
    assert ((unsure >= 0) & (unsure < 0.5)).all()
