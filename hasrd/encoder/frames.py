# Copyright 2026 The hasrd authors
# Apache-2.0
"""No encoder: frames of features as they come, so that k-means, probes and measures take features like any layer."""

from __future__ import annotations

from torch import Tensor

from hasrd.encoder.layers import length_mask
from hasrd.encoder.output import EncoderOutput
from hasrd.encoder.standardize import StandardizedEncoder


class Frames(StandardizedEncoder):
    """Every `stride`-th frame of the features, as the only layer.

    Args:
        input_size: Features F of a frame; D is the same.
        stride: Frames a token.
        standardize: See `StandardizedEncoder`.
    """

    input_window = 1

    def __init__(self, input_size: int, stride: int = 1, standardize: bool = False) -> None:
        super().__init__(input_size, 1, standardize)
        self.stride = stride

    def forward(self, feats: Tensor, lengths: Tensor) -> EncoderOutput:
        """Take frames out of feats (B, T, F): one layer (B, num_tokens(T), F)."""
        lengths, frames = self.num_tokens(lengths), feats[:, :: self.stride]
        frames = frames.masked_fill(~length_mask(lengths, frames.shape[1])[..., None], 0.0)
        return self.output([frames], lengths, frames.shape[1])
