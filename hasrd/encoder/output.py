# Copyright 2026 The hasrd authors
# Apache-2.0
"""What every encoder returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass
class EncoderOutput:
    """Latent frames of each layer.

    Attributes:
        layers: num_layers tensors (B, U, D), from input to output, zero on padding.
        lengths: (B,) valid latent frames of each utterance.
    """

    layers: tuple[Tensor, ...]
    lengths: Tensor

    @property
    def last(self) -> Tensor:
        """The last layer, (B, U, D)."""
        return self.layers[-1]


def num_tokens(encoder: nn.Module, frames: int | Tensor) -> int | Tensor:
    """Return the latent frames of so many input frames (an int or a tensor of any shape).

    That is frames // stride, unless the encoder has a `num_tokens` of its own (convolutions without padding).
    """
    count = getattr(encoder, "num_tokens", None)
    return frames // encoder.stride if count is None else count(frames)
