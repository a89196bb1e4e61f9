# Copyright 2026 The hasrd authors
# Apache-2.0
"""Character and word error rate by minimum edit distance (jiwer), with the kinds of error.

The rate of a test set is the sum of its errors over the sum of its reference lengths (NIST
sclite's), not a mean of rates. A space counts as a character between words, as ESPnet's scoring
counts it; runs of spaces count once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

SOURCE = "minimum edit distance, sum of errors / sum of reference length (jiwer)"


@dataclass(frozen=True)
class Errors:
    """Errors of one utterance against its reference of `length` words or characters."""

    substitutions: int
    deletions: int
    insertions: int
    length: int

    @property
    def total(self) -> int:
        """All errors, each counted once."""
        return self.substitutions + self.deletions + self.insertions


def word_errors(reference: str, hypothesis: str) -> Errors:
    """Count the word errors of `hypothesis`; an empty text is a text of no words."""
    import jiwer

    return _errors(jiwer.process_words(_spaced(reference), _spaced(hypothesis)))


def character_errors(reference: str, hypothesis: str) -> Errors:
    """Count the character errors of `hypothesis`; an empty text is a text of no characters."""
    import jiwer

    return _errors(jiwer.process_characters(_spaced(reference), _spaced(hypothesis)))


def error_rate(errors: Sequence[Errors]) -> float:
    """Return the rate of a test set in percent; insertions can bring it above 100.

    Raises:
        ValueError: There is no reference word (or character) at all.
    """
    length = sum(error.length for error in errors)
    if length == 0:
        raise ValueError("every reference is empty")
    return 100.0 * sum(error.total for error in errors) / length


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _errors(output) -> Errors:
    length = output.hits + output.substitutions + output.deletions
    return Errors(output.substitutions, output.deletions, output.insertions, length)
