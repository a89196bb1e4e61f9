# Copyright 2026 The hasrd authors
# Apache-2.0
"""Bitrate of a tokenizer: frame rate x sum of log2(codebook size) (HASRD, section 4)."""

from __future__ import annotations

import math
from typing import Sequence

SOURCE = "frame rate x sum of log2(codebook size)"
# Of a codec with a level: one float32 an utterance, beside the tokens.
LOUDNESS_BITS = 32
LOUDNESS_NOTE = f"besides {LOUDNESS_BITS} bits an utterance, its loudness"


def bitrate(frame_rate: float, codebook_sizes: Sequence[int]) -> float:
    """Return bits a second of `frame_rate` tokens a second over codebooks of these sizes."""
    return frame_rate * sum(math.log2(size) for size in codebook_sizes)
