# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a quantizer returns in training, and how far a batch uses its codebooks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Sequence

import torch
from torch import Tensor


@dataclass
class QuantizerOutput:
    """A batch after quantization, with its losses.

    Attributes:
        latent: (B, U, D) sum of the quantized streams, straight-through.
        codes: (B, U, M) long; zero on padding.
        commitment_loss: scalar; draws the encoder to the codes. Sum over codebooks of the means
            over valid frames.
        codebook_loss: scalar; draws the codes to the encoder.
        stats: scalars without gradients, to be shown beside the losses.
        levels: (B, U, D), straight-through: what streams that a teacher can be distilled into add to the latent.
    """

    latent: Tensor
    codes: Tensor
    commitment_loss: Tensor
    codebook_loss: Tensor
    stats: dict[str, Tensor] = field(default_factory=dict)
    levels: dict[str, Tensor] = field(default_factory=dict)


@torch.no_grad()
def usage_stats(codes: Tensor, mask: Tensor, sizes: Sequence[int]) -> dict[str, Tensor]:
    """Count what a batch uses of each codebook, without waiting for the device.

    Args:
        codes: (B, U, M) long.
        mask: (B, U) bool, true on valid frames.
        sizes: entries of each of the M codebooks.

    Returns:
        "used_<m>", the number of different codes, and "perplexity_<m>", exp of their entropy.
    """
    stats = {}
    weight = mask.flatten().float()
    for m, size in enumerate(sizes):
        counts = weight.new_zeros(size).index_add_(0, codes[..., m].flatten(), weight)
        share = counts / counts.sum().clamp(min=1.0)
        stats[f"used_{m}"] = (counts > 0).sum().float()
        stats[f"perplexity_{m}"] = torch.special.entr(share).sum().exp()
    return stats


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of values (B, U) where mask (B, U) is true, a scalar; 0 where it is so nowhere."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def rms(x: Tensor, mask: Tensor) -> Tensor:
    """Return the root mean square of x (B, U, D) where mask (B, U) is true, a scalar."""
    return masked_mean(x.square().mean(dim=-1), mask).sqrt()
