# Copyright 2026 The hasrd authors
# Apache-2.0
"""STOI: short-time objective intelligibility, about 0 to 1.

Source: Taal et al., IEEE TASLP 2011 (the classic measure, not the extended one of 2016), package pystoi:
correlation of the envelopes of 15 third-octave bands over 0.4 s, silent frames of the reference removed.
"""

from __future__ import annotations

import warnings

import numpy as np

from hasrd.metrics.scoring.audio import SAMPLE_RATE, AudioMeasure, Pair
from hasrd.metrics.undefined import Undefined

# 30 frames of 256 samples at 10 kHz, half overlapping.
_SHORTEST = 6400
# What pystoi answers where too few frames are left.
_NO_VALUE = 1e-5


class STOI(AudioMeasure):
    """See the file; digital silence has no envelope, and no correlation."""

    name = "stoi"
    label = "STOI"
    source = "Taal et al. 2011, classic (pystoi)"
    packages = modules = ("pystoi",)
    missing = "pystoi is not installed: pip install 'hasrd[eval]'"
    taken_of = "reconstruction"
    order = 24
    worst = (0.0,)

    def value(self, pair: Pair) -> float:
        return intelligibility(*pair.cut)


def intelligibility(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Return the STOI of `estimate` (N,) beside `reference` (N,), both at 16 kHz.

    Raises:
        Undefined: Less than 0.4 s of the reference is no silence.
        UserError: pystoi is not installed.
    """
    STOI.require()
    import pystoi

    value = _NO_VALUE
    if len(reference) >= _SHORTEST:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            value = float(pystoi.stoi(np.asarray(reference, np.float64), np.asarray(estimate, np.float64), SAMPLE_RATE))
    if value == _NO_VALUE:
        raise Undefined("less than STOI's 0.4 s besides silences")
    return value
