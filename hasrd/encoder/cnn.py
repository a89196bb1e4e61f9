# Copyright 2026 The hasrd authors
# Apache-2.0
"""Convolutional encoders: DAC's trunk, and its use on log-mel features."""

from __future__ import annotations

import math
from typing import Sequence

import torch
from torch import Tensor, nn

from hasrd.encoder.encoder import Encoder
from hasrd.encoder.layers import ResidualUnit, Snake1d, length_mask, wn_conv1d
from hasrd.encoder.output import EncoderOutput
from hasrd.encoder.tiles import CHUNK, in_tiles, whole

DILATIONS = (1, 3, 9)  # of a block's residual units: DAC, and HASRD section 2.1


class ConvEncoder(Encoder):
    """DAC's encoder: convolution, downsampling blocks, Snake, convolution of kernel 3.

    A block is three residual units, Snake and a strided convolution of twice the stride's width.

    Args:
        input_size: features F of an input frame.
        channels: of the first convolution's output and of each block's output.
        strides: of each block; one less than channels.
        output_size: D.
        first_kernel: of the first convolution; odd.
        separable: make the residual units' wide convolutions depthwise separable.

    Raises:
        ValueError: channels and strides don't fit together.
    """

    num_layers = 1

    def __init__(
        self,
        input_size: int,
        channels: Sequence[int],
        strides: Sequence[int],
        output_size: int,
        first_kernel: int,
        separable: bool = False,
    ) -> None:
        super().__init__()
        if len(channels) != len(strides) + 1:
            raise ValueError(f"{len(strides)} strides need {len(strides) + 1} channels: {channels}")
        self.output_size = output_size
        self.strides = tuple(strides)
        self.stride = self.input_window = math.prod(strides)
        self.first = wn_conv1d(input_size, channels[0], first_kernel, padding=first_kernel // 2)
        self.blocks = nn.ModuleList(
            DownBlock(narrow, wide, stride, separable) for narrow, wide, stride in zip(channels, channels[1:], strides)
        )
        self.snake = Snake1d(channels[-1])
        self.last = wn_conv1d(channels[-1], output_size, 3, padding=1)

    @property
    def halo(self) -> int:
        """Input frames that a token looks at on either side, at most."""
        reach = self.last.padding[0]
        for block, stride in zip(reversed(self.blocks), reversed(self.strides)):
            reach = (reach + 1) * stride + sum(unit.reach for unit in block.units)
        return reach + self.first.padding[0]

    def forward(self, feats: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode feats (B, T, F) into one layer (B, T // stride, D)."""
        if torch.is_grad_enabled():
            return EncoderOutput((self._encode(feats, lengths),), lengths // self.stride)

        def chunk(low: int, high: int) -> Tensor:
            return self._encode(feats[:, low:high], (lengths - low).clamp(0, high - low))

        size = CHUNK * self.stride
        x = in_tiles(chunk, feats.shape[1], size, self.halo, down=self.stride)
        return EncoderOutput((x,), lengths // self.stride)

    def _encode(self, feats: Tensor, lengths: Tensor) -> Tensor:
        """Encode feats (B, T, F) into (B, T // stride, D)."""
        num_frames = feats.shape[1]
        # A batch without a single latent frame is padded so that the kernels fit, and cut again.
        x = (feats if whole() else nn.functional.pad(feats, (0, 0, 0, max(0, self.stride - num_frames)))).mT
        mask = length_mask(lengths, x.shape[2])[:, None]
        x = self.first(x.masked_fill(~mask, 0.0)) * mask
        for block, stride in zip(self.blocks, self.strides):
            lengths = lengths // stride
            next_mask = length_mask(lengths, x.shape[2] // stride)[:, None]
            x = block(x, mask, next_mask)
            mask = next_mask
        x = self.last(self.snake(x)) * mask
        return x.narrow(2, 0, num_frames // self.stride).mT


class DownBlock(nn.Module):
    """Three residual units, Snake and a convolution that divides the frame rate by its stride.

    Args:
        input_size: channels C of the input.
        output_size: channels C' of the output.
        stride: of the last convolution, whose kernel has twice its width.
        separable: of the residual units.
    """

    def __init__(self, input_size: int, output_size: int, stride: int, separable: bool) -> None:
        super().__init__()
        self.units = nn.ModuleList(ResidualUnit(input_size, dilation, separable=separable) for dilation in DILATIONS)
        self.snake = Snake1d(input_size)
        padding = math.ceil(stride / 2)
        self.down = wn_conv1d(input_size, output_size, 2 * stride, stride, padding)

    def forward(self, x: Tensor, mask: Tensor, next_mask: Tensor) -> Tensor:
        """Map x (B, C, T) with mask (B, 1, T) to (B, C', T') with next_mask (B, 1, T')."""
        for unit in self.units:
            x = unit(x, mask)
        return self.down(self.snake(x)).narrow(2, 0, next_mask.shape[2]) * next_mask


class LogMelCNN(ConvEncoder):
    """HASRD's 1D-CNN on log-mel features: DAC's last two blocks behind a 1x1 convolution.

    Each block halves the frame rate, from 125 to 31.25 Hz with the default log-mel.

    Args:
        input_size: mel bins F.
        channels: of the first convolution and of each block (HASRD: 256, 512, 1024).
        output_size: D.
        separable: depthwise separable residual units ("+SepConv" in HASRD's table 1).
    """

    def __init__(
        self,
        input_size: int = 80,
        channels: Sequence[int] = (256, 512, 1024),
        output_size: int = 1024,
        separable: bool = False,
    ) -> None:
        strides = (2,) * (len(channels) - 1)
        super().__init__(input_size, channels, strides, output_size, 1, separable)
