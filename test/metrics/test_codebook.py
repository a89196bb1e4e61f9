# Copyright 2026 The hasrd authors
# Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hasrd.metrics.bitrate import bitrate
from hasrd.metrics.codebook import count_codes, effective_bitrate, entropy, perplexity, usage
from hasrd.metrics.ctc_loss import loss_per_character
from hasrd.metrics.masked_accuracy import count_correct, most_frequent


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any))
def test_entropy_agrees_with_scipy(counts):
    counts = np.array(counts)
    assert entropy(counts) == pytest.approx(stats.entropy(counts, base=2), abs=1e-9)
    assert 1.0 <= perplexity(counts) <= (counts > 0).sum() * (1 + 1e-9)


def test_uniform_and_collapsed_codebooks():
    uniform = count_codes(np.arange(1024), 1024)
    assert usage(uniform) == 1.0
    assert entropy(uniform) == pytest.approx(10.0)
    # A full codebook carries its nominal bitrate: 31.25 Hz x 10 bit (HASRD).
    assert effective_bitrate(uniform, 31.25) == pytest.approx(bitrate(31.25, [1024])) == pytest.approx(312.5)
    collapsed = count_codes(np.zeros(99, int), 1024)
    assert (usage(collapsed), entropy(collapsed), perplexity(collapsed)) == (1 / 1024, 0.0, 1.0)
    assert entropy(np.zeros(4, int)) == 0.0


def test_codes_outside_the_codebook():
    for codes in ([0, 8], [-1, 0]):
        with pytest.raises(ValueError, match="not in a codebook of 8"):
            count_codes(np.array(codes), 8)


def test_bitrate_of_the_paper():
    assert bitrate(31.25, [1024] * 9) == 2812.5
    assert bitrate(31.25, [1024] * 10) == 3125.0
    assert bitrate(50, [1024] * 9) == 4500.0


def test_masked_accuracy_and_its_control():
    targets = [np.array([3, 3, 1]), np.array([3, 2])]
    assert most_frequent(targets) == 3
    assert count_correct(targets[0], np.array([3, 0, 1])) == 2
    assert count_correct(targets[0], 3) == 2
    assert most_frequent([np.array([5, 4])]) == 4


def test_ctc_loss_is_a_ratio_of_sums():
    assert loss_per_character([math.log(2) * 3, 0.0], [1, 2]) == pytest.approx(math.log(2))
    with pytest.raises(ValueError):
        loss_per_character([1.0], [0])
