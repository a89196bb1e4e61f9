# Copyright 2026 The hasrd authors
# Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hasrd.metrics.bitrate import bitrate
from hasrd.metrics.codebook import entropy, perplexity
from hasrd.metrics.scoring.tokens import count_codes


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any))
def test_entropy_agrees_with_scipy(counts):
    counts = np.array(counts)
    assert entropy(counts) == pytest.approx(stats.entropy(counts, base=2), abs=1e-9)
    assert 1.0 <= perplexity(counts) <= (counts > 0).sum() * (1 + 1e-9)


def test_uniform_and_collapsed_codebooks():
    uniform = count_codes(np.arange(1024), 1024)
    assert entropy(uniform) == pytest.approx(10.0)
    collapsed = count_codes(np.zeros(99, int), 1024)
    assert (entropy(collapsed), perplexity(collapsed)) == (0.0, 1.0)
    assert entropy(np.zeros(4, int)) == 0.0


def test_codes_outside_the_codebook():
    for codes in ([0, 8], [-1, 0]):
        with pytest.raises(ValueError, match="not in a codebook of 8"):
            count_codes(np.array(codes), 8)


def test_bitrate_of_the_paper():
    assert bitrate(31.25, [1024] * 9) == 2812.5
    assert bitrate(31.25, [1024] * 10) == 3125.0
    assert bitrate(50, [1024] * 9) == 4500.0
