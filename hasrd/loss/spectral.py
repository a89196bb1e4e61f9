# Copyright 2026 The hasrd authors
# Apache-2.0
"""Distances between spectra: DAC's multi-scale mel and STFT losses.

The values are those of DAC's published configuration and, where it is silent, of its code's
defaults (descript-audio-codec 1.0.0: conf/final/16khz.yml, dac/nn/loss.py).
"""

from __future__ import annotations

import math
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def mel_filterbank(num_mels: int, n_fft: int, sample_rate: int) -> Tensor:
    """Return Slaney's mel filterbank (num_mels, n_fft // 2 + 1): triangles of equal area.

    The scale is linear up to 1 kHz (200/3 Hz a mel) and logarithmic above (27 mels to 6.4 kHz).
    librosa's default, from 0 Hz to half the sample rate.
    """
    corner, step = 1000.0, math.log(6.4) / 27.0
    top = sample_rate / 2
    top_mel = 3 * top / 200 if top < corner else 15 + math.log(top / corner) / step
    mels = torch.linspace(0.0, top_mel, num_mels + 2, dtype=torch.float64)
    hertz = torch.where(mels < 15, mels * 200 / 3, corner * ((mels - 15) * step).exp())
    bins = torch.linspace(0.0, top, n_fft // 2 + 1, dtype=torch.float64)
    width = hertz.diff()[:, None]
    slopes = hertz[:, None] - bins
    rising, falling = -slopes[:-2] / width[:-1], slopes[2:] / width[1:]
    triangles = torch.minimum(rising, falling).clamp(min=0.0)
    return (triangles * 2 / (hertz[2:] - hertz[:-2])[:, None]).float()


class _Magnitude(nn.Module):
    """Magnitude of the STFT: Hann window, hop of a quarter window, centred, reflected ends."""

    def __init__(self, window_length: int) -> None:
        super().__init__()
        self.window_length = window_length
        self.register_buffer("window", torch.hann_window(window_length), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, window_length // 2 + 1, T) of x (B, N)."""
        # Reflection needs more than half a window of samples.
        missing = self.window_length // 2 + 1 - x.shape[-1]
        if missing > 0:
            x = F.pad(x, (0, missing))
        return torch.stft(
            x,
            self.window_length,
            hop_length=self.window_length // 4,
            window=self.window,
            return_complex=True,
        ).abs()


def _l1(x: Tensor, y: Tensor) -> Tensor:
    """Return the mean absolute difference of each item (B,)."""
    return (x - y).abs().mean(dim=(1, 2))


def _distance(module: nn.Module, x: Tensor, y: Tensor, per_item: bool) -> Tensor:
    if x.shape != y.shape or x.dim() != 2:
        raise ValueError(f"two signals (B, N) of one shape, not {tuple(x.shape)}, {tuple(y.shape)}")
    with torch.autocast(x.device.type, enabled=False):
        total = module.per_item(x.float(), y.float())
    return total if per_item else total.mean()


class MelDistance(nn.Module):
    """L1 distance of log10 mel spectra, summed over scales.

    DAC's mel loss: weight 15 in training, and the papers' "mel distance" (HASRD section 3). It
    depends on the level through the clamp.

    Args:
        sample_rate: Hz.
        window_lengths: samples, one a scale.
        num_mels: mel bins, one a scale.
        clamp: the smallest mel magnitude.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        window_lengths: Sequence[int] = (32, 64, 128, 256, 512, 1024, 2048),
        num_mels: Sequence[int] = (5, 10, 20, 40, 80, 160, 320),
        clamp: float = 1e-5,
    ) -> None:
        super().__init__()
        self.clamp = clamp
        self.magnitudes = nn.ModuleList(_Magnitude(length) for length in window_lengths)
        for i, (mels, length) in enumerate(zip(num_mels, window_lengths)):
            filters = mel_filterbank(mels, length, sample_rate)
            self.register_buffer(f"filters_{i}", filters, persistent=False)

    def _log_mel(self, i: int, x: Tensor) -> Tensor:
        mel = getattr(self, f"filters_{i}") @ self.magnitudes[i](x)
        return mel.clamp(min=self.clamp).log10()

    def per_item(self, x: Tensor, y: Tensor) -> Tensor:
        """Return (B,) distances of float32 signals (B, N)."""
        scales = range(len(self.magnitudes))
        return sum(_l1(self._log_mel(i, x), self._log_mel(i, y)) for i in scales)

    def forward(self, x: Tensor, y: Tensor, per_item: bool = False) -> Tensor:
        """Return the distance of x and y (B, N): a scalar, or (B,) if `per_item`."""
        return _distance(self, x, y, per_item)


class STFTDistance(nn.Module):
    """L1 distance of log10 power spectra plus that of magnitudes, summed over scales.

    DAC's multi-scale STFT loss and the papers' "STFT distance". It depends on the level.

    Args:
        window_lengths: samples, one a scale.
        clamp: the smallest magnitude under the logarithm.
    """

    def __init__(self, window_lengths: Sequence[int] = (2048, 512), clamp: float = 1e-5) -> None:
        super().__init__()
        self.clamp = clamp
        self.magnitudes = nn.ModuleList(_Magnitude(length) for length in window_lengths)

    def per_item(self, x: Tensor, y: Tensor) -> Tensor:
        """Return (B,) distances of float32 signals (B, N)."""
        total = x.new_zeros(len(x))
        for magnitude in self.magnitudes:
            a, b = magnitude(x), magnitude(y)
            # log10 of the power is twice that of the magnitude.
            logs = _l1(a.clamp(min=self.clamp).log10(), b.clamp(min=self.clamp).log10())
            total = total + 2 * logs + _l1(a, b)
        return total

    def forward(self, x: Tensor, y: Tensor, per_item: bool = False) -> Tensor:
        """Return the distance of x and y (B, N): a scalar, or (B,) if `per_item`."""
        return _distance(self, x, y, per_item)
