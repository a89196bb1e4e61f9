# Copyright 2026 The hasrd authors
# Apache-2.0
"""DNSMOS: mean opinion scores that networks predict from the output alone, without a reference.

Source: Reddy et al., ICASSP 2022 (P.835: overall, signal, background) and ICASSP 2021 (P.808), in the
networks and with the polynomials of Microsoft's DNS challenge that the package speechmos brings. Windows
of 9.01 s, one a second, are averaged; a shorter clip is repeated until it fills one. Nothing is levelled.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hasrd.metrics.scoring.audio import SAMPLE_RATE, AudioMeasure, Pair


class Opinion(NamedTuple):
    """Predicted mean opinion scores, about 1 to 5: overall, speech signal, background (P.835), and P.808's."""

    ovrl: float
    sig: float
    bak: float
    p808: float


class DNSMOS(AudioMeasure):
    """See the file; digital silence gets the worst, whatever a network that never saw it would say."""

    name = "dnsmos"
    label = "DNSMOS"
    source = "DNSMOS P.835, overall quality, of the output alone (speechmos); windows of 9.01 s, shorter clips repeated"
    packages = modules = ("speechmos", "onnxruntime", "librosa")
    missing = "speechmos or onnxruntime is not installed: pip install 'hasrd[eval]'"
    taken_of = "reconstruction"
    order = 25
    columns = ("value", "sig", "bak", "p808")
    worst = Opinion(1.0, 1.0, 1.0, 1.0)

    def value(self, pair: Pair) -> Opinion:
        return opinion(pair.estimate.wave)


def opinion(wave: np.ndarray) -> Opinion:
    """Return the predicted opinions of `wave` (N,) at 16 kHz; samples beyond 1 are clipped.

    Raises:
        UserError: speechmos is not installed.
    """
    found = _model()(np.clip(wave, -1.0, 1.0), SAMPLE_RATE, False)
    return Opinion(*(float(found[f"{name}_mos"]) for name in Opinion._fields))


@lru_cache(maxsize=None)
def _model():
    DNSMOS.require()
    import onnxruntime
    from speechmos import dnsmos

    class OneThread(dnsmos.DNSMOS):
        """Its threads would turn idle rounds on the cores that other processes work on."""

        def __init__(self, folder: Path) -> None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            self.onnx_sess, self.p808_onnx_sess = (
                onnxruntime.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])
                for name in ("sig_bak_ovr.onnx", "model_v8.onnx")
            )

    return OneThread(Path(dnsmos.__file__).parent / "dnsmos_models")
