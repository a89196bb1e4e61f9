# Copyright 2026 The hasrd authors
# Apache-2.0
"""How a codebook is used: usage, entropy, perplexity and effective bitrate from its counts.

Source: Shannon entropy of the empirical distribution (plug-in, not corrected for the size of the
set): with N tokens no codebook can show more than log2(N) bits, so the number of tokens belongs
beside each value.
"""

from __future__ import annotations

import numpy as np

from hasrd.metrics.bitrate import CodesMeasure, bitrate
from hasrd.metrics.influence import JACKKNIFE, entropies_left_out, interval, jackknife_influences
from hasrd.metrics.measure import Result
from hasrd.metrics.scoring.tokens import CodesReading, codebooks, count_codes, strides

SOURCE = "plug-in entropy of the counts; effective bitrate = entropy x frame rate, summed over the codebooks"


class EffectiveBitrate(CodesMeasure):
    """How all codebooks are used; the mean is the effective bitrate of all of them together."""

    name = "codebook"
    label = "Effective bitrate"
    source = SOURCE
    order = 70

    def compute(self, reading: CodesReading, system: str) -> Result:
        frame_rate, every = reading.facts["frame_rate"], strides(reading.facts)
        arrays = [reading.codes[utt] for utt in sorted(reading.codes)]
        count, tokens = len(arrays), np.concatenate(arrays)
        owner = np.repeat(np.arange(count), [len(array) for array in arrays])
        books = []
        influences = np.zeros(count)
        for book, stride, column in zip(codebooks(reading.facts), every, tokens.T):
            own, size = column.astype(np.int64), book["size"]
            total = count_codes(own, size)
            bits = entropy(total)
            added = jackknife_influences(entropies_left_out(own, owner, count, size))
            influences += added / stride
            low, high = interval(bits, added, 0.0, float(np.log2(size)))
            books.append(
                book
                | {
                    "tokens": int(total.sum()),
                    "used": int((total > 0).sum()),
                    "usage": float((total > 0).mean()),
                    "entropy": bits,
                    "entropy_ci95": [low, high],
                    "perplexity": perplexity(total),
                    "perplexity_ci95": [2.0**low, 2.0**high],
                    # What it really carries: bits a second.
                    "effective_bitrate": bits * (frame_rate / stride),
                }
            )
        all_bits = sum(book["entropy"] / stride for book, stride in zip(books, every))
        low, high = interval(all_bits, influences, 0.0, bitrate(1.0, reading.facts["codebook_sizes"], every))
        scale = frame_rate / 1000
        rows = {utt: (len(array),) for utt, array in reading.codes.items()}
        details = {"codebooks": books, "interval": JACKKNIFE, **reading.facts}
        return Result(scale * all_bits, (scale * low, scale * high), ("tokens",), rows, details)


def entropy(counts: np.ndarray) -> float:
    """Return the entropy in bits of `counts` (K,); 0 for no token at all."""
    total = counts.sum()
    share = counts[counts > 0] / max(total, 1)
    return float(-(share * np.log2(share)).sum() + 0.0)


def perplexity(counts: np.ndarray) -> float:
    """Return 2^entropy: the number of equally likely entries that would carry as much."""
    return 2.0 ** entropy(counts)
