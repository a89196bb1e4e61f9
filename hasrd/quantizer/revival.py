# Copyright 2026 The hasrd authors
# Apache-2.0
"""New places for the entries of a codebook that are hardly used."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Revival(nn.Module):
    """Put an entry that is used less often than a share of the average one where a vector of the batch is.

    Gradients do not reach an entry that is not used. Several processes replace the same entries, by vectors of the
    first.

    Args:
        codebook_size: K.
        share: of the average use; 0 replaces nothing.
        decay: of the running mean of the uses a step.
    """

    def __init__(self, codebook_size: int, share: float, decay: float = 0.99) -> None:
        super().__init__()
        self.share = share
        self.decay = decay
        self.register_buffer("counts", torch.ones(codebook_size))

    @torch.no_grad()
    def forward(self, codebook: Tensor, x: Tensor, codes: Tensor, mask: Tensor) -> Tensor:
        """Count a step's codes and replace what is dead, in place; return how many entries were (a scalar).

        Args:
            codebook: (K, d).
            x: (B, U, d) what was looked up.
            codes: (B, U).
            mask: (B, U), true on valid frames.
        """
        mask = mask & torch.isfinite(x).all(dim=-1)
        x = x.detach().masked_fill(~mask[..., None], 0.0)
        counts = totals(x[..., :0], codes, mask, len(codebook))[1]
        self.counts.lerp_(counts, 1.0 - self.decay)
        average = self.counts.mean()
        dead = self.counts < self.share * average
        codebook.copy_(torch.where(dead[:, None], from_first_process(draw(x, mask, len(codebook))), codebook))
        self.counts.copy_(torch.where(dead, average, self.counts))
        return dead.sum()


def draw(x: Tensor, mask: Tensor, number: int) -> Tensor:
    """Return `number` vectors (number, D), drawn from the frames of x (B, U, D) where mask (B, U) is true.

    None comes twice before all have come; the host does not wait for the device.
    """
    mask = mask.flatten()
    order = torch.rand(len(mask), device=x.device).masked_fill(~mask, 2.0).argsort()
    place = torch.arange(number, device=x.device) % mask.sum().clamp(min=1)
    return x.flatten(0, 1)[order[place]]


def totals(x: Tensor, codes: Tensor, mask: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Sum the frames x (B, U, D) of each code; return sums (K, D) and counts (K,) over all processes.

    Args:
        x: (B, U, D).
        codes: (B, U).
        mask: (B, U), which frames count.
        size: K.
    """
    weight = mask.flatten().to(x.dtype)
    # Counts as one more dimension: one tensor to sum over the processes.
    rows = torch.cat([x.flatten(0, 1) * weight[:, None], weight[:, None]], dim=1)
    sums = rows.new_zeros(size, rows.shape[1]).index_add_(0, codes.flatten(), rows)
    if dist.is_initialized():
        dist.all_reduce(sums)
    return sums[:, :-1], sums[:, -1]


def from_first_process(x: Tensor) -> Tensor:
    """Return the first process's x, where there are several."""
    if dist.is_initialized():
        dist.broadcast(x, 0)
    return x
