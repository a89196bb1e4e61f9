# Copyright 2026 The hasrd authors
# Apache-2.0
"""The Transformer block of encoders that others trained (wav2vec 2.0 and its kin, Whisper)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hasrd.encoder.attention import attend

# Weights of the attention that are worked on at a time, so that ten minutes fit into memory.
ATTENTION_BLOCK = 1 << 26


class Block(nn.Module):
    """Transformer block: attention, feed-forward layers with GELU, a norm before or behind each.

    Args:
        size: D.
        heads: H.
        hidden: size between the feed-forward layers.
        norm_first: where the norms stand.
    """

    def __init__(self, size: int, heads: int, hidden: int, norm_first: bool) -> None:
        super().__init__()
        self.heads = heads
        self.norm_first = norm_first
        self.qkv = nn.Linear(size, 3 * size)
        self.out = nn.Linear(size, size)
        self.norm_attention = nn.LayerNorm(size)
        self.expand = nn.Linear(size, hidden)
        self.contract = nn.Linear(hidden, size)
        self.norm_feed_forward = nn.LayerNorm(size)

    def forward(self, x: Tensor, keys: Tensor, distances: Tensor | None = None) -> Tensor:
        """Map x (B, T, D) to the same shape.

        Args:
            x: (B, T, D).
            keys: (B, 1, 1, T) bool, true on what may be attended to.
            distances: What `mask` makes of the distances between tokens.
        """
        if self.norm_first:
            x = x + self._attend(self.norm_attention(x), keys, distances)
            return x + self._feed_forward(self.norm_feed_forward(x))
        x = self.norm_attention(x + self._attend(x, keys, distances))
        return self.norm_feed_forward(x + self._feed_forward(x))

    def mask(self, x: Tensor, keys: Tensor, distances: Tensor | None, start: int) -> Tensor:
        """Return the attention's mask (as `attend` takes it) of the tokens x (B, R, D) from number `start` on."""
        return keys

    def _attend(self, x: Tensor, keys: Tensor, distances: Tensor | None) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        rows = max(1, ATTENTION_BLOCK // (len(x) * self.heads * x.shape[1]))
        starts = range(0, x.shape[1], rows)
        masks = (self.mask(x[:, start : start + rows], keys, distances, start) for start in starts)
        y = torch.cat([attend(part, k, v, mask) for part, mask in zip(q.split(rows, 2), masks)], 2)
        return self.out(y.transpose(1, 2).flatten(2))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.contract(functional.gelu(self.expand(x)))
