# Copyright 2026 The hasrd authors
# Apache-2.0
"""The encoder of Whisper (Radford et al. 2022), to be used frozen; in torch alone.

It was trained with transcripts, and on audio padded to 30 s. Here the audio is encoded as it is: padding never counts,
and an utterance of any length gets a token for each 20 ms.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from hasrd.encoder.layers import length_mask
from hasrd.encoder.output import EncoderOutput
from hasrd.encoder.standardize import StandardizedEncoder
from hasrd.encoder.transformer_block import Block


class WhisperEncoder(StandardizedEncoder):
    """Two convolutions, sinusoidal positions, a Transformer; returns its input and each block's output.

    The last layer is normalised, as in transformers. The defaults are those of `tiny`.

    Args:
        input_size: bins F of the log-mel frontend, 80 or 128.
        attention_dim: D.
        attention_heads: H; D must be a multiple of it.
        num_blocks: L; num_layers is L + 1.
        standardize: See `StandardizedEncoder`. Whisper's dimensions differ by factors of hundreds.

    Raises:
        ValueError: a size does not fit.
    """

    stride = 2
    input_window = 1

    def __init__(
        self,
        input_size: int,
        attention_dim: int = 384,
        attention_heads: int = 6,
        num_blocks: int = 4,
        standardize: bool = False,
    ) -> None:
        super().__init__(attention_dim, num_blocks + 1, standardize)
        if attention_dim % attention_heads or attention_dim % 2:
            raise ValueError(f"attention_dim {attention_dim} is no even multiple of {attention_heads} heads")
        self.conv1 = nn.Conv1d(input_size, attention_dim, 3, padding=1)
        self.conv2 = nn.Conv1d(attention_dim, attention_dim, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(
            Block(attention_dim, attention_heads, 4 * attention_dim, norm_first=True) for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(attention_dim)

    def forward(self, feats: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode feats (B, T, F) into num_blocks + 1 layers (B, num_tokens(T), D) of the module's type."""
        num_tokens = self.num_tokens(feats.shape[1])
        # A batch without a frame is padded so that the kernels fit, and cut again.
        feats = functional.pad(feats, (0, 0, 0, max(0, 1 - feats.shape[1])))
        mask = length_mask(lengths, feats.shape[1])[..., None]
        x = feats.masked_fill(~mask, 0.0).to(self.conv1.weight.dtype).mT
        x = functional.gelu(self.conv1(x)) * mask.mT
        x = functional.gelu(self.conv2(x)).mT
        tokens = self.num_tokens(lengths)
        mask = length_mask(tokens, x.shape[1])[..., None]
        x = (x + sinusoids(x.shape[1], x.shape[2], x.device).to(x.dtype)) * mask
        # Something has to be attended to, also in an utterance without tokens.
        keys = length_mask(tokens.clamp(min=1), x.shape[1])[:, None, None]
        layers = [x]
        for block in self.blocks:
            layers.append(x := block(x, keys) * mask)
        layers[-1] = self.norm(x) * mask
        return self.output(layers, tokens, num_tokens)


def sinusoids(length: int, size: int, device: torch.device | None = None) -> Tensor:
    """Return Whisper's positions (length, size): sines of falling frequency, then the cosines of the same."""
    step = math.log(10000) / (size // 2 - 1)
    frequencies = torch.exp(-step * torch.arange(size // 2, device=device, dtype=torch.float64))
    angles = torch.arange(length, device=device, dtype=torch.float64)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()
