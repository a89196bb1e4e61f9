# Copyright 2026 The hasrd authors
# Apache-2.0
import numpy as np
import pytest
from scipy import stats

from hasrd.metrics.bootstrap import mean_interval, ratio_interval, resamples


def test_mean_interval_agrees_with_scipy():
    values = np.random.default_rng(3).exponential(size=80)
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20000, rng=1).confidence_interval
    assert mean_interval(values) == pytest.approx((expected.low, expected.high), abs=0.03)
    assert mean_interval(values) == mean_interval(values)


def test_mean_interval_covers():
    generator = np.random.default_rng(0)
    inside = 0
    for _ in range(100):
        low, high = mean_interval(generator.normal(2.0, 1.0, size=50))
        inside += low <= 2.0 <= high
    assert 86 <= inside <= 100


def test_ratio_interval_weighs_by_length():
    errors, lengths = np.array([10.0, 0, 0, 0]), np.array([10.0, 1000, 1000, 1000])
    low, high = ratio_interval(errors, lengths)
    assert 0 <= low <= 10 / 3010 <= high < 0.1
    same = ratio_interval(errors, np.ones(4))
    assert same == pytest.approx(mean_interval(errors))


def test_ratio_interval_with_empty_references():
    low, high = ratio_interval(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    assert (low, high) == (0.5, 0.5)
    with pytest.raises(ValueError, match="zero"):
        ratio_interval(np.ones(2), np.zeros(2))


def test_blocks_bound_the_memory():
    blocks = list(resamples(3_000_000, number=2))
    assert [block.shape for block in blocks] == [(1, 3_000_000)] * 2
