# Copyright 2026 The hasrd authors
# Apache-2.0
"""What every encoder is: features to latent frames at the token rate."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from hasrd.encoder.layers import count_windows
from hasrd.encoder.output import EncoderOutput


class Encoder(nn.Module, ABC):
    """Features to the layers of latent frames, one frame a token.

    A subclass is built as `Encoder(input_size, **conf)`, where input_size is F of the features.

    Attributes:
        output_size: D of every layer.
        num_layers: layers that it returns.
        stride: input frames a token.
        input_window: input frames that the first token needs.
        input_dtype: type of the features that it takes in inference; None: that of its weights.
        float32_parts: names of the modules, parameters and buffers that stay in float32 in an inference in bfloat16.
    """

    output_size: int
    num_layers: int
    stride: int
    input_window: int
    input_dtype: torch.dtype | None = None
    float32_parts: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, feats: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode a batch; padding never changes an utterance's output, and outputs past its length are zero.

        Args:
            feats: (B, T, F).
            lengths: (B,) valid frames.

        Returns:
            `num_layers` tensors (B, num_tokens(T), D), from input to output, and their lengths.
        """

    def num_tokens(self, frames: int | Tensor) -> int | Tensor:
        """Return the tokens of so many input frames (an int or a tensor of any shape)."""
        return count_windows(frames, self.input_window, self.stride)
