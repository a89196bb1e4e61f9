# Copyright 2026 The hasrd authors
# Apache-2.0
"""BEST-RQ's random-projection quantizer, which makes the targets of the pre-training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hasrd.quantizer.kmeans import assign


class RandomProjectionQuantizer(nn.Module):
    """Label stacked frames with the nearest entry of a random codebook (Chiu et al. 2022).

    Projection and codebook are drawn once from `seed`, whatever the state of the global generator,
    and never trained. Sizes: HASRD section 2.1 (4 frames); the 8192 entries of 16
    dimensions and the initialisations are BEST-RQ's.

    Args:
        input_size: F, features of a frame.
        stack: frames a label.
        codebook_dim: dimensions after the projection.
        codebook_size: number of labels.
        seed: of the projection and the codebook.
    """

    def __init__(
        self,
        input_size: int = 80,
        stack: int = 4,
        codebook_dim: int = 16,
        codebook_size: int = 8192,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.stack = stack
        self.codebook_size = codebook_size
        generator = torch.Generator().manual_seed(seed)
        projection = torch.empty(input_size * stack, codebook_dim)
        nn.init.xavier_uniform_(projection, generator=generator)
        codebook = torch.randn(codebook_size, codebook_dim, generator=generator)
        self.register_buffer("projection", projection)
        self.register_buffer("codebook", F.normalize(codebook, dim=-1))

    @torch.no_grad()
    def forward(self, feats: Tensor) -> Tensor:
        """Label features that are normalised and not masked.

        Args:
            feats: (B, T, F).

        Returns:
            (B, T // stack) long. Labels of padding mean nothing: mask them out.
        """
        batch, frames, size = feats.shape
        tokens = frames // self.stack
        with torch.autocast(feats.device.type, enabled=False):
            stacked = feats[:, : tokens * self.stack].float()
            stacked = stacked.reshape(batch * tokens, self.stack * size)
            # Nearest by cosine: both sides have norm 1 over the feature axis.
            projected = F.normalize(stacked @ self.projection, dim=-1)
        return assign(projected, self.codebook).view(batch, tokens)
