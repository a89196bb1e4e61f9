# Copyright 2026 The hasrd authors
# Apache-2.0
"""Nearest-centroid assignment."""

from __future__ import annotations

import torch
from torch import Tensor

from hasrd.encoder.tiles import whole

# Elements of one product: 64 MiB. At 8192 centroids and 10 minutes of tokens one piece would take
# 600 MiB.
_MAX_ELEMENTS = 1 << 24


@torch.no_grad()
def assign(x: Tensor, centroids: Tensor) -> Tensor:
    """Return the index of the nearest (Euclidean) centroid of every vector.

    |x - c|^2 = |x|^2 - 2 x.c + |c|^2, and |x|^2 is the same for every centroid: one matrix product
    and no (N, K, D) array. In float32 whatever autocast says, because bfloat16 changes tokens.

    Args:
        x: (N, D).
        centroids: (K, D).

    Returns:
        (N,) long; the lowest index on a tie.
    """
    with torch.autocast(x.device.type, enabled=False):
        x, centroids = x.float(), centroids.float()
        norms = centroids.square().sum(dim=1)
        rows = max(1, _MAX_ELEMENTS // len(centroids))
        pieces = (x,) if whole() else x.split(rows)
        parts = [torch.addmm(norms, part, centroids.t(), alpha=-2.0).argmin(dim=1) for part in pieces]
    return parts[0] if len(parts) == 1 else torch.cat(parts)
