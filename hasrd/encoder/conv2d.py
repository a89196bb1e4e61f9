# Copyright 2026 The hasrd authors
# Apache-2.0
"""The 2D convolutions in front of the BEST-RQ baseline's Conformer."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from hasrd.encoder.encoder import Encoder
from hasrd.encoder.layers import Dropout, length_mask
from hasrd.encoder.output import EncoderOutput
from hasrd.encoder.tiles import CHUNK, in_tiles


class LogMelConv2d(Encoder):
    """Convolutions over time and frequency that each halve both, with layer norm and LeakyReLU.

    The front end of SpeechBrain's BEST-RQ (Whetten et al., arXiv 2405.04296). The norm is over the
    frequencies and channels of a frame, never over time. A convolution looks at one frame before its
    two and at none behind: no utterance sees its padding, and the first token needs `stride` frames.

    Args:
        input_size: mel bins F.
        channels: of each convolution.
        dropout_rate: behind each convolution.
    """

    num_layers = 1

    def __init__(self, input_size: int = 80, channels: Sequence[int] = (64, 32), dropout_rate: float = 0.1) -> None:
        super().__init__()
        self.stride = self.input_window = 2 ** len(channels)
        self.convs = nn.ModuleList()
        self.norms = nn.ModuleList()
        bins = input_size
        for narrow, wide in zip((1, *channels), channels):
            bins = (bins + 1) // 2
            self.convs.append(nn.Conv2d(narrow, wide, 3, stride=2, padding=(0, 1)))
            self.norms.append(nn.LayerNorm((bins, wide)))
        self.dropout = Dropout(dropout_rate)
        self.output_size = bins * channels[-1]

    def forward(self, feats: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode feats (B, T, F) into one layer (B, T // stride, D), D = frequencies x channels."""
        num_frames = feats.shape[1]

        def chunk(low: int, high: int) -> Tensor:
            return self._encode(feats[:, low:high], (lengths - low).clamp(0, high - low))

        size = num_frames if torch.is_grad_enabled() else CHUNK * self.stride
        x = in_tiles(chunk, num_frames, max(1, size), self.stride, down=self.stride)
        return EncoderOutput((x,), lengths // self.stride)

    def _encode(self, feats: Tensor, lengths: Tensor) -> Tensor:
        """Encode feats (B, T, F) into (B, T // stride, D)."""
        num_frames = feats.shape[1]
        valid = length_mask(lengths, num_frames)[..., None]
        # A batch without a single token is padded so that the kernels fit, and cut again.
        x = functional.pad(feats.masked_fill(~valid, 0.0), (0, 0, 0, max(0, self.stride - num_frames)))[..., None]
        for conv, norm in zip(self.convs, self.norms):
            # A channels-last image is (B, T, F, C) in memory, which is also what the norm takes.
            x = conv(functional.pad(x, (0, 0, 0, 0, 1, 0)).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            x = self.dropout(functional.leaky_relu(norm(x)))
            lengths = lengths // 2
            x = x * length_mask(lengths, x.shape[1])[..., None, None]
        return x.flatten(2)[:, : num_frames // self.stride]
