# Copyright 2026 The hasrd authors
# Apache-2.0
"""DAC's set of discriminators out of ESPnet's parts."""

from __future__ import annotations

import functools
import warnings
from typing import Sequence

import torch
import torchaudio
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


@functools.cache
@torch.inference_mode(False)
def _spectrogram(n_fft: int, hop_length: int, device: torch.device) -> torchaudio.transforms.Spectrogram:
    """Return the complex spectrogram of a wave; its window is on the device once and for all."""
    return torchaudio.transforms.Spectrogram(n_fft, n_fft, hop_length, power=None).to(device)


@functools.cache
@torch.inference_mode(False)
def _resample(sample_rate: int, divisor: int, device: torch.device) -> torchaudio.transforms.Resample:
    """Return the resampling to a fraction of the rate; its filter is on the device once and for all."""
    return torchaudio.transforms.Resample(sample_rate, sample_rate // divisor).to(device)


class BandDiscriminator(MultiBandDiscriminator):
    """ESPnet's, which makes its window on the host and copies it to the device in every call; the host waits then."""

    def spectrogram(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Wave (B, 1, N) to real and imaginary parts (B, 2, frames, bins) of each band."""
        x = _spectrogram(self.window_length, self.hop_length, x.device)(x.squeeze(1))
        x = torch.view_as_real(x).permute(0, 3, 2, 1)
        return [x[..., low:high] for low, high in self.bands]


class ScaleDiscriminator(MultiScaleDiscriminator):
    """ESPnet's, which makes its resampling filter on the host and copies it to the device in every call.

    Args:
        divisor: Of the sample rate.
        sample_rate: In Hz.
    """

    def __init__(self, divisor: int, sample_rate: int):
        # At its own rate ESPnet's class resamples nothing.
        super().__init__(1, sample_rate=sample_rate)
        self.divisor = divisor

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Wave (B, 1, N) to feature maps, the verdict last."""
        return super().forward(_resample(self.sample_rate, self.divisor, x.device)(x))


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
                    period=p, channels=period_channels, max_downsample_channels=period_max_channels
                )
                for p in periods
            ]
            band = [
                BandDiscriminator(size, sample_rate=sample_rate, bands=list(BANDS), channel=band_channels)
                for size in fft_sizes
            ]
            scale = [ScaleDiscriminator(rate, sample_rate) for rate in rates]
        self.discriminators = nn.ModuleList(period + band + scale)

    def forward(self, wave: torch.Tensor) -> list[list[torch.Tensor]]:
        """Wave (B, 1, N) to the feature maps of each discriminator, its verdict last."""
        wave = wave - wave.mean(dim=-1, keepdim=True)
        wave = 0.8 * wave / (wave.abs().amax(dim=-1, keepdim=True) + 1e-9)
        return [discriminator(wave) for discriminator in self.discriminators]
