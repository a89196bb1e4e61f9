# Copyright 2026 The hasrd authors
# Apache-2.0
"""ViSQOL in speech mode: how alike two spectrograms are, mapped to a mean opinion score of 1 to 5.

Source: Hines et al., EURASIP JASMP 2015, and Chinen et al., QoMEX 2020 (ViSQOL v3), as visqol-python
ports Google's v3.3.3. Two mappers from similarity (NSIM, 21 bands) to opinion exist: an exponential fit,
scaled so that identical signals get 5, and a lattice network, which gives them 4.51. Google's program
takes the lattice; its library, called as DAC's evaluation calls it, the exponential fit. So it is this
one here, always: codecs at 3 kbps with 4.5, as in the HASRD paper's tables, can't be of the lattice.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from hasrd.metrics import level
from hasrd.metrics.scoring.audio import SAMPLE_RATE, AudioMeasure, Pair
from hasrd.metrics.undefined import Undefined

MAPPER = "exponential fit, scaled to 5"


class Quality(NamedTuple):
    """Mean opinion score (1 to 5), and the similarity (mean NSIM, at most 1) that it is mapped from."""

    mos: float
    nsim: float


class ViSQOL(AudioMeasure):
    """See the file; digital silence has no loudness that could be brought to the reference's."""

    name = "visqol"
    label = "ViSQOL"
    source = f"ViSQOL v3.3.3 in speech mode (visqol-python); mapper: {MAPPER}; {level.DESCRIPTION}"
    packages = ("visqol-python",)
    modules = ("visqol",)
    missing = "visqol-python is not installed: pip install 'hasrd[eval]'"
    order = 22
    columns = ("value", "nsim")
    facts = {"mapper": MAPPER}
    worst = Quality(1.0, 0.0)

    def value(self, pair: Pair) -> Quality:
        return quality(*(wave.numpy() for wave in pair.levelled))


def quality(reference: np.ndarray, estimate: np.ndarray) -> Quality:
    """Return the quality of `estimate` (N,) beside `reference` (N,), both at 16 kHz.

    ViSQOL brings the estimate to the reference's sound pressure and aligns it in time by itself. Its noise
    floor is an absolute one: the reference's level counts.

    Raises:
        Undefined: Too short for one patch (0.5 s), or without voice in any.
        UserError: visqol-python is not installed.
    """
    try:
        result = _api().measure_from_arrays(
            np.asarray(reference, np.float64), np.asarray(estimate, np.float64), SAMPLE_RATE
        )
    except (ValueError, IndexError):
        raise Undefined("too short for ViSQOL, or without a stretch of voice") from None
    return Quality(float(result.moslqo), float(result.vnsim))


@lru_cache(maxsize=None)
def _api():
    ViSQOL.require()
    # It warns of patches that it drops, without a word of whose they are.
    logging.getLogger("visqol").setLevel(logging.ERROR)
    from visqol import VisqolApi

    # Its loops are compiled for threads; the parallel work here is that of processes.
    if find_spec("numba") is not None:
        import numba

        numba.set_num_threads(1)
    api = VisqolApi()
    api.create(mode="speech", use_lattice_model=False)
    return api
