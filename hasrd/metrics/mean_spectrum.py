# Copyright 2026 The hasrd authors
# Apache-2.0
"""Mel distance of a constant output: the mean log-mel spectrum of the whole test set in every
frame.

A control of ours: the constant knows the test set's own mean, so a model that beats it says more
about each frame than any constant of this kind. Mel scales, clamp and level are those of
hasrd.metrics.spectral.
"""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor

from hasrd.metrics.spectral import mel_module

SOURCE = "mel distance to the test set's own mean log-mel spectrum in every frame, level-normalised"


@torch.no_grad()
def log_mels(wave: Tensor) -> list[Tensor]:
    """Return the log10 mel spectra of `wave` (N,), one (mels, frames) a scale, in float64."""
    module = mel_module()
    return [module._log_mel(scale, wave[None])[0].double() for scale in range(len(module.magnitudes))]


def spectrum_sums(mels: Sequence[Tensor]) -> list[Tensor]:
    """Return per scale the sum over frames and, last, their number: (mels + 1,)."""
    return [torch.cat([mel.sum(1), mel.new_tensor([mel.shape[1]])]) for mel in mels]


def mean_spectra(sums: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Return the mean log-mel (mels,) of each scale over all frames of all utterances, from their
    sums.
    """
    totals = [torch.stack(list(scale)).sum(0) for scale in zip(*sums)]
    return [total[:-1] / total[-1] for total in totals]


def distance_to_constant(mels: Sequence[Tensor], constants: Sequence[Tensor]) -> float:
    """Return the mel distance of log-mels [(mels, frames)] to constants [(mels,)]: L1 means summed
    over the scales.
    """
    return float(sum((mel - constant[:, None]).abs().mean() for mel, constant in zip(mels, constants)))
