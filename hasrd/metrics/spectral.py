# Copyright 2026 The hasrd authors
# Apache-2.0
"""Mel and STFT distance between a reference and its reconstruction (DAC's losses, used as
measures).

Source: the distances of the HASRD paper's tables 1 and 2, DAC's MelSpectrogramLoss and
MultiScaleSTFTLoss (hasrd.loss.spectral), on signals at the level of DAC's evaluation
(hasrd.metrics.level).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from hasrd.metrics import level
from hasrd.metrics.scoring.audio import AudioMeasure, Pair

if TYPE_CHECKING:
    from torch import Tensor, nn


class SpectralMeasure(AudioMeasure):
    """A distance of spectra."""

    higher_is_better = False
    packages = ("torch", "torchaudio")


class MelMeasure(SpectralMeasure):
    """Mel distance."""

    name = "mel"
    label = "Mel distance"
    source = f"DAC's MelSpectrogramLoss; {level.DESCRIPTION}"
    order = 20

    def value(self, pair: Pair) -> float:
        return mel_distance(*pair.levelled)


class STFTMeasure(SpectralMeasure):
    """STFT distance."""

    name = "stft"
    label = "STFT distance"
    source = f"DAC's MultiScaleSTFTLoss; {level.DESCRIPTION}"
    order = 21

    def value(self, pair: Pair) -> float:
        return stft_distance(*pair.levelled)


def mel_distance(reference: Tensor, estimate: Tensor) -> float:
    """Return DAC's mel distance of two signals (N,) at 16 kHz, of equal length and level: L1 of
    log10 mels over 7 scales.
    """
    return _distance("MelDistance", reference, estimate)


def stft_distance(reference: Tensor, estimate: Tensor) -> float:
    """Return DAC's multi-scale STFT distance (2048, 512) of two signals (N,), of equal length and
    level.
    """
    return _distance("STFTDistance", reference, estimate)


def _distance(name: str, reference: Tensor, estimate: Tensor) -> float:
    import torch

    with torch.no_grad():
        return float(distance_module(name)(estimate[None], reference[None]))


@lru_cache(maxsize=None)
def distance_module(name: str) -> nn.Module:
    """Return the one distance of this process and name in hasrd.loss.spectral (filterbanks take a moment to make)."""
    from hasrd.loss import spectral

    return getattr(spectral, name)()
