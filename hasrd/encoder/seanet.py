# Copyright 2026 The hasrd authors
# Apache-2.0
"""SEANet's encoder on the raw waveform."""

from __future__ import annotations

import math
from typing import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from hasrd.encoder.encoder import Encoder
from hasrd.encoder.layers import length_mask
from hasrd.encoder.output import EncoderOutput
from hasrd.encoder.seanet_layers import ReflectConv1d, ResidualLSTM, SEANetUnit, tokens_in_tiles


class SEANetEncoder(Encoder):
    """Encoder of SpeechTokenizer (Zhang et al. 2023, section 3.1), the defaults at its sizes.

    Convolution of kernel 7; blocks of a residual unit, ELU and a strided convolution of twice the stride's width, which
    doubles the channels; bidirectional LSTM; ELU and convolution of kernel 7.

    An utterance has a token for each whole `stride` samples. The samples behind them are dropped, where SpeechTokenizer
    itself makes one more token of them: on whole tokens both are the same.

    Args:
        input_size: 1, the samples of the raw frontend.
        channels: of the first convolution; every block doubles them.
        strides: of the blocks; their product is the samples of a token.
        output_size: D.
        lstm_layers: layers of the LSTM.
        bidirectional: let the LSTM read in both directions.
    """

    num_layers = 1

    def __init__(
        self,
        input_size: int = 1,
        channels: int = 64,
        strides: Sequence[int] = (2, 4, 5, 8),
        output_size: int = 1024,
        lstm_layers: int = 2,
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.stride = self.input_window = math.prod(strides)
        self.first = ReflectConv1d(input_size, channels, 7, activate=False)
        self.blocks = nn.ModuleList()
        reach, frame = 3, 1  # samples on one side that a token depends on, and samples of a frame of a block
        for stride in strides:
            self.blocks.append(DownBlock(channels, stride))
            reach += frame * (1 + self.blocks[-1].down.left)
            frame *= stride
            channels *= 2
        self.context = math.ceil(reach / self.stride)
        self.lstm = ResidualLSTM(channels, lstm_layers, bidirectional)
        self.last = ReflectConv1d(self.lstm.output_size, output_size, 7)

    def _convolve(self, x: Tensor, lengths: Tensor) -> Tensor:
        x = self.first(x, lengths)
        for block in self.blocks:
            x, lengths = block(x, lengths)
        return x

    def forward(self, feats: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode feats (B, T, F) into one layer (B, T // stride, D)."""
        num_tokens = feats.shape[1] // self.stride
        # A batch without a single token is padded so that the kernels fit, and cut again.
        tokens = max(num_tokens, 1)
        feats = feats[:, : tokens * self.stride]
        x = F.pad(feats, (0, 0, 0, tokens * self.stride - feats.shape[1]))
        lengths = lengths // self.stride
        samples = lengths * self.stride
        # What comes out past an item's length is finite if what goes in is.
        x = x.masked_fill(~length_mask(samples, x.shape[1])[..., None], 0.0).mT
        x = tokens_in_tiles(self._convolve, x, samples, tokens, self.context)
        x = self.last(self.lstm(x.mT, lengths).mT, lengths)
        x = x.masked_fill(~length_mask(lengths, tokens)[:, None], 0.0)
        return EncoderOutput((x[..., :num_tokens].mT,), lengths)


class DownBlock(nn.Module):
    """Residual unit, ELU and a convolution that divides the frame rate by its stride and doubles the channels.

    Args:
        channels: C of the input.
        stride: of the last convolution.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.unit = SEANetUnit(channels)
        self.down = ReflectConv1d(channels, 2 * channels, 2 * stride, stride)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Map x (B, C, T), lengths (B,), all multiples of the stride, to (B, 2 C, T / stride) and its lengths."""
        return self.down(self.unit(x, lengths), lengths), lengths // self.stride
