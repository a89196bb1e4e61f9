# Copyright 2026 The hasrd authors
# Apache-2.0
"""PNMI and purities against other computations, and the phone of a frame against a search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hasrd.metrics.phone_information import (
    Frames,
    cluster_purity,
    cluster_purity_influences,
    frame_labels,
    joint_counts,
    phone_purity,
    phone_purity_influences,
    pnmi,
    pnmi_influences,
)

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=2, max_size=40).filter(
    lambda pairs: len({phone for phone, _ in pairs}) > 1
)


def counts(pairs):
    return joint_counts(*np.array(pairs).T, 4, 6)


@settings(deadline=None, max_examples=30)
@given(PAIRS)
def test_pnmi_agrees_with_scikit_learn(pairs):
    metrics = pytest.importorskip("sklearn.metrics")
    phones, codes = np.array(pairs).T
    expected = metrics.mutual_info_score(phones, codes) / stats.entropy(np.bincount(phones))
    assert pnmi(counts(pairs)) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(PAIRS)
def test_purities_agree_with_their_definition(pairs):
    share = {pair: pairs.count(pair) / len(pairs) for pair in pairs}
    phones, codes = {phone for phone, _ in pairs}, {code for _, code in pairs}
    of_phone = sum(max(share.get((phone, code), 0) for phone in phones) for code in codes)
    of_code = sum(max(share.get((phone, code), 0) for code in codes) for phone in phones)
    assert phone_purity(counts(pairs)) == pytest.approx(of_phone)
    assert cluster_purity(counts(pairs)) == pytest.approx(of_code)


def test_perfect_and_useless_codes():
    generator = np.random.default_rng(0)
    phones = generator.integers(40, size=20000)
    perfect = joint_counts(phones, 7 * phones + 3, 40, 1024)
    assert pnmi(perfect) == phone_purity(perfect) == cluster_purity(perfect) == 1.0
    # Two codes a phone tell it still, but phones no longer tell the code.
    double = joint_counts(phones, 2 * phones + generator.integers(2, size=20000), 40, 1024)
    assert pnmi(double) == pytest.approx(1.0) and cluster_purity(double) < 0.55
    constant = joint_counts(phones, np.zeros(20000, int), 40, 1024)
    assert pnmi(constant) == 0.0 and cluster_purity(constant) == 1.0
    independent = joint_counts(phones, generator.integers(16, size=20000), 40, 16)
    assert pnmi(independent) < 0.01 and phone_purity(independent) < 0.05
    with pytest.raises(ValueError, match="two different phones"):
        pnmi(joint_counts(np.zeros(3, int), np.arange(3), 2, 3))


def test_more_codes_win_by_chance():
    # Why the same codes shuffled stand beside each value.
    generator = np.random.default_rng(0)
    phones = generator.integers(40, size=20000)
    values = [pnmi(joint_counts(phones, generator.integers(size, size=20000), 40, size)) for size in (16, 128, 1024)]
    assert values[0] < values[1] < values[2] and values[2] > 0.2


def slow_labels(segments, num_frames, rate, gap):
    found = []
    for frame in range(num_frames):
        centre = round((frame + 0.5) / rate, 6)
        if not segments or centre >= segments[-1][1]:
            break
        covering = [label for start, end, label in segments if start <= centre < end]
        found.append(covering[-1] if covering else gap)
    return found


@st.composite
def segments(draw, longest=400):
    found, now = [], 0
    for gap, length in draw(st.lists(st.tuples(st.integers(0, 60), st.integers(0, longest)), max_size=8)):
        # Steps of 1 ms: many boundaries lie on a centre (16, 48, 80 ms...).
        now += gap * draw(st.integers(0, 1))
        found.append((now / 1000, (now + length) / 1000, draw(st.integers(0, 3))))
        now += length
    return found


@settings(deadline=None)
@given(segments(), st.integers(0, 60), st.sampled_from([31.25, 50.0, 75.0, 12.5]))
def test_the_phone_at_the_centre(segments, num_frames, rate):
    starts, ends, labels = (np.array(column) for column in zip(*segments)) if segments else [
        np.zeros(0)
    ] * 3  # fmt: skip
    found = frame_labels(starts, ends, labels.astype(int), num_frames, rate, 9)
    assert found.tolist() == slow_labels(segments, num_frames, rate, 9)


def test_centres_at_31_hz():
    # Centres at 16, 48, 80, 112 and 144 ms; the phone that begins on a centre covers it.
    starts, ends = np.array([0.016, 0.08, 0.1]), np.array([0.048, 0.09, 0.14])
    assert frame_labels(starts, ends, np.array([1, 2, 3]), 9, 31.25, 0).tolist() == [1, 0, 2, 3]
    assert frame_labels(starts, ends, np.array([1, 2, 3]), 2, 31.25, 0).tolist() == [1, 0]


def made_frames(seed):
    generator = np.random.default_rng(seed)
    owner = np.repeat(np.arange(7), generator.integers(5, 40, size=7))
    phones = generator.integers(4, size=len(owner))
    codes = (2 * phones + generator.integers(5, size=len(owner))) % 6
    return Frames(phones, codes, owner, 4, 6, 7)


def test_influences_against_leaving_out_and_reweighting():
    for seed in range(5):
        frames = made_frames(seed)
        joint = frames.joint

        def weighted(weights, frames=frames):
            return np.bincount(frames.cells, weights[frames.owner], 24).reshape(4, 6)

        left_out = np.array([pnmi(weighted(np.arange(7) != index)) for index in range(7)])
        assert pnmi_influences(frames) == pytest.approx(6 / 7 * (left_out.mean() - left_out))
        for value, influences in (
            (phone_purity, phone_purity_influences),
            (cluster_purity, cluster_purity_influences),
        ):
            slopes = [(value(weighted(1 + 1e-6 * (np.arange(7) == index))) - value(joint)) / 1e-6 for index in range(7)]
            own = influences(frames)
            assert own.sum() == pytest.approx(0.0, abs=1e-12)
            # Where two phones tie, the slope is one-sided.
            if not ties(joint):
                assert own == pytest.approx(slopes, abs=1e-5)


def ties(joint):
    rows = [np.sort(row)[-2:] for row in (*joint, *joint.T)]
    return any(low == high for low, high in rows)


def test_leaving_out_the_only_other_phone():
    frames = Frames(np.array([0, 0, 1]), np.array([0, 0, 1]), np.array([0, 0, 1]), 2, 2, 2)
    assert np.isfinite(pnmi_influences(frames)).all()
