# Copyright 2026 The hasrd authors
# Apache-2.0
"""CTC loss of a probe: negative log likelihood of the transcripts in nats a character.

Source: Graves et al., ICML 2006. Summed over the test set before the division, as the error rates
are, so that an utterance weighs as much as its text is long.
"""

from __future__ import annotations

from typing import Sequence

SOURCE = "sum of the utterances' CTC losses (nats) / sum of their characters, spaces included"


def loss_per_character(losses: Sequence[float], characters: Sequence[int]) -> float:
    """Return sum(losses) / sum(characters), one of each an utterance.

    Raises:
        ValueError: There is no character at all.
    """
    if sum(characters) == 0:
        raise ValueError("every reference is empty")
    return sum(losses) / sum(characters)
