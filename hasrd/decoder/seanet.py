# Copyright 2026 The hasrd authors
# Apache-2.0
"""SEANet's decoder of transposed convolutions."""

from __future__ import annotations

import math
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hasrd.decoder.decoder import Decoder
from hasrd.encoder.layers import wn_conv_transpose1d
from hasrd.encoder.seanet_layers import ReflectConv1d, ResidualLSTM, SEANetUnit, start, tokens_in_tiles


class SEANetDecoder(Decoder):
    """Decoder of SpeechTokenizer (Zhang et al. 2023, section 3.1), the defaults at its sizes.

    The mirror image of SEANetEncoder, with an LSTM of one direction. Nothing bounds the samples.

    Args:
        input_size: D.
        channels: of the last stage; every stage before it has twice as many.
        strides: upsampling factors, each at least 2; their product is the samples of a token.
        lstm_layers: layers of the LSTM.

    Raises:
        ValueError: A stride below 2.
    """

    def __init__(
        self,
        input_size: int,
        channels: int = 64,
        strides: Sequence[int] = (8, 5, 4, 2),
        lstm_layers: int = 2,
    ) -> None:
        super().__init__()
        if min(strides) < 2:
            raise ValueError(f"strides {tuple(strides)}: each must be at least 2")
        self.hop = math.prod(strides)
        channels *= 2 ** len(strides)
        self.first = ReflectConv1d(input_size, channels, 7, activate=False)
        self.lstm = ResidualLSTM(channels, lstm_layers, bidirectional=False)
        self.blocks = nn.ModuleList()
        reach, frame = 0, self.hop  # samples on one side that a sample depends on, and samples of a frame of a block
        for stride in strides:
            self.blocks.append(UpBlock(channels, stride))
            reach += frame
            frame //= stride
            reach += frame
            channels //= 2
        self.context = math.ceil((reach + 3) / self.hop)
        self.last = ReflectConv1d(channels, 1, 7)
        # Speech has an rms of 0.05: from 0.3 on, the first 50 steps do little but make it quieter.
        start(self.last.conv, 7 * channels, gain=0.1)

    def _upsample(self, x: Tensor, lengths: Tensor) -> Tensor:
        for block in self.blocks:
            x, lengths = block(x, lengths)
        # Samples in bfloat16 have 8 bits, a noise that discriminators hear.
        with torch.autocast(x.device.type, enabled=False):
            return self.last(x.to(self.last.conv.bias.dtype), lengths)

    def forward(self, latent: Tensor) -> Tensor:
        """Decode latent (B, U, D) to a waveform (B, U * hop), float32."""
        tokens = latent.shape[1]
        lengths = torch.full((len(latent),), tokens, device=latent.device)
        x = self.lstm(self.first(latent.mT, lengths).mT, lengths).mT
        return tokens_in_tiles(self._upsample, x, lengths, tokens, self.context, up=self.hop).squeeze(1).float()


class UpBlock(nn.Module):
    """ELU, transposed convolution that multiplies the frame rate and halves the channels, residual unit.

    Args:
        channels: C of the input.
        stride: of the transposed convolution, whose kernel has twice its width.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        # An odd stride cuts one sample more on the left.
        self.up = wn_conv_transpose1d(
            channels, channels // 2, 2 * stride, stride, padding=math.ceil(stride / 2), output_padding=stride % 2
        )
        start(self.up, 2 * channels)
        self.unit = SEANetUnit(channels // 2)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Map x (B, C, T) with lengths (B,) to (B, C / 2, T * stride) and its lengths."""
        lengths = lengths * self.stride
        return self.unit(self.up(F.elu(x)), lengths), lengths
