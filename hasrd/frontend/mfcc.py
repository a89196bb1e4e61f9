# Copyright 2026 The hasrd authors
# Apache-2.0
"""Kaldi's MFCC with their deltas: what HuBERT's first targets are clusters of (Hsu et al. 2021, section III-A)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hasrd.encoder.layers import length_mask
from hasrd.frontend.log_mel import LogMel

# Kaldi's, feat/feature-mfcc.h.
NUM_MELS, NUM_CEPS, LIFTER = 23, 13, 22.0


class MFCC(nn.Module):
    """13 cepstral coefficients a frame, their deltas, and the deltas of these.

    As `compute-mfcc-feats --use-energy=false --dither=0` and `add-deltas` make them; fairseq's and ESPnet's recipes of
    HuBERT take them from torchaudio.

    Args:
        sample_rate: in Hz.
        window: samples of one frame.
        frame_shift: samples from frame to frame.
    """

    output_size = 3 * NUM_CEPS

    def __init__(self, sample_rate: int = 16000, window: int = 400, frame_shift: int = 160) -> None:
        super().__init__()
        self.log_mel = LogMel(sample_rate, window, frame_shift, NUM_MELS)
        self.sample_rate, self.window, self.frame_shift = sample_rate, window, frame_shift
        bins, ceps = torch.arange(NUM_MELS, dtype=torch.float64), torch.arange(NUM_CEPS, dtype=torch.float64)
        cosines = torch.cos(math.pi / NUM_MELS * (bins[:, None] + 0.5) * ceps) * math.sqrt(2 / NUM_MELS)
        cosines[:, 0] = math.sqrt(1 / NUM_MELS)
        lifter = 1 + 0.5 * LIFTER * torch.sin(math.pi * ceps / LIFTER)
        self.register_buffer("cosines", (cosines * lifter).float(), persistent=False)

    def num_frames(self, num_samples: int | Tensor) -> int | Tensor:
        """Return the frames of a waveform of num_samples (an int or a tensor of any shape)."""
        return self.log_mel.num_frames(num_samples)

    @torch.no_grad()
    def forward(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the features, in float32 and without gradients.

        Args:
            wave: (B, N) in [-1, 1].
            lengths: (B,) samples of each utterance.

        Returns:
            (B, T, 39) with T = num_frames(N), zero on padding, and (B,) frames of each utterance.
        """
        feats, lengths = self.log_mel(wave, lengths)
        with torch.autocast(wave.device.type, enabled=False):
            ceps = feats @ self.cosines
            first = deltas(ceps, lengths)
            found = torch.cat([ceps, first, deltas(first, lengths)], dim=-1)
        return found.masked_fill(~length_mask(lengths, found.shape[1])[..., None], 0.0), lengths


def deltas(feats: Tensor, lengths: Tensor) -> Tensor:
    """Return Kaldi's deltas over two frames to each side of feats (B, T, F), whose ends (lengths (B,)) are repeated."""
    frames = feats.shape[1]
    if not frames:
        return feats
    places = torch.arange(-2, frames + 2, device=feats.device).clamp(min=0)
    places = torch.minimum(places, (lengths[:, None] - 1).clamp(min=0))
    around = feats.gather(1, places[..., None].expand(-1, -1, feats.shape[2]))
    near, far = around[:, 3:-1] - around[:, 1:-3], around[:, 4:] - around[:, :-4]
    return (near + 2 * far) / 10
