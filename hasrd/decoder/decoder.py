# Copyright 2026 The hasrd authors
# Apache-2.0
"""What every decoder is: one latent vector a token in, a waveform out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Decoder(nn.Module, ABC):
    """Latents to a waveform.

    A subclass is built as `Decoder(input_size, **conf)`, where input_size is D of the latents.

    Attributes:
        hop: samples a token.
        input_dtype: type of the latents that it takes in inference; None: that of its weights.
        float32_parts: names of the modules, parameters and buffers that stay in float32 in an inference in bfloat16.
    """

    hop: int
    input_dtype: torch.dtype | None = None
    float32_parts: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, latent: Tensor) -> Tensor:
        """Decode latent (B, U, D) to a waveform (B, U * hop), float32 in [-1, 1]."""
