# Copyright 2026 The hasrd authors
# Apache-2.0
"""Bootstrap intervals over utterances.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentile).
Utterances are drawn with replacement, because they, not frames or words, are independent of each
other. For means and ratios of sums; hasrd.metrics.influence has those of entropies and the like.
"""

from __future__ import annotations

from typing import Iterator

import numpy as np

RESAMPLES = 2000
SEED = 0
LEVEL = 0.95
METHOD = f"percentile bootstrap over utterances, {RESAMPLES} resamples, seed {SEED}"
# Indices held at a time: bounds the memory, whatever the size of the test set.
_BLOCK = 2_000_000


def resamples(count: int, number: int = RESAMPLES) -> Iterator[np.ndarray]:
    """Yield blocks (R, count) of indices drawn with replacement; the same draw for every measure of
    one test set.
    """
    generator = np.random.default_rng(SEED)
    block = max(1, _BLOCK // max(count, 1))
    for start in range(0, number, block):
        yield generator.integers(count, size=(min(block, number - start), count))


def percentiles(statistics: np.ndarray) -> tuple[float, float]:
    """Return the bounds of the 95% of `statistics` (R,) in the middle."""
    tail = 50.0 * (1.0 - LEVEL)
    low, high = np.percentile(statistics, [tail, 100.0 - tail])
    return float(low), float(high)


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval of the mean of `values` (n,), one value an utterance."""
    values = np.asarray(values, dtype=np.float64)
    return percentiles(np.concatenate([values[index].mean(1) for index in resamples(len(values))]))


def ratio_interval(numerators: np.ndarray, denominators: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval of sum(numerators) / sum(denominators), each (n,), one pair an
    utterance.

    Raises:
        ValueError: The denominators are all zero.
    """
    numerators = np.asarray(numerators, dtype=np.float64)
    denominators = np.asarray(denominators, dtype=np.float64)
    if not denominators.sum() > 0:
        raise ValueError("the denominators are all zero")
    ratios = []
    for index in resamples(len(numerators)):
        below = denominators[index].sum(1)
        # A draw of nothing but empty references says nothing about the rate.
        ratios.append(numerators[index].sum(1)[below > 0] / below[below > 0])
    return percentiles(np.concatenate(ratios))
