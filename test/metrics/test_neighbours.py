# Copyright 2026 The hasrd authors
# Apache-2.0
import numpy as np
import pytest

from hasrd.metrics import neighbours
from hasrd.metrics.neighbours import chance, predicted_labels


@pytest.mark.parametrize("k", [1, 4, 10])
def test_equal_to_scikit_learn(k, monkeypatch):
    """Each utterance's vectors, classified by scikit-learn fitted on those of the others."""
    KNeighborsClassifier = pytest.importorskip("sklearn.neighbors").KNeighborsClassifier
    generator = np.random.default_rng(k)
    vectors = generator.standard_normal((90, 5)) * 10
    groups = np.array([f"u{i % 9}" for i in range(90)])
    labels = np.where(vectors[:, 0] + generator.standard_normal(90) > 0, "AA", np.where(vectors[:, 1] > 0, "T", "S"))
    expected = np.empty(90, dtype=object)
    for group in set(groups):
        own = groups == group
        model = KNeighborsClassifier(k, algorithm="brute").fit(vectors[~own], labels[~own])
        expected[own] = model.predict(vectors[own])
    assert predicted_labels(vectors, labels, groups, k) == expected.tolist()
    # In blocks of one row.
    monkeypatch.setattr(neighbours, "_BLOCK", 1)
    assert predicted_labels(vectors, labels, groups, k) == expected.tolist()


def test_vectors_of_one_utterance_are_no_neighbours():
    vectors = [[0.0], [0.1], [5.0], [5.1]]
    assert predicted_labels(vectors, list("aabb"), ["u", "u", "v", "v"], k=1) == ["b", "b", "a", "a"]
    assert predicted_labels(vectors, list("aabb"), ["u", "v", "u", "v"], k=1) == list("aabb")
    assert predicted_labels(vectors, list("aabb"), ["u"] * 4, k=1) == [None] * 4


def test_equal_vectors_vote_in_their_order_and_ties_go_to_the_first_label():
    """Many segments are one and the same centroid; rounding of their distances must not count."""
    for seed in range(3):
        vectors = np.tile(np.random.default_rng(seed).standard_normal(64) * 100, (203, 1))
        assert predicted_labels(vectors, ["z", *"b" * 202], list(map(str, range(203))), k=1) == ["b", *"z" * 202]
    vectors = vectors[:5]
    assert predicted_labels(vectors, list("zbbaa"), list("uvwxy"), k=4)[0] == "a"


def test_chance_and_bad_input():
    assert chance(list("aaab")) == 0.75
    with pytest.raises(ValueError, match="2 labels"):
        predicted_labels([[0.0]], list("ab"), ["u"])
    with pytest.raises(ValueError, match="at least 1"):
        predicted_labels([[0.0]], ["a"], ["u"], k=0)
