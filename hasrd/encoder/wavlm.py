# Copyright 2026 The hasrd authors
# Apache-2.0
"""WavLM ("WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech Processing", Chen et al. 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hasrd.encoder.transformer_block import Block
from hasrd.encoder.wav2vec2 import Wav2Vec2

# Of all published models: classes of distances, and the distance (tokens) from which on there is one class.
NUM_BUCKETS = 320
MAX_DISTANCE = 800


class GatedBlock(Block):
    """Transformer block whose attention adds a bias by distance, which each query opens or closes.

    Args:
        size: D.
        heads: H.
        hidden: size between the feed-forward layers.
        norm_first: where the norms stand.
    """

    def __init__(self, size: int, heads: int, hidden: int, norm_first: bool) -> None:
        super().__init__(size, heads, hidden, norm_first)
        # Two gates; each is the sum of four outputs.
        self.gates = nn.Linear(size // heads, 8)
        self.gate_scale = nn.Parameter(torch.ones(heads))

    def mask(self, x: Tensor, keys: Tensor, distances: Tensor, start: int) -> Tensor:
        """As of Block; distances are those of DistanceBias."""
        heads = x.unflatten(2, (self.heads, -1)).transpose(1, 2)
        update, reset = self.gates(heads).unflatten(3, (2, 4)).sum(4).sigmoid().unbind(3)
        gate = update * (reset * self.gate_scale[:, None] - 1.0) + 2.0
        # Query i meets key j in column T - 1 - i + j: its row is a window of T values, the first query's the last one.
        windows = distances.unfold(1, keys.shape[3], 1)
        first = windows.shape[1] - start - x.shape[1]
        bias = windows[:, first : first + x.shape[1]].flip(1)
        return (gate[..., None] * bias).masked_fill(~keys, -math.inf)


class DistanceBias(nn.Embedding):
    """A bias a head for each class of distances: exact ones nearby, then ranges that grow by a factor (T5's).

    Args:
        heads: H.
    """

    def __init__(self, heads: int) -> None:
        super().__init__(NUM_BUCKETS, heads)

    def forward(self, num_tokens: int) -> Tensor:
        """Return the biases (H, 2 T - 1) of T tokens by distance, key minus query: 1 - T to T - 1."""
        distance = torch.arange(1 - num_tokens, num_tokens, device=self.weight.device)
        side = NUM_BUCKETS // 2
        exact = side // 2
        # In float32, as they were trained: rounding decides where a class begins.
        far = (distance.abs().clamp(min=1).float() / exact).log() / math.log(MAX_DISTANCE / exact) * (side - exact)
        far = (exact + far).long().clamp(max=side - 1)
        bucket = torch.where(distance.abs() < exact, distance.abs(), far) + side * (distance > 0)
        return super().forward(bucket).T


class WavLM(Wav2Vec2):
    """wav2vec 2.0 with a bias by distance in the attention, one table for all blocks, which each query opens or closes.

    Its arguments are those of Wav2Vec2.
    """

    block_class = GatedBlock

    def make_distances(self, heads: int) -> nn.Module:
        """Return the table of biases."""
        return DistanceBias(heads)
