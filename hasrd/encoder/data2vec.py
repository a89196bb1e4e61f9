# Copyright 2026 The hasrd authors
# Apache-2.0
"""data2vec ("data2vec: A General Framework for Self-supervised Learning in Speech, Vision and Language", Baevski et al.
2022) for audio, to be used frozen.
"""

from __future__ import annotations

from typing import Sequence

from torch import Tensor, nn
from torch.nn import functional

from hasrd.encoder.wav2vec2 import CONV_LAYERS, PositionConv, Wav2Vec2

# Of all published models: convolutions that give the positions.
POSITION_LAYERS = 5


class Data2Vec(Wav2Vec2):
    """wav2vec 2.0 with a norm in each convolution, and five small convolutions for the positions in place of one.

    The defaults are the base model's. The large one has attention_dim 1024, attention_heads 16, linear_units 4096 and
    num_blocks 24.

    Args:
        input_size, conv_layers, conv_bias, attention_dim, attention_heads, linear_units, num_blocks, position_kernel,
            position_groups, standardize: See `Wav2Vec2`.

    Raises:
        ValueError: a size does not fit.
    """

    def __init__(
        self,
        input_size: int = 1,
        conv_layers: Sequence[Sequence[int]] = CONV_LAYERS,
        conv_bias: bool = False,
        attention_dim: int = 768,
        attention_heads: int = 12,
        linear_units: int = 3072,
        num_blocks: int = 12,
        position_kernel: int = 19,
        position_groups: int = 16,
        standardize: bool = False,
    ) -> None:
        super().__init__(
            input_size,
            conv_layers,
            "layer",
            conv_bias,
            attention_dim,
            attention_heads,
            linear_units,
            num_blocks,
            position_kernel,
            position_groups,
            norm_first=False,
            standardize=standardize,
        )

    def make_position(self, size: int, kernel: int, groups: int) -> nn.Module:
        """As of Wav2Vec2."""
        return PositionStack(size, kernel, groups)


class PositionStack(nn.ModuleList):
    """Convolutions over time one after the other, each with a norm over channels (without weights) and GELU.

    Args:
        size: D.
        kernel: of each.
        groups: of each.
    """

    def __init__(self, size: int, kernel: int, groups: int) -> None:
        convs = (PositionConv(size, size, kernel, padding=kernel // 2, groups=groups) for _ in range(POSITION_LAYERS))
        super().__init__(convs)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map x (B, U, D), zero on padding, and its mask (B, U, 1) to the same shape."""
        for conv in self:
            y = conv.convolve(x)
            # Masked again and again: padding must stay zero for the next one.
            x = functional.gelu(functional.layer_norm(y, y.shape[2:])) * mask
        return x
