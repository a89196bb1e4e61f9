# Copyright 2026 The hasrd authors
# Apache-2.0
"""Vectors at a lower rate: averaged over groups of frames, and held for as long."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def pool(x: Tensor, mask: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Average x over groups of frames, from the first frame on.

    Args:
        x: (B, U, D).
        mask: (B, U), true on the frames that count.
        stride: G, frames a group.

    Returns:
        Means (B, ceil(U / G), D), zero where no frame of a group counts, and where one does, (B, ceil(U / G)).
    """
    if stride == 1:
        return x, mask
    spare = (x.shape[1] + stride - 1) // stride * stride - x.shape[1]
    groups = F.pad(x * mask[..., None], (0, 0, 0, spare)).unflatten(1, (-1, stride))
    counts = F.pad(mask, (0, spare)).unflatten(1, (-1, stride)).sum(2)
    return groups.sum(2) / counts.clamp(min=1)[..., None], counts > 0


def hold(x: Tensor, stride: int, frames: int) -> Tensor:
    """Repeat each of x (B, ceil(U / stride), ...) `stride` times, for `frames` = U in all."""
    return x if stride == 1 else x.repeat_interleave(stride, dim=1)[:, :frames]
