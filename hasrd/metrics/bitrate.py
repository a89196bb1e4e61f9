# Copyright 2026 The hasrd authors
# Apache-2.0
"""Bitrate of a tokenizer: frame rate x sum of log2(codebook size) (HASRD, section 4)."""

from __future__ import annotations

import math
from typing import Sequence

from hasrd.metrics.influence import JACKKNIFE
from hasrd.metrics.measure import Measure, Result
from hasrd.metrics.scoring.tokens import LOUDNESS_BITS, TOKENS, CodesReading

SOURCE = "frame rate x sum of log2(codebook size)"
LOUDNESS_NOTE = f"besides {LOUDNESS_BITS} bits an utterance, its loudness"


def bitrate(frame_rate: float, codebook_sizes: Sequence[int]) -> float:
    """Return bits a second of `frame_rate` tokens a second over codebooks of these sizes."""
    return frame_rate * sum(math.log2(size) for size in codebook_sizes)


class CodesMeasure(Measure):
    """A measure of tokens alone."""

    unit = "kbps"
    inputs = TOKENS
    taken_of = "tokens"
    reading = CodesReading
    settings = {"interval": JACKKNIFE}
    table = "codebooks"


class Bitrate(CodesMeasure):
    """See the file: of all streams, and of each."""

    name = "bitrate"
    label = "Bitrate"
    higher_is_better = False
    source = SOURCE
    order = 71

    def compute(self, reading: CodesReading, system: str) -> Result:
        sizes, names = reading.facts["codebook_sizes"], reading.facts["stream_names"]
        frame_rate = reading.facts["frame_rate"]
        rate = bitrate(frame_rate, sizes) / 1000
        streams = {
            name: bitrate(frame_rate, [size for size, other in zip(sizes, names) if other == name]) / 1000
            for name in dict.fromkeys(names)
        }
        details = {"streams": streams, "interval": "none: it follows from the codebooks' sizes", **reading.facts}
        if "loudness_bits" in reading.facts:
            details["source"] = f"{self.source}; {LOUDNESS_NOTE}"
        rows = {utt: (len(array),) for utt, array in reading.codes.items()}
        return Result(rate, (rate, rate), ("tokens",), rows, details)
