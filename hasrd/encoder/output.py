# Copyright 2026 The hasrd authors
# Apache-2.0
"""What every encoder returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


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
