# Copyright 2026 The hasrd authors
# Apache-2.0
"""Layers of a trained encoder brought to one scale."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor, nn

from hasrd.encoder.encoder import Encoder
from hasrd.encoder.layers import length_mask
from hasrd.encoder.output import EncoderOutput

# A dimension that never changes is mapped to 0, not to amplified rounding errors.
STD_FLOOR = 1e-5


class LayerStatistics(nn.Module):
    """Mean 0 and variance 1 of each dimension of each layer, over the frames of some speech.

    A sum of layers and a k-means see equal shares of all dimensions then. The statistics are buffers, part of the
    encoder's weights; NaN until they are set, so that nothing can use them before.

    Args:
        num_layers: L.
        size: D.
    """

    def __init__(self, num_layers: int, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((num_layers, size), torch.nan))
        self.register_buffer("std", torch.full((num_layers, size), torch.nan))

    def forward(self, layers: Sequence[Tensor]) -> list[Tensor]:
        """Standardise layers (B, U, D); float32."""
        scales = self.std.clamp(min=STD_FLOOR)
        return [(layer.float() - mean) / scale for layer, mean, scale in zip(layers, self.mean, scales, strict=True)]

    @torch.no_grad()
    def set(self, count: int, total: Tensor, square: Tensor) -> None:
        """Set them from `count` frames, whose sum and sum of squares are total and square (L, D), in float64."""
        mean = total / count
        self.mean.copy_(mean)
        self.std.copy_((square / count - mean.square()).clamp(min=0).sqrt())


class StandardizedEncoder(Encoder):
    """What encoders that others trained have in common: their layers may be brought to one scale.

    Args:
        output_size: D.
        num_layers: L.
        standardize: Bring each dimension of each layer to mean 0 and variance 1, by statistics that are a part of the
            weights.
    """

    float32_parts = ("statistics",)

    def __init__(self, output_size: int, num_layers: int, standardize: bool) -> None:
        super().__init__()
        self.output_size = output_size
        self.num_layers = num_layers
        self.statistics = LayerStatistics(num_layers, output_size) if standardize else None

    def output(self, layers: Sequence[Tensor], lengths: Tensor, num_tokens: int) -> EncoderOutput:
        """Return what the encoder gives.

        Args:
            layers: L tensors (B, U, D), zero on padding.
            lengths: (B,) tokens of each utterance.
            num_tokens: Tokens of the batch; those behind are cut off.
        """
        layers = [layer[:, :num_tokens] for layer in layers]
        if self.statistics is not None:
            mask = length_mask(lengths, num_tokens)[..., None]
            layers = [new.to(old.dtype) * mask for new, old in zip(self.statistics(layers), layers, strict=True)]
        return EncoderOutput(tuple(layers), lengths)
