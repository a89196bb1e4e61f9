# Copyright 2026 The hasrd authors
# Apache-2.0
"""Conformer (Gulati et al. 2020) with relative positions.

Macaron feed-forward layers, pre-norm, Swish, and the attention of Transformer-XL (Dai et al. 2019,
section 3.3). As in SpeechBrain, which HASRD builds on, the convolution module has a layer norm: an
utterance's output then depends neither on padding nor on its batch. ESPnet's has a batch norm.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hasrd.encoder.depthwise import depthwise_conv
from hasrd.encoder.layers import Dropout
from hasrd.encoder.relative import RelativeAttention, RelativeStack, feed_forward


class Conformer(RelativeStack):
    """A stack of Conformer blocks.

    Args:
        size: attention dimension D; even.
        attention_heads: H; D must be a multiple of it.
        linear_units: hidden size of the feed-forward layers.
        num_blocks: L.
        cnn_module_kernel: of the depthwise convolution; odd.
        dropout_rate: of the feed-forward layers and behind each module.
        positional_dropout_rate: of the input and of the relative positions.
        attention_dropout_rate: of the attention weights.

    Raises:
        ValueError: a size does not fit.
    """

    def __init__(
        self,
        size: int,
        attention_heads: int,
        linear_units: int,
        num_blocks: int,
        cnn_module_kernel: int = 31,
        dropout_rate: float = 0.1,
        positional_dropout_rate: float = 0.1,
        attention_dropout_rate: float = 0.0,
    ) -> None:
        if size % 2 or size % attention_heads:
            raise ValueError(f"size {size} must be even and a multiple of {attention_heads} heads")
        if cnn_module_kernel % 2 == 0:
            raise ValueError(f"cnn_module_kernel must be odd, not {cnn_module_kernel}")
        blocks = [
            ConformerBlock(
                size,
                attention_heads,
                linear_units,
                cnn_module_kernel,
                dropout_rate,
                attention_dropout_rate,
            )
            for _ in range(num_blocks)
        ]
        super().__init__(size, blocks, positional_dropout_rate)


class ConformerBlock(nn.Module):
    """Half a feed-forward layer, attention, convolution, the other half, layer norm."""

    def __init__(
        self,
        size: int,
        attention_heads: int,
        linear_units: int,
        cnn_module_kernel: int,
        dropout_rate: float,
        attention_dropout_rate: float,
    ) -> None:
        super().__init__()
        self.norm_macaron = nn.LayerNorm(size)
        self.macaron = feed_forward(size, linear_units, dropout_rate)
        self.norm_attention = nn.LayerNorm(size)
        self.attention = RelativeAttention(size, attention_heads, attention_dropout_rate)
        self.norm_conv = nn.LayerNorm(size)
        self.conv = ConvolutionModule(size, cnn_module_kernel)
        self.norm_feed_forward = nn.LayerNorm(size)
        self.feed_forward = feed_forward(size, linear_units, dropout_rate)
        self.norm_final = nn.LayerNorm(size)
        self.dropout = Dropout(dropout_rate)

    def forward(self, x: Tensor, positions: Tensor, key_bias: Tensor | None, mask: Tensor) -> Tensor:
        """Apply the block to x (B, T, D); see RelativeStack for the other shapes."""
        x = torch.add(x, self.dropout(self.macaron(self.norm_macaron(x))), alpha=0.5)
        x = x + self.dropout(self.attention(self.norm_attention(x), positions, key_bias))
        x = x + self.dropout(self.conv(self.norm_conv(x), mask))
        x = torch.add(x, self.dropout(self.feed_forward(self.norm_feed_forward(x))), alpha=0.5)
        return self.norm_final(x) * mask


class ConvolutionModule(nn.Module):
    """Pointwise convolution with a gate, depthwise convolution, layer norm, Swish, pointwise.

    Args:
        size: D.
        kernel_size: of the depthwise convolution; odd.

    Attributes:
        causal: The depthwise convolution looks at earlier frames alone.
    """

    causal = False

    def __init__(self, size: int, kernel_size: int) -> None:
        super().__init__()
        self.expand = nn.Linear(size, 2 * size)
        self.depthwise = nn.Conv1d(size, size, kernel_size, padding=kernel_size // 2, groups=size)
        self.norm = nn.LayerNorm(size)
        self.project = nn.Linear(size, size)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Apply the module to x (B, T, D) with mask (B, T, 1)."""
        x = functional.glu(self.expand(x)) * mask
        if self.causal:
            # Moved by half of the kernel, which is centred otherwise.
            x = functional.pad(x, (0, 0, self.depthwise.kernel_size[0] // 2, 0))
        x = depthwise_conv(x, self.depthwise.weight, self.depthwise.bias).narrow(1, 0, mask.shape[1])
        return self.project(functional.silu(self.norm(x)))
