# Copyright 2026 The hasrd authors
# Apache-2.0
"""PESQ, wide band: a mean opinion score of the ITU's model of hearing.

Source: ITU-T P.862 with the mapping of P.862.2 to MOS-LQO, the ITU's own C code as the package pesq
wraps it. Raw scores of -0.5 to 4.5 become 1.04 to 4.64. It levels and aligns both signals by itself.
"""

from __future__ import annotations

import numpy as np

from hasrd.metrics.scoring.audio import SAMPLE_RATE, AudioMeasure, Pair
from hasrd.metrics.undefined import Undefined

# Its code writes beyond its tables, and ends the process, at a 51st stretch of speech. None is closer to
# the next than 0.2 s, or shorter: a clip below 20 s can't have so many.
_MOST_STRETCHES = 45
_SAFE_SAMPLES = 20 * SAMPLE_RATE


class PESQ(AudioMeasure):
    """See the file; of digital silence the lowest opinion. Noise gets 1.02: its raw scores go below -0.5."""

    name = "pesq"
    label = "PESQ"
    source = "ITU-T P.862.2, wide band at 16 kHz (pesq)"
    packages = modules = ("pesq",)
    missing = (
        "pesq is not installed: tools/install.sh --extras pesq, or pip install 'hasrd[pesq]' "
        "(it comes as source and needs a C compiler)"
    )
    taken_of = "reconstruction"
    order = 23
    worst = (1.0,)

    def value(self, pair: Pair) -> float:
        return wide_band(*pair.cut)


def wide_band(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Return the MOS-LQO of `estimate` (N,) beside `reference` (N,), both at 16 kHz.

    Raises:
        Undefined: Shorter than a quarter of a second, without speech, or with more stretches of speech than its
            code has room for.
        UserError: pesq is not installed.
    """
    PESQ.require()
    import pesq

    if len(reference) > _SAFE_SAMPLES and _stretches(reference) > _MOST_STRETCHES:
        raise Undefined("too many stretches of speech for PESQ's code: cut it into utterances")
    try:
        return float(pesq.pesq(SAMPLE_RATE, reference, estimate, "wb"))
    except pesq.BufferTooShortError:
        raise Undefined("shorter than PESQ's quarter of a second") from None
    except pesq.NoUtterancesError:
        raise Undefined("PESQ finds no speech") from None


def _stretches(wave: np.ndarray) -> int:
    """Return the most stretches of 0.2 s or more, as far apart, that any threshold of the level finds."""
    power = np.square(wave[: len(wave) // 64 * 64].reshape(-1, 64)).mean(1)
    found = 0
    for threshold in power.max() * 10.0 ** (-0.25 * np.arange(1, 29)):
        # In frames of 4 ms.
        active = np.flatnonzero(power > threshold)
        stretches = np.split(active, np.flatnonzero(np.diff(active) > 50) + 1)
        found = max(found, sum(part[-1] - part[0] >= 49 for part in stretches))
    return found
