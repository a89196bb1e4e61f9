# Copyright 2026 The hasrd authors
# Apache-2.0
"""The waveform itself as features, for encoders that start from samples."""

from __future__ import annotations

from torch import Tensor, nn

from hasrd.encoder.layers import length_mask


class RawWave(nn.Module):
    """One sample is one frame with one feature.

    Args:
        sample_rate: in Hz.
    """

    frame_shift = 1
    window = 1
    output_size = 1

    def __init__(self, sample_rate: int = 16000) -> None:
        super().__init__()
        self.sample_rate = sample_rate

    def num_frames(self, num_samples: int | Tensor) -> int | Tensor:
        """Return the frames of a waveform of num_samples: as many."""
        return num_samples

    def forward(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Reshape the waveform.

        Args:
            wave: (B, N).
            lengths: (B,) samples of each utterance.

        Returns:
            (B, N, 1), zero on padding, and the lengths as they came.
        """
        mask = length_mask(lengths, wave.shape[1])
        return wave.masked_fill(~mask, 0.0)[..., None], lengths
