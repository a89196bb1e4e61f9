# Copyright 2026 The hasrd authors
# Apache-2.0
"""DAC's decoder for inference on a CPU (see hasrd.inference_forms.layers)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hasrd.decoder.dac import DACDecoder
from hasrd.decoder.decoder import Decoder
from hasrd.encoder.layers import ResidualUnit, Snake1d
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


class FramesDecoder(FramesForm, Decoder):
    """A DACDecoder.

    Args:
        decoder: the trained one.
        dtype: of weights and frames.
    """

    float32_parts = ("bias",)

    def __init__(self, decoder: DACDecoder, dtype: torch.dtype) -> None:
        super().__init__()
        self.hop, self.halo = decoder.hop, decoder.halo
        first, *middle, snake, last, _ = decoder.layers
        self.first = Convolution(weight_of(first), None, 1, dtype)
        shift = shift_of(first)
        self.stages = nn.ModuleList()
        while middle:
            before, upsample, *units = middle[:5]
            self.stages.append(FramesUpBlock(before, upsample, units, shift, dtype))
            shift = sum((shift_of(unit.block[-1]) for unit in units), shift_of(upsample))
            middle = middle[5:]
        self.snake = ScaledSnake(snake, shift, dtype)
        # One output channel: all taps of a frame at once, then a sum over the frames that have been met.
        self.reach = last.padding[0]
        taps = (weight_of(last) / alpha_of(snake)[:, None])[0]
        self.register_buffer("last", taps.to(dtype).contiguous())
        self.register_buffer("bias", last.bias.detach().float())

    @torch.no_grad()
    def forward(self, latent: Tensor) -> Tensor:
        """Decode latent (B, U, D) to a waveform (B, U * hop), float32 in [-1, 1]."""
        return torch.stack([self._decode(item) for item in latent]).squeeze(-1)

    def _decode(self, latent: Tensor) -> Tensor:
        """Decode (U, D) to (U * hop, 1)."""
        scratch = Scratch(self.fused)

        def chunk(low: int, high: int) -> Tensor:
            reach = self.first.reach
            padded, middle = scratch.padded(reach, high - low, reach, latent.shape[1], latent)
            middle.copy_(latent[low:high])
            x = self.first(padded, latent.new_empty(high - low, self.first.taps.shape[-1]))
            for stage in self.stages:
                x = self._apply_stage(stage, x, scratch)
            return x

        return in_tiles(chunk, len(latent), CHUNK, self.halo, up=self.hop)

    def _apply_stage(self, stage: FramesUpBlock, x: Tensor, scratch: Scratch) -> Tensor:
        """Map (T, C) to (T * stride, C'); the last stage goes on to the samples (T * stride, 1)."""
        last = stage is self.stages[-1]

        def tile(low: int, high: int) -> Tensor:
            part = stage(x[low:high], scratch)
            return self._finish(part, scratch) if last else part

        # The units' neighbours in frames of the input, and one more that the transposed convolution looks at.
        reach = -(-(stage.reach + last * self.reach) // stage.stride) + 1
        return in_tiles(tile, len(x), max(1, TILE // stage.stride), reach, up=stage.stride)

    def _finish(self, x: Tensor, scratch: Scratch) -> Tensor:
        frames, channels = x.shape
        padded, middle = scratch.padded(self.reach, frames, self.reach, channels, x)
        self.snake(x, middle, scratch)
        products = (padded @ self.last).float()  # of frame and tap
        taps = products.shape[1]
        diagonals = products.as_strided((frames, taps), (taps, taps + 1))
        return diagonals.sum(1, keepdim=True).add_(self.bias).tanh_()


class FramesUpBlock(nn.Module):
    """Snake, transposed convolution and residual units of a DACDecoder."""

    def __init__(
        self, snake: Snake1d, upsample: nn.ConvTranspose1d, units: list[ResidualUnit], shift: Tensor, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.snake = ScaledSnake(snake, shift, dtype)
        self.stride, self.padding = upsample.stride[0], upsample.padding[0]
        # A frame and the one before it make `stride` frames: two matrix products.
        weight = weight_of(upsample) / alpha_of(snake)[:, None, None]
        taps = weight.unflatten(2, (2, self.stride)).permute(2, 0, 3, 1).flatten(2)
        self.register_buffer("taps", taps.to(dtype).contiguous())
        shift = shift_of(upsample)
        self.units = nn.ModuleList()
        for unit in units:
            self.units.append(FramesUnit(unit, shift, dtype))
            shift = shift + shift_of(unit.block[-1])

    @property
    def reach(self) -> int:
        """Output frames that the units look at on either side."""
        return sum(unit.reach for unit in self.units)

    def forward(self, x: Tensor, scratch: Scratch) -> Tensor:
        """Map x (T, C) to (T * stride, C')."""
        frames, channels = x.shape
        padded, middle = scratch.padded(1, frames, 1, channels, x)
        self.snake(x, middle, scratch)
        pieces = torch.mm(padded[1:], self.taps[0]).addmm_(padded[:-1], self.taps[1])
        y = pieces.view((frames + 1) * self.stride, -1)[self.padding :][: frames * self.stride]
        for unit in self.units:
            y = unit(y, scratch)
        return y
