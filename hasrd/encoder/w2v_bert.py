# Copyright 2026 The hasrd authors
# Apache-2.0
"""w2v-BERT 2.0 ("Seamless: Multilingual Expressive and Streaming Speech Translation", 2023), to be used frozen.

In torch alone and without what only its training needs. It takes Kaldi's log-mel filterbank of 16-bit samples every 10
ms, each bin normalised over the utterance: frontend `log_mel` with `frame_shift: 160, scale: 32768`, and `normalize:
utterance`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hasrd.encoder.conformer import ConformerBlock
from hasrd.encoder.layers import length_mask
from hasrd.encoder.output import EncoderOutput
from hasrd.encoder.relative import RelativeStack
from hasrd.encoder.standardize import StandardizedEncoder


class W2VBert(StandardizedEncoder):
    """Pairs of frames, a linear layer, Conformer blocks; returns their input and each block's output.

    The blocks' convolutions look back alone, and their attention knows distances up to a limit on either side (Shaw et
    al. 2018). The defaults are those of w2v-BERT 2.0, 580 M parameters.

    Args:
        input_size: bins F of the log-mel frontend.
        attention_dim: D.
        attention_heads: H; D must be a multiple of it.
        linear_units: hidden size of the feed-forward layers.
        num_blocks: L; num_layers is L + 1.
        cnn_module_kernel: of the depthwise convolutions; odd.
        left: tokens before the query that are told apart.
        right: the same behind it.
        standardize: See `StandardizedEncoder`.

    Raises:
        ValueError: a size does not fit.
    """

    stride = input_window = 2

    def __init__(
        self,
        input_size: int = 80,
        attention_dim: int = 1024,
        attention_heads: int = 16,
        linear_units: int = 4096,
        num_blocks: int = 24,
        cnn_module_kernel: int = 31,
        left: int = 64,
        right: int = 8,
        standardize: bool = False,
    ) -> None:
        super().__init__(attention_dim, num_blocks + 1, standardize)
        if attention_dim % 2 or attention_dim % attention_heads:
            raise ValueError(f"attention_dim {attention_dim} must be even and a multiple of {attention_heads} heads")
        if cnn_module_kernel % 2 == 0:
            raise ValueError(f"cnn_module_kernel must be odd, not {cnn_module_kernel}")
        self.project_norm = nn.LayerNorm(self.stride * input_size)
        self.project = nn.Linear(self.stride * input_size, attention_dim)
        blocks = (
            LookBackBlock(attention_dim, attention_heads, linear_units, cnn_module_kernel, left, right)
            for _ in range(num_blocks)
        )
        self.conformer = RelativeStack(attention_dim, blocks, 0.0)

    def forward(self, feats: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode feats (B, T, F) into L + 1 layers (B, T // 2, D) of the module's type."""
        num_tokens = feats.shape[1] // self.stride
        tokens = lengths // self.stride
        mask = length_mask(tokens, num_tokens)[..., None]
        pairs = feats[:, : num_tokens * self.stride].unflatten(1, (num_tokens, self.stride)).flatten(2)
        pairs = pairs.masked_fill(~mask, 0.0).to(self.project.weight.dtype)
        x = self.project(self.project_norm(pairs)) * mask
        return self.output([x, *self.conformer(x, tokens)], tokens, num_tokens)


class LookBackBlock(ConformerBlock):
    """Conformer block with a causal convolution, whose attention takes its positions from a table.

    Args:
        size: D.
        attention_heads: H.
        linear_units: hidden size of the feed-forward layers.
        cnn_module_kernel: of the depthwise convolution.
        left: See `DistanceTable`, as the next one.
        right: See `DistanceTable`.
    """

    def __init__(
        self, size: int, attention_heads: int, linear_units: int, cnn_module_kernel: int, left: int, right: int
    ) -> None:
        super().__init__(size, attention_heads, linear_units, cnn_module_kernel, 0.0, 0.0)
        self.attention.position = DistanceTable(left, right, attention_heads, size // attention_heads)
        self.conv.causal = True


class DistanceTable(nn.Module):
    """A vector for each distance between query and key, up to a limit on either side, the same for all heads.

    Args:
        left: the largest distance of a key before the query.
        right: the same behind it.
        heads: H.
        head_size: D / H.
    """

    def __init__(self, left: int, right: int, heads: int, head_size: int) -> None:
        super().__init__()
        self.left = left
        self.right = right
        self.heads = heads
        self.weight = nn.Parameter(torch.randn(left + 1 + right, head_size))

    def forward(self, positions: Tensor) -> Tensor:
        """Return the vectors (2 T - 1, D) of the distances T - 1, ..., 0, ..., 1 - T, query minus key.

        Of `positions` (2 T - 1, D) the number alone counts.
        """
        num_tokens = len(positions) // 2 + 1
        distance = torch.arange(1 - num_tokens, num_tokens, device=positions.device)
        return self.weight[distance.clamp(-self.left, self.right) + self.left].repeat(1, self.heads)
