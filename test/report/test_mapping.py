# Copyright 2026 The hasrd authors
# Apache-2.0
"""Maps of tokens: means over segments, balanced samples, and what cannot be laid out."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from hasrd.report.mapping import (
    SPEAKERS,
    Segment,
    balanced,
    neighbours,
    plane,
    segment_mean,
)


def test_segment_mean_at_the_ends():
    vectors = np.array([[0.0], [1.0], [4.0]])
    assert segment_mean(vectors, 0.0, 3.0, 1.0) == pytest.approx(5 / 3)
    assert segment_mean(vectors, 0.5, 1.5, 1.0) == pytest.approx(0.5)
    assert segment_mean(vectors, 1.2, 1.3, 1.0) == 1.0
    assert segment_mean(vectors, 3.4, 9.0, 1.0) == 4.0


def test_balanced_takes_as_many_of_each_as_there_are():
    def segments(speaker, phone, count):
        return [Segment(f"{speaker}-{i}", 0.1 * i, 0.1 * i + 0.1, phone, speaker) for i in range(count)]

    many = segments("a", "AA", 100) + segments("a", "ZH", 3) + segments("b", "AA", 50) + segments("b", "T", 50)
    drawn = balanced(many, 63)
    amounts = Counter(f"{s.speaker} {s.phone}" for s in drawn)
    assert amounts == {"a AA": 20, "a ZH": 3, "b AA": 20, "b T": 20}
    assert drawn == balanced(list(reversed(many)), 63) and len(balanced(many, 10**6)) == len(many)
    crowd = [s for i in range(SPEAKERS + 3) for s in segments(f"s{i}", "AA", 10 + i)]
    assert {s.speaker for s in balanced(crowd, 10**6)} == {f"s{i}" for i in range(3, SPEAKERS + 3)}
    # Of equally far neighbours the first vote: the order says nothing about the speaker.
    order = [s.speaker for s in balanced(crowd, 10**6)]
    assert order != sorted(order)


def test_one_speaker_alone_has_no_number():
    assert neighbours(np.eye(4), ["a"] * 4, list("uvwx")) is None


def test_a_collapsed_codebook_has_one_place():
    """Of vectors without any spread scikit-learn's t-SNE crashes the process."""
    vectors = np.full((40, 16), 0.1) * (1 + 1e-16 * np.arange(40)[:, None])
    assert plane(vectors) == [[0.0, 0.0]] * 40
