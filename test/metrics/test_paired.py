# Copyright 2026 The hasrd authors
# Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.metrics.bootstrap import ratio_interval
from hasrd.metrics.paired import holm, paired_bootstrap

REPEATS, UTTERANCES, DRAWS = 300, 100, 400


def rates(generator, factor=1.0):
    """Errors of two systems and lengths of 100 utterances, some of which are hard for both."""
    lengths = generator.integers(5, 40, UTTERANCES)
    hard = generator.beta(1, 4, UTTERANCES)
    first = generator.binomial(lengths, hard)
    second = generator.binomial(lengths, np.minimum(hard * factor, 1))
    return (first, second), (lengths, lengths)


def test_without_a_difference_p_is_uniform_and_the_interval_holds_zero():
    generator = np.random.default_rng(1)
    found = [paired_bootstrap(*rates(generator), scale=100.0, number=DRAWS) for _ in range(REPEATS)]
    p = np.array([each.p for each in found])
    covered = np.mean([each.ci95[0] <= 0 <= each.ci95[1] for each in found])
    # Of 300 repetitions, three standard errors on either side of 0.95 are 0.038.
    assert 0.91 <= covered <= 0.99
    for level in (0.05, 0.25, 0.5, 0.75):
        assert abs(np.mean(p <= level) - level) < 3.5 * np.sqrt(level * (1 - level) / REPEATS)


def test_a_large_difference_is_found_and_a_real_one_is_covered():
    generator = np.random.default_rng(2)
    found = [paired_bootstrap(*rates(generator, 1.5), scale=100.0, number=DRAWS) for _ in range(100)]
    # The true difference: hard is Beta(1, 4), whose 1.5-fold is cut off at 1.
    hard = np.random.default_rng(3).beta(1, 4, 1_000_000)
    truth = 100 * float(np.mean(np.minimum(1.5 * hard, 1) - hard))
    assert np.mean([each.ci95[0] <= truth <= each.ci95[1] for each in found]) > 0.87
    assert np.mean([each.p < 0.05 for each in found]) > 0.95


def test_pairing_makes_the_interval_narrower():
    generator = np.random.default_rng(4)
    above, below = rates(generator, 1.3)
    low, high = paired_bootstrap(above, below).ci95
    widths = [np.subtract(*ratio_interval(each, length)[::-1]) for each, length in zip(above, below)]
    assert high - low < 0.7 * np.hypot(*widths)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30))
def test_swapping_the_systems_turns_the_sign(rows):
    first, second, lengths = np.array(rows).T
    if not lengths.any():
        with pytest.raises(ValueError, match="zero"):
            paired_bootstrap((first, second), (lengths, lengths), number=50)
        return
    one = paired_bootstrap((first, second), (lengths, lengths), number=50)
    other = paired_bootstrap((second, first), (lengths, lengths), number=50)
    assert one.difference == pytest.approx(-other.difference) and one.p == other.p
    assert one.ci95 == pytest.approx((-other.ci95[1], -other.ci95[0]))
    assert 0 < one.p <= 1 and np.isfinite([*one.ci95, one.difference]).all()
    same = paired_bootstrap((first, first), (lengths, lengths), number=50)
    assert same.p == 1 and same.difference == 0 and same.ci95 == (0, 0)


def test_means_are_rates_over_one_each():
    first, second = np.random.default_rng(5).normal(size=(2, 30))
    found = paired_bootstrap((first, second), number=200)
    assert found.difference == pytest.approx(np.mean(second - first))
    drawn = np.random.default_rng(0).integers(30, size=(200, 30))
    assert found.ci95 == pytest.approx(tuple(np.percentile((second - first)[drawn].mean(1), [2.5, 97.5])))
    with pytest.raises(ValueError, match="not both"):
        paired_bootstrap((first, second), (np.ones(29), np.ones(29)))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([0.02]) == [0.02] and holm([]) == []
