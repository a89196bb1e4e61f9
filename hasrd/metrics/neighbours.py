# Copyright 2026 The hasrd authors
# Apache-2.0
"""How much of a label the nearest neighbours of a vector share: k-nearest-neighbour classification, leave one out.

Source: Cover and Hart, Nearest neighbor pattern classification (IEEE Trans. Inf. Theory 13, 1967). Neighbours are
Euclidean, and vectors of the same group (utterance) are none: the frames of one utterance are alike in any space.
"""

from __future__ import annotations

from typing import Sequence

import numpy as np

K = 10
SOURCE = f"majority of the {K} nearest (Euclidean) of other utterances, leave one out; ties: the first label in order"
# Distances held at a time.
_BLOCK = 20_000_000


def predicted_labels(vectors: np.ndarray, labels: Sequence[str], groups: Sequence[str], k: int = K) -> list[str | None]:
    """Return the label that most of the k nearest vectors of other groups have.

    Args:
        vectors: (N, D).
        labels: N labels.
        groups: N groups; vectors of one group never vote for each other.
        k: Neighbours that vote; fewer where there are not as many. Of vectors equally far away, the first in
            order vote, and of labels with equally many votes the first in sorted order wins.

    Returns:
        N labels; None where every vector is of one group.

    Raises:
        ValueError: Not as many labels and groups as vectors, or k below 1.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    if not len(vectors) == len(labels) == len(groups):
        raise ValueError(f"{len(vectors)} vectors, {len(labels)} labels and {len(groups)} groups")
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    names, label = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    _, group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    # Equal vectors are equally far from another, to the last bit: one column stands for all of them.
    unique, column = np.unique(vectors, axis=0, return_inverse=True)
    squares = np.square(unique).sum(1)
    found: list[str | None] = []
    rows = max(1, _BLOCK // max(len(vectors), 1))
    for start in range(0, len(vectors), rows):
        stop = min(start + rows, len(vectors))
        # The vector's own square is the same in all of its row.
        distance = (squares - 2 * vectors[start:stop] @ unique.T)[:, column.ravel()]
        distance[group[start:stop, None] == group] = np.inf
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :k]
        for row, indices in enumerate(nearest):
            indices = indices[np.isfinite(distance[row, indices])]
            votes = np.bincount(label[indices], minlength=len(names))
            found.append(str(names[votes.argmax()]) if len(indices) else None)
    return found


def chance(labels: Sequence[str]) -> float:
    """Return the accuracy of always answering the most frequent label."""
    return float(np.unique(np.asarray(labels, dtype=str), return_counts=True)[1].max() / len(labels))
