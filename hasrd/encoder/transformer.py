# Copyright 2026 The hasrd authors
# Apache-2.0
"""Transformer encoder (Vaswani et al. 2017) with relative positions, in pre-norm form."""

from __future__ import annotations

from torch import Tensor, nn

from hasrd.encoder.layers import Dropout
from hasrd.encoder.relative import RelativeAttention, RelativeStack, feed_forward


class Transformer(RelativeStack):
    """A stack of Transformer blocks.

    Args:
        size: attention dimension D; even.
        attention_heads: H; D must be a multiple of it.
        linear_units: hidden size of the feed-forward layers.
        num_blocks: L.
        dropout_rate: of the feed-forward layers, behind each module, and of the input and the positions.

    Raises:
        ValueError: a size does not fit.
    """

    def __init__(
        self, size: int, attention_heads: int, linear_units: int, num_blocks: int, dropout_rate: float = 0.1
    ) -> None:
        if size % 2 or size % attention_heads:
            raise ValueError(f"size {size} must be even and a multiple of {attention_heads} heads")
        blocks = [TransformerBlock(size, attention_heads, linear_units, dropout_rate) for _ in range(num_blocks)]
        super().__init__(size, blocks, dropout_rate)


class TransformerBlock(nn.Module):
    """Attention and feed-forward layers, each behind a layer norm."""

    def __init__(self, size: int, attention_heads: int, linear_units: int, dropout_rate: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(size)
        self.attention = RelativeAttention(size, attention_heads, 0.0)
        self.norm_feed_forward = nn.LayerNorm(size)
        self.feed_forward = feed_forward(size, linear_units, dropout_rate)
        self.dropout = Dropout(dropout_rate)

    def forward(self, x: Tensor, positions: Tensor, key_bias: Tensor | None, mask: Tensor) -> Tensor:
        """Apply the block to x (B, T, D); see RelativeStack for the other shapes."""
        x = x + self.dropout(self.attention(self.norm_attention(x), positions, key_bias))
        x = x + self.dropout(self.feed_forward(self.norm_feed_forward(x)))
        return x * mask
