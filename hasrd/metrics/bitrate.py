# Copyright 2026 The hasrd authors
# Apache-2.0
"""Bitrate of a tokenizer: frame rate x sum of log2(codebook size) (HASRD, section 4).

A codebook whose codes stand for several frames each counts as many times less.
"""

from __future__ import annotations

import math
from typing import Any, Mapping, Sequence

from hasrd.metrics.influence import JACKKNIFE
from hasrd.metrics.measure import Measure, Result
from hasrd.metrics.scoring.tokens import LOUDNESS_BITS, TOKENS, CodesReading, strides

SOURCE = "frame rate x sum of log2(codebook size)"
LOUDNESS_NOTE = f"besides {LOUDNESS_BITS} bits an utterance, its loudness"


def bitrate(frame_rate: float, codebook_sizes: Sequence[int], strides: Sequence[int] | None = None) -> float:
    """Return bits a second of `frame_rate` frames a second over codebooks of these sizes.

    Args:
        strides: Frames that each codebook's code stands for; None: 1. Of more codebooks the first ones count.
    """
    strides = [1] * len(codebook_sizes) if strides is None else strides
    return frame_rate * sum(math.log2(size) / stride for size, stride in zip(codebook_sizes, strides))


def first_books_kbps(details: Mapping[str, Any], number: int) -> float:
    """Return the bitrate, in kbps, of the first codebooks of the tokens that a score of bitrate tells of."""
    return bitrate(details["frame_rate"], details["codebook_sizes"][:number], details.get("codebook_strides")) / 1000


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
        sizes, names, frame_rate = (reading.facts[key] for key in ("codebook_sizes", "stream_names", "frame_rate"))
        rate = bitrate(frame_rate, sizes, strides(reading.facts)) / 1000
        streams = {}
        for name in dict.fromkeys(names):
            own = [pair for pair, of in zip(zip(sizes, strides(reading.facts)), names) if of == name]
            streams[name] = bitrate(frame_rate, *zip(*own)) / 1000
        details = {"streams": streams, "interval": "none: it follows from the codebooks' sizes", **reading.facts}
        if "loudness_bits" in reading.facts:
            details["source"] = f"{self.source}; {LOUDNESS_NOTE}"
        rows = {utt: (len(array),) for utt, array in reading.codes.items()}
        return Result(rate, (rate, rate), ("tokens",), rows, details)
