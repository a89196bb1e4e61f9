# Copyright 2026 The hasrd authors
# Apache-2.0
"""How a codebook is used: usage, entropy, perplexity and effective bitrate from its counts.

Source: Shannon entropy of the empirical distribution (plug-in, not corrected for the size of the
set): with N tokens no codebook can show more than log2(N) bits, so the number of tokens belongs
beside each value.
"""

from __future__ import annotations

import numpy as np

SOURCE = "plug-in entropy of the counts; effective bitrate = entropy x frame rate, summed over the codebooks"


def count_codes(codes: np.ndarray, size: int) -> np.ndarray:
    """Return how often each of `size` entries occurs in `codes` (T,): (size,).

    Raises:
        ValueError: A code is not in [0, size).
    """
    outside = codes[(codes < 0) | (codes >= size)]
    if outside.size:
        raise ValueError(f"code {outside[0]} is not in a codebook of {size}")
    return np.bincount(codes, minlength=size)


def usage(counts: np.ndarray) -> float:
    """Return the share of the entries (K,) that occur at all."""
    return float((counts > 0).mean())


def entropy(counts: np.ndarray) -> float:
    """Return the entropy in bits of `counts` (K,); 0 for no token at all."""
    total = counts.sum()
    share = counts[counts > 0] / max(total, 1)
    return float(-(share * np.log2(share)).sum() + 0.0)


def perplexity(counts: np.ndarray) -> float:
    """Return 2^entropy: the number of equally likely entries that would carry as much."""
    return 2.0 ** entropy(counts)


def effective_bitrate(counts: np.ndarray, frame_rate: float) -> float:
    """Return the bits a second that a codebook really carries: entropy x tokens a second."""
    return entropy(counts) * frame_rate
