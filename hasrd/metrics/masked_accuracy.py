# Copyright 2026 The hasrd authors
# Apache-2.0
"""Accuracy of masked prediction, beside that of always answering the test set's most frequent
target.

Source: BEST-RQ's pre-training task (Chiu et al., ICML 2022). The control is an oracle: it knows
which target is the most frequent on the masked positions of the set that it is scored on.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hasrd.data.archive import read_archives, read_integers
from hasrd.errors import UserError
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
        used = np.bincount(np.concatenate([array[:, 0] for array in reading.pairs.values()]))
        # The smallest one if there are several.
        answer = int(used.argmax())
        rows = {}
        for utt, array in reading.pairs.items():
            target, predicted = array.T
            rows[utt] = (int((target == predicted).sum()), int((target == answer).sum()), len(target))

        def ratio(above: str, below: str, scale: float) -> Result:
            return Result.of_ratio(("correct", "most_frequent", "masked"), rows, (above, below), scale)

        control, times = ratio("most_frequent", "masked", 100.0), ratio("correct", "most_frequent", 1.0)
        details = {
            "masked_tokens": int(used.sum()),
            "most_frequent": {"target": answer, "mean": control.mean, "ci95": list(control.ci95)},
            "times_most_frequent": {"mean": times.mean, "ci95": list(times.ci95)},
            "targets_used": int((used > 0).sum()),
            "target_perplexity": perplexity(used),
        }
        return replace(ratio("correct", "masked", 100.0), details=details)
