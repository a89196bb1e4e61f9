# Copyright 2026 The hasrd authors
# Apache-2.0
"""Whether two systems differ on a test set: the paired bootstrap over its utterances.

Both systems are resampled with the same draw of utterances, so that what makes an utterance hard for both cancels.
The interval is the percentile interval of the difference; p inverts it: twice the share of resamples on the far side
of zero, so that p < 0.05 where the 95% interval leaves zero out. Sources: Efron and Tibshirani, An Introduction to the
Bootstrap (1993), chapters 13 and 15; Koehn, Statistical Significance Tests for Machine Translation Evaluation (2004);
Bisani and Ney, Bootstrap Estimates for Confidence Intervals in ASR Performance Evaluation (2004) for error rates.
It covers the choice of utterances, not that of a training's seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from hasrd.metrics.bootstrap import SEED, percentiles, resamples

# More than for an interval: p cannot be smaller than 2 / (number + 1), and is multiplied by the number of comparisons.
RESAMPLES = 10000
METHOD = f"paired bootstrap over utterances, {RESAMPLES} resamples, seed {SEED}"
# Of fewer, the percentile interval is clearly too narrow.
MIN_UTTERANCES = 20


@dataclass(frozen=True)
class Paired:
    """Two statistics of the same `count` utterances; `difference` = second - first, its 95% interval, two-sided p."""

    first: float
    second: float
    difference: float
    ci95: tuple[float, float]
    p: float
    count: int


def paired_bootstrap(
    numerators: tuple[Sequence[float], Sequence[float]],
    denominators: tuple[Sequence[float], Sequence[float]] | None = None,
    scale: float = 1.0,
    number: int = RESAMPLES,
) -> Paired:
    """Compare two systems by scale * sum(numerators) / sum(denominators), one pair of numbers an utterance.

    Args:
        numerators: Of the first and the second system, each (n,), the utterances in the same order: values of which
            the mean is taken, or errors, whose denominators are drawn together with them.
        denominators: The same for reference lengths; 1 each if not given.

    Raises:
        ValueError: The denominators of a system are all zero, or the arrays differ in length.
    """
    above = np.asarray(numerators, dtype=np.float64)
    below = np.ones_like(above) if denominators is None else np.asarray(denominators, dtype=np.float64)
    if above.shape != below.shape or above.ndim != 2 or len(above) != 2:
        raise ValueError(f"numerators {above.shape} and denominators {below.shape} are not both (2, n)")
    if not (below.sum(1) > 0).all():
        raise ValueError("the denominators are all zero")
    differences = []
    for index in resamples(above.shape[1], number):
        sums, lengths = above[:, index].sum(-1), below[:, index].sum(-1)
        # A draw of nothing but empty references says nothing about the rate.
        use = (lengths > 0).all(0)
        first, second = sums[:, use] / lengths[:, use]
        differences.append(scale * (second - first))
    drawn = np.concatenate(differences)
    tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    first, second = (scale * above.sum(1) / below.sum(1)).tolist()
    p = min(1.0, 2 * (tail + 1) / (len(drawn) + 1))
    return Paired(first, second, second - first, percentiles(drawn), p, above.shape[1])


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number, in the same order (Holm, A Simple Sequentially Rejective Multiple
    Test Procedure, 1979).
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
