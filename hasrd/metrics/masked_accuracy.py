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

from hasrd.data.archive import read_archives, read_integers
from hasrd.errors import UserError
from hasrd.metrics.bootstrap import ratio_interval
from hasrd.metrics.codebook import perplexity
from hasrd.metrics.measure import Inputs, Measure, Reading, Result, content
from hasrd.metrics.scoring.tokens import shaped


class PredictionReading(Reading):
    """Target and prediction of each masked token (`masked`, archives of integers (T, 2)).

    Raises:
        UserError: No utterance, no masked token, or an array of another shape.
    """

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        self.pairs = shaped(inputs.masked, dict(read_archives(inputs.masked, read_integers)), 2)
        if not any(map(len, self.pairs.values())):
            raise UserError(f"{inputs.masked}: no masked token in it: was it made with masking?")
        self.read = {"the predictions": content({utt: array.tolist() for utt, array in self.pairs.items()})}


class MaskedAccuracy(Measure):
    """See the file."""

    name = "masked_accuracy"
    label = "Masked accuracy"
    unit = "%"
    source = "share of the masked tokens whose target is predicted; control: the set's most frequent target for all"
    inputs = ("masked",)
    taken_of = "training"
    reading = PredictionReading
    table = "masked"
    order = 90

    def compute(self, reading: PredictionReading, system: str) -> Result:
        pairs = reading.pairs
        targets = {utt: array[:, 0] for utt, array in pairs.items()}
        lengths = {utt: len(array) for utt, array in targets.items()}
        answer = most_frequent([targets[utt] for utt in sorted(targets)])
        correct = {utt: count_correct(targets[utt], pairs[utt][:, 1]) for utt in pairs}
        control = {utt: count_correct(targets[utt], answer) for utt in pairs}
        used = np.bincount(np.concatenate(list(targets.values())))
        order = sorted(pairs)
        below = [lengths[utt] for utt in order]
        low, high = ratio_interval([control[utt] for utt in order], below)
        times = ratio_interval([correct[utt] for utt in order], [control[utt] for utt in order])
        return Result.of_ratio(
            100.0 * sum(correct.values()) / sum(below),
            correct,
            lengths,
            ("correct", "most_frequent", "masked"),
            {utt: (correct[utt], control[utt], lengths[utt]) for utt in pairs},
            scale=100.0,
            masked_tokens=sum(below),
            most_frequent={
                "target": answer,
                "mean": 100.0 * sum(control.values()) / sum(below),
                "ci95": [100.0 * low, 100.0 * high],
            },
            times_most_frequent={
                "mean": sum(correct.values()) / sum(control.values()),
                "ci95": list(times),
            },
            targets_used=int((used > 0).sum()),
            target_perplexity=perplexity(used),
        )


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
