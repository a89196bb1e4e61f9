# Copyright 2026 The hasrd authors
# Apache-2.0
"""Level normalisation before a distance, as DAC's evaluation does it.

The clamp of the log spectra and the linear STFT term depend on the level. DAC
(descript-audio-codec, scripts/) saves its test references through VolumeNorm at -16 dB LUFS and
RescaleAudio (save_test_set.py, conf/base.yml), and brings each reconstruction to its reference's
loudness (get_samples.py); evaluate.py then compares them as they are. The same here: the reference
is brought to -16 LUFS, scaled down to a peak of 1 where it exceeds that, and the estimate is
brought to the loudness of the result. Loudness is ITU-R BS.1770-4, floored at -70 LUFS (its
absolute gate), so silence stays silence.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

TARGET_LUFS = -16.0
FLOOR_LUFS = -70.0
DESCRIPTION = (
    "reference at -16 LUFS, peak at most 1; estimate at the reference's loudness (BS.1770-4)"
)


def loudness(wave: Tensor, sample_rate: int) -> float:
    """Return the integrated loudness of `wave` (N,) in LUFS, at least -70.

    BS.1770 measures in blocks of 0.4 s, a quarter further each, and keeps those above -70 LUFS and
    above 10 LU below the mean of these. Two things are not the standard's but those of audiotools
    (DAC's toolkit): a signal below 0.5 s is padded with zeros, and so is the last block, where the
    standard drops what does not fill one (up to 0.1 LU lower in clips of a few seconds).
    """
    import torch
    from torchaudio.functional import highpass_biquad, treble_biquad

    peak = float(wave.abs().max())
    if peak == 0:
        return FLOOR_LUFS
    block = round(0.4 * sample_rate)
    wave = torch.nn.functional.pad(wave, (0, max(math.ceil(0.5 * sample_rate) - wave.shape[-1], 0)))
    # torchaudio's filters (and its own loudness with them) clip at 1: filter a quiet copy. The K
    # weighting's parameters are audiotools' rounded ones, within 0.15 LU of the standard's.
    scale = peak / 0.05
    weighted = treble_biquad(wave / scale, sample_rate, 4.0, 1500.0, 1 / math.sqrt(2))
    weighted = highpass_biquad(weighted, sample_rate, 38.0, 0.5).double() * scale
    weighted = torch.nn.functional.pad(weighted, (0, -(len(weighted) - block) % (block // 4)))
    energy = weighted.unfold(0, block, block // 4).square().mean(1)
    for gate in (lambda _: FLOOR_LUFS, lambda mean: _lufs(mean) - 10.0):
        kept = energy[_lufs(energy) > gate(energy.mean())]
        if not len(kept):
            return FLOOR_LUFS
        energy = kept
    return max(float(_lufs(energy.mean())), FLOOR_LUFS)


def _lufs(energy: Tensor) -> Tensor:
    return -0.691 + 10.0 * energy.log10()


def level_pair(reference: Tensor, estimate: Tensor, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Return both signals (N,) at the levels that DAC's evaluation compares them at."""
    reference = level(reference, sample_rate)
    target = loudness(reference, sample_rate)
    return reference, estimate * _gain(target - loudness(estimate, sample_rate))


def level(reference: Tensor, sample_rate: int) -> Tensor:
    """Return `reference` (N,) at -16 LUFS, scaled down to a peak of 1 where it exceeds that."""
    reference = reference * _gain(TARGET_LUFS - loudness(reference, sample_rate))
    return reference / reference.abs().max().clamp(min=1.0)


def _gain(decibel: float) -> float:
    return 10.0 ** (decibel / 20.0)
