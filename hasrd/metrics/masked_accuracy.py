# Copyright 2026 The hasrd authors
# Apache-2.0
"""Accuracy of masked prediction, beside that of always answering the test set's most frequent
target.

Source: BEST-RQ's pre-training task (Chiu et al., ICML 2022). The control is an oracle: it knows
which target is the most frequent on the masked positions of the set that it is scored on.
"""

from __future__ import annotations

from typing import Sequence

import numpy as np

SOURCE = "share of the masked tokens whose target is predicted; control: the set's most frequent target for all"


def most_frequent(targets: Sequence[np.ndarray]) -> int:
    """Return the most frequent target of all utterances [(T,)]; the smallest one if there are
    several.
    """
    return int(np.bincount(np.concatenate(list(targets))).argmax())


def count_correct(targets: np.ndarray, predictions: np.ndarray | int) -> int:
    """Return how many of `targets` (T,) are predicted by `predictions` (T,), or by one answer for
    all.
    """
    return int((targets == predictions).sum())
