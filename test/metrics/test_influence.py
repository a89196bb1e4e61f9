# Copyright 2026 The hasrd authors
# Apache-2.0
"""Intervals of entropies and the like: exact where that can be computed, and right in a simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.metrics.bootstrap import percentiles, resamples
from hasrd.metrics.codebook import entropy
from hasrd.metrics.influence import (
    delta_influences,
    entropies_left_out,
    interval,
    jackknife_influences,
)
from hasrd.metrics.phone_information import Frames, joint_counts, pnmi, pnmi_influences


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 6), max_size=8), min_size=1, max_size=6))
def test_leaving_out_is_leaving_out(utterances):
    owner = np.repeat(np.arange(len(utterances)), [len(own) for own in utterances])
    cells = np.array([cell for own in utterances for cell in own], dtype=int)
    left_out = entropies_left_out(cells, owner, len(utterances), 7)
    slow = [entropy(np.bincount(cells[owner != index], minlength=7)) for index in range(len(utterances))]
    assert left_out == pytest.approx(slow, abs=1e-9)


def test_of_a_mean_it_is_the_standard_error():
    values = np.random.default_rng(0).normal(size=50)
    left_out = (values.sum() - values) / 49
    low, high = interval(values.mean(), jackknife_influences(left_out))
    error = values.std(ddof=1) / np.sqrt(50)
    assert (high - low) / 2 == pytest.approx(1.959964 * error)
    # Of counts: the share of ones among ones and zeros.
    cells = (values > 0).astype(int)
    share = cells.mean()
    gradient = (np.array([0.0, 1.0]) - share) / 50
    low, high = interval(share, delta_influences(gradient, cells, np.arange(50), 50))
    assert (high - low) / 2 == pytest.approx(1.959964 * np.sqrt(share * (1 - share) / 49))


@given(
    st.floats(0, 1),
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5),
)
def test_an_interval_holds_its_value_and_keeps_its_bounds(value, influences):
    low, high = interval(value, np.array(influences), 0.0, 1.0)
    assert 0.0 <= low <= value <= high <= 1.0
    if len(influences) == 1:
        assert (low, high) == (value, value)


def draw(generator, pool, count):
    """A set of utterances: phones, codes and owner of its frames."""
    chosen = [pool[index] for index in generator.integers(len(pool), size=count)]
    owner = np.repeat(np.arange(count), [len(own) for own in chosen])
    frames = np.concatenate(chosen)
    return Frames(frames[:, 0], frames[:, 1], owner, PHONES, CODES, count)


PHONES, CODES = 8, 128


def test_coverage_where_the_percentile_bootstrap_has_none():
    generator = np.random.default_rng(1)
    likely = generator.dirichlet(np.full(CODES, 0.2), size=PHONES)
    pool = []
    for _ in range(300):
        # Each utterance has its own favourites, so that its frames depend on each other.
        phones = generator.choice(PHONES, p=generator.dirichlet(np.full(PHONES, 2.0)), size=30)
        own = np.stack([generator.dirichlet(100 * row + 1e-3) for row in likely])
        codes = [generator.choice(CODES, p=own[phone]) for phone in phones]
        pool.append(np.stack([phones, codes], 1))
    sets = [draw(generator, pool, 30) for _ in range(120)]
    bits = [entropy(np.bincount(one.codes)) for one in sets]
    information = [pnmi(one.joint) for one in sets]
    inside = np.zeros(3)
    for index, one in enumerate(sets):
        left_out = entropies_left_out(one.codes, one.owner, 30, CODES)
        low, high = interval(bits[index], jackknife_influences(left_out))
        inside[0] += low <= np.mean(bits) <= high
        low, high = interval(information[index], pnmi_influences(one))
        inside[1] += low <= np.mean(information) <= high
        if index < 20:
            weights = [np.bincount(row, minlength=30) for row in next(resamples(30, 60))]
            drawn = [
                pnmi(np.bincount(one.cells, own[one.owner], PHONES * CODES).reshape(PHONES, CODES)) for own in weights
            ]
            low, high = percentiles(np.array(drawn))
            inside[2] += low <= information[index]
    assert inside[0] >= 0.9 * 120 and inside[1] >= 0.9 * 120
    # Its lower bound lies above the value in most sets.
    assert inside[2] <= 5


def test_joint_counts():
    joint = joint_counts(np.array([0, 1, 1]), np.array([2, 0, 0]), 2, 3)
    assert joint.tolist() == [[0, 0, 1], [2, 0, 0]]
