# Copyright 2026 The hasrd authors
# Apache-2.0
"""Character and word error rate by NIST sclite's alignment, with the kinds of error.

sclite aligns with a cost of 4 for a substitution and 3 for a deletion or an insertion, and takes the alignment of the
least cost, not the one with the fewest errors: three substitutions cost as much as two deletions and two insertions.
Costs and the choice among equal alignments are sclite's, so that substitutions, deletions, insertions and their sum are
the ones that it reports. Source: NIST Scoring Toolkit (SCTK) 2.10, sclite's manual and its alignment of texts without
alternatives, case-sensitive (`sclite -s`).

The rate of a test set is the sum of its errors over the sum of its reference lengths, not a mean of rates. A space
counts as a character between words, as ESPnet's scoring counts it; runs of spaces count once.
"""

from __future__ import annotations

from typing import Callable, ClassVar, NamedTuple, Sequence

import numpy as np

from hasrd.metrics.measure import Measure, Result
from hasrd.metrics.scoring.text import RecognisedReading, TextReading

SOURCE = "sclite's alignment (costs 4, 3, 3), sum of errors / sum of reference length"
SUBSTITUTION, DELETION, INSERTION = 4, 3, 3


class Errors(NamedTuple):
    """Errors of one utterance against its reference of `length` words or characters."""

    substitutions: int
    deletions: int
    insertions: int
    length: int

    @property
    def total(self) -> int:
        """All errors, each counted once."""
        return sum(self[:3])


def word_errors(reference: str, hypothesis: str) -> Errors:
    """Count the word errors of `hypothesis`; an empty text is a text of no words."""
    return count_errors(reference.split(), hypothesis.split())


def character_errors(reference: str, hypothesis: str) -> Errors:
    """Count the character errors of `hypothesis`; an empty text is a text of no characters."""
    return count_errors(" ".join(reference.split()), " ".join(hypothesis.split()))


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Errors:
    """Count the errors of one sequence of tokens against another, of lengths n and m; needs memory for n x m numbers.

    Ties are broken as sclite does, from the end: a match or substitution where it is among the cheapest, else an
    insertion, unless a deletion is cheaper.
    """
    if reference == hypothesis:
        return Errors(0, 0, 0, len(reference))
    ids = {token: number for number, token in enumerate(dict.fromkeys([*reference, *hypothesis]))}
    left = np.array([ids[token] for token in reference], dtype=np.int64)
    right = np.array([ids[token] for token in hypothesis], dtype=np.int64)
    costs = _costs(left, right)
    row, column = len(left), len(right)
    substitutions = deletions = insertions = 0
    while row and column:
        wrong = left[row - 1] != right[column - 1]
        diagonal = costs[row - 1, column - 1] + SUBSTITUTION * wrong
        deletion, insertion = costs[row - 1, column] + DELETION, costs[row, column - 1] + INSERTION
        if diagonal <= deletion and diagonal <= insertion:
            substitutions += int(wrong)
            row, column = row - 1, column - 1
        elif deletion < insertion:
            deletions += 1
            row -= 1
        else:
            insertions += 1
            column -= 1
    return Errors(substitutions, deletions + row, insertions + column, len(left))


def _costs(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Least cost (n + 1, m + 1) of aligning each beginning of `left` (n,) with each of `right` (m,)."""
    ramp = INSERTION * np.arange(len(right) + 1)
    costs = np.empty((len(left) + 1, len(right) + 1), dtype=np.int64)
    costs[0] = ramp
    for row, token in enumerate(left, start=1):
        above = costs[row - 1]
        costs[row, 0] = above[0] + DELETION
        costs[row, 1:] = np.minimum(above[:-1] + SUBSTITUTION * (right != token), above[1:] + DELETION)
        # Insertions run along the row: the least, over all earlier columns, of what stands there plus the way from it.
        costs[row] = np.minimum.accumulate(costs[row] - ramp) + ramp
    return costs


class ErrorRate(Measure):
    """A rate of errors in percent; insertions can bring it above 100.

    What both texts are goes into the table of utterances, so that a report can show it.
    """

    unit = "%"
    higher_is_better = False
    source = SOURCE
    inputs = ("ref", "hyp")
    taken_of = "probe"
    reading = TextReading
    table = "probes"
    settings = {"alignment": SOURCE}
    count: ClassVar[Callable[[str, str], Errors]]

    def compute(self, reading: TextReading, system: str) -> Result:
        references, hypotheses = reading.texts[system]
        errors = {utt: type(self).count(text, hypotheses[utt]) for utt, text in references.items()}
        *kinds, length = Errors._fields
        sums = dict(zip(Errors._fields, map(sum, zip(*errors.values()))))
        return Result.of_ratio(
            ("errors", length, *kinds, "ref", "hyp"),
            {
                utt: (error.total, error.length, *error[:3], references[utt], hypotheses[utt])
                for utt, error in errors.items()
            },
            ("errors", length),
            scale=100.0,
            **reading.facts_of.get(system, {}),
            **{kind: sums[kind] for kind in kinds},
            reference_length=sums[length],
            empty_references=sum(not text for text in references.values()),
            empty_hypotheses=sum(not text for text in hypotheses.values()),
        )


class CER(ErrorRate):
    """Character error rate of a probe's transcripts."""

    name = "cer"
    label = "CER"
    order = 10
    count = character_errors


class WER(ErrorRate):
    """Word error rate of a probe's transcripts."""

    name = "wer"
    label = "WER"
    order = 11
    count = word_errors


class RecogniserErrorRate(ErrorRate):
    """A rate of errors of what a recogniser understands of decoded speech."""

    packages = ("whisper-normalizer",)
    taken_of = "recognised"
    reading = RecognisedReading
    table = "recogniser"


class RecogniserCER(RecogniserErrorRate):
    """Its character error rate."""

    name = "recogniser_cer"
    label = "Recogniser's CER"
    order = 40
    count = character_errors


class RecogniserWER(RecogniserErrorRate):
    """Its word error rate."""

    name = "recogniser_wer"
    label = "Recogniser's WER"
    order = 41
    count = word_errors
