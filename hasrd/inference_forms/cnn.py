# Copyright 2026 The hasrd authors
# Apache-2.0
"""The convolutional encoders for inference on a CPU (see hasrd.inference_forms.layers)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hasrd.encoder.cnn import ConvEncoder, DownBlock
from hasrd.encoder.encoder import Encoder
from hasrd.encoder.output import EncoderOutput
from hasrd.encoder.tiles import CHUNK, in_tiles
from hasrd.inference_forms.layers import (
    TILE,
    Convolution,
    FramesForm,
    FramesUnit,
    ScaledSnake,
    Scratch,
    alpha_of,
    shift_of,
    weight_of,
)


class FramesEncoder(FramesForm, Encoder):
    """A ConvEncoder.

    Args:
        encoder: the trained one.
        dtype: of weights and frames.
    """

    num_layers = 1
    # Samples and features are not rounded before the first convolution.
    input_dtype = torch.float32
    float32_parts = ("first",)

    def __init__(self, encoder: ConvEncoder, dtype: torch.dtype) -> None:
        super().__init__()
        self.output_size, self.stride, self.input_window = encoder.output_size, encoder.stride, encoder.input_window
        self.halo = encoder.halo
        self.first = Convolution(weight_of(encoder.first), None, 1, torch.float32)
        shift = shift_of(encoder.first)
        self.blocks = nn.ModuleList()
        for block, stride in zip(encoder.blocks, encoder.strides):
            self.blocks.append(FramesDownBlock(block, stride, shift, dtype))
            shift = shift_of(block.down)
        self.snake = ScaledSnake(encoder.snake, shift, dtype)
        weight = weight_of(encoder.last) / alpha_of(encoder.snake)[:, None]
        self.last = Convolution(weight, shift_of(encoder.last), 1, dtype)

    @torch.no_grad()
    def forward(self, feats: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode feats (B, T, F) into one layer (B, T // stride, D)."""
        tokens = feats.shape[1] // self.stride
        latent = self.last.taps.new_zeros(len(feats), tokens, self.output_size)
        for x, y, length in zip(feats, latent, lengths.tolist()):
            if length >= self.stride:
                number = length // self.stride
                y[:number] = self._encode(x[:length])
        return EncoderOutput((latent,), lengths // self.stride)

    def _encode(self, feats: Tensor) -> Tensor:
        """Encode (T, F) into (T // stride, D)."""
        scratch = Scratch(self.fused)

        def chunk(low: int, high: int) -> Tensor:
            x = feats[low:high]
            for block in self.blocks:
                x = self._apply_block(block, x, scratch)
            reach = self.last.reach
            padded, middle = scratch.padded(reach, len(x), reach, x.shape[1], x)
            self.snake(x, middle, scratch)
            return self.last(padded, x.new_empty(len(x), self.output_size))

        return in_tiles(chunk, len(feats), CHUNK * self.stride, self.halo, down=self.stride)

    def _apply_block(self, block: FramesDownBlock, x: Tensor, scratch: Scratch) -> Tensor:
        """Map (T, C) to (T // stride, C'); the first block comes with the first convolution."""
        first = block is self.blocks[0]

        def tile(low: int, high: int) -> Tensor:
            part = x[low:high]
            # A copy: the block works in place, and the next tile looks at some of the same frames.
            return block(self._start(part) if first else part.clone(), scratch)

        return in_tiles(tile, len(x), TILE, block.reach + first * self.first.reach, down=block.stride)

    def _start(self, feats: Tensor) -> Tensor:
        reach = self.first.reach
        padded = nn.functional.pad(feats.float(), (0, 0, reach, reach))
        x = self.first(padded, padded.new_empty(len(feats), self.first.taps.shape[-1]))
        return x.to(self.last.taps.dtype)


class FramesDownBlock(nn.Module):
    """A DownBlock."""

    def __init__(self, block: DownBlock, stride: int, shift: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.stride = stride
        self.units = nn.ModuleList()
        for unit in block.units:
            self.units.append(FramesUnit(unit, shift, dtype))
            shift = shift + shift_of(unit.block[-1])
        self.snake = ScaledSnake(block.snake, shift, dtype)
        # Two kernels one stride long, each a matrix product with `stride` frames at a time.
        taps = (weight_of(block.down) / alpha_of(block.snake)[:, None]).permute(2, 1, 0)
        taps = taps.reshape(2, -1, taps.shape[2])
        self.register_buffer("taps", taps.to(dtype).contiguous())
        self.padding = block.down.padding[0]

    @property
    def reach(self) -> int:
        """Input frames on either side that an output looks at, counted from its own `stride` frames."""
        return sum(unit.reach for unit in self.units) + self.stride

    def forward(self, x: Tensor, scratch: Scratch) -> Tensor:
        """Map x (T, C), which is overwritten, to (T // stride, C')."""
        for unit in self.units:
            x = unit(x, scratch)
        frames, channels = x.shape
        number = frames // self.stride
        used = (number + 1) * self.stride
        padded, middle = scratch.padded(self.padding, frames, max(0, used - self.padding - frames), channels, x)
        self.snake(x, middle, scratch)
        pieces = padded[:used].view(number + 1, self.stride * channels)
        return (pieces[:-1] @ self.taps[0]).addmm_(pieces[1:], self.taps[1])
