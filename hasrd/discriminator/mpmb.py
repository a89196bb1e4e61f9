# Copyright 2026 The hasrd authors
# Apache-2.0
"""DAC's set of discriminators out of ESPnet's parts."""

from __future__ import annotations

import warnings
from typing import Sequence

import torch
from espnet2.gan_codec.shared.discriminator.msmpmb_discriminator import (
    MultiBandDiscriminator,
    MultiScaleDiscriminator,
)
from espnet2.gan_tts.hifigan.hifigan import HiFiGANPeriodDiscriminator
from torch import nn

# What ESPnet asks torchaudio for at each step.
warnings.filterwarnings("ignore", "`return_complex` argument is now deprecated", UserWarning)

# Fractions of the spectrum that a complex STFT discriminator sees one by one (DAC).
BANDS = ((0.0, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))


class MultiPeriodMultiBandDiscriminator(nn.Module):
    """Multi-period, multi-band STFT and, where rates are given, multi-scale wave discriminators (HASRD section 2.3).

    ESPnet's class of all three does not pass `channel` and `hop_factor` on to its band discriminators; this one passes
    everything on, so that a small set for a CPU is a configuration.

    Args:
        sample_rate: In Hz.
        periods: Periods in samples of the multi-period discriminators (DAC: 2, 3, 5, 7, 11).
        period_channels: Channels of their first layer (DAC: 32).
        period_max_channels: Channels of their last layers (DAC: 1024).
        fft_sizes: Windows in samples of the STFT discriminators (DAC: 2048, 1024, 512).
        band_channels: Channels of every layer of theirs (DAC: 32).
        rates: Divisors of the sample rate at which the wave discriminators look (DAC: none).
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        periods: Sequence[int] = (2, 3, 5, 7, 11),
        period_channels: int = 32,
        period_max_channels: int = 1024,
        fft_sizes: Sequence[int] = (2048, 1024, 512),
        band_channels: int = 32,
        rates: Sequence[int] = (),
    ):
        super().__init__()
        with warnings.catch_warnings():
            # ESPnet's layers are of torch's older weight normalisation, and checkpoints have its names.
            warnings.filterwarnings("ignore", ".*weight_norm` is deprecated", FutureWarning)
            period = [
                HiFiGANPeriodDiscriminator(
                    period=p,
                    channels=period_channels,
                    max_downsample_channels=period_max_channels,
                )
                for p in periods
            ]
            band = [
                MultiBandDiscriminator(
                    size, sample_rate=sample_rate, bands=list(BANDS), channel=band_channels
                )
                for size in fft_sizes
            ]
            scale = [MultiScaleDiscriminator(rate, sample_rate=sample_rate) for rate in rates]
        self.discriminators = nn.ModuleList(period + band + scale)

    def forward(self, wave: torch.Tensor) -> list[list[torch.Tensor]]:
        """Wave (B, 1, N) to the feature maps of each discriminator, its verdict last."""
        wave = wave - wave.mean(dim=-1, keepdim=True)
        wave = 0.8 * wave / (wave.abs().amax(dim=-1, keepdim=True) + 1e-9)
        return [discriminator(wave) for discriminator in self.discriminators]
