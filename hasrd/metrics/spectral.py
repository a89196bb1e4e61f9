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

import torch
from torch import Tensor

from hasrd.errors import UserError
from hasrd.loss.spectral import MelDistance, STFTDistance

# One token of 31.25 Hz at 16 kHz: a reconstruction further off is not this utterance's.
TOLERANCE = 512


def cut_to_shorter(reference: Tensor, estimate: Tensor) -> tuple[Tensor, Tensor]:
    """Cut two signals (N,), (N',), tensors or arrays, to the shorter.

    Raises:
        UserError: They are more than 512 samples apart, or one is empty.
    """
    lengths = reference.shape[-1], estimate.shape[-1]
    if abs(lengths[0] - lengths[1]) > TOLERANCE:
        raise UserError(
            f"the reference has {lengths[0]} samples and the output {lengths[1]}: "
            f"more than one token ({TOLERANCE}) apart"
        )
    if min(lengths) == 0:
        raise UserError("it has no samples")
    return reference[..., : min(lengths)], estimate[..., : min(lengths)]


@torch.no_grad()
def mel_distance(reference: Tensor, estimate: Tensor) -> float:
    """Return DAC's mel distance of two signals (N,) at 16 kHz, of equal length and level: L1 of
    log10 mels over 7 scales.
    """
    return float(mel_module()(estimate[None], reference[None]))


@torch.no_grad()
def stft_distance(reference: Tensor, estimate: Tensor) -> float:
    """Return DAC's multi-scale STFT distance (2048, 512) of two signals (N,), of equal length and
    level.
    """
    return float(_stft_module()(estimate[None], reference[None]))


@lru_cache(maxsize=None)
def mel_module() -> MelDistance:
    """Return the one mel distance of this process (its filterbanks take a moment to make)."""
    return MelDistance()


@lru_cache(maxsize=None)
def _stft_module() -> STFTDistance:
    return STFTDistance()
