# Copyright 2026 The hasrd authors
# Apache-2.0
"""Vectors at a lower rate: one for each group of frames, and held for as long."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MeanPool(nn.Module):
    """The mean over each group of frames, from the first frame on.

    Args:
        size: D.
        stride: G, frames a group.
    """

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Make one vector of each group.

        Args:
            x: (B, U, D).
            mask: (B, U), true on the frames that count.

        Returns:
            Vectors (B, ceil(U / G), D), zero where no frame of a group counts, and where one does, (B, ceil(U / G)).
        """
        if self.stride == 1:
            return x, mask
        spare = (x.shape[1] + self.stride - 1) // self.stride * self.stride - x.shape[1]
        groups = F.pad(x * mask[..., None], (0, 0, 0, spare)).unflatten(1, (-1, self.stride))
        inside = F.pad(mask, (0, spare)).unflatten(1, (-1, self.stride))
        return self._join(groups, inside), inside.any(2)

    def _join(self, groups: Tensor, inside: Tensor) -> Tensor:
        """Return a vector (B, V, D) for each group (B, V, G, D) of frames, of which those inside (B, V, G) count."""
        return groups.sum(2) / inside.sum(2).clamp(min=1)[..., None]


class AttentionPool(MeanPool):
    """A mean whose weights depend on the frames: the softmax of a learned linear score. At first it is the mean."""

    def __init__(self, size: int, stride: int) -> None:
        super().__init__(size, stride)
        self.score = nn.Linear(size, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def _join(self, groups: Tensor, inside: Tensor) -> Tensor:
        scores = self.score(groups).squeeze(-1).float().masked_fill(~inside, -torch.inf)
        weights = scores.softmax(2).nan_to_num()  # of a group without frames
        return (groups * weights[..., None].to(groups.dtype)).sum(2)


class ConvolutionPool(MeanPool):
    """A convolution as wide as a group, scaled where frames of a group do not count. At first it is the mean."""

    def __init__(self, size: int, stride: int) -> None:
        super().__init__(size, stride)
        self.join = nn.Linear(stride * size, size, bias=False)
        with torch.no_grad():
            self.join.weight.copy_(torch.eye(size).repeat(1, stride) / stride)

    def _join(self, groups: Tensor, inside: Tensor) -> Tensor:
        return self.join(groups.flatten(2)) * (self.stride / inside.sum(2).clamp(min=1))[..., None]


POOLINGS = {"mean": MeanPool, "attention": AttentionPool, "convolution": ConvolutionPool}


def hold(x: Tensor, stride: int, frames: int) -> Tensor:
    """Repeat each of x (B, ceil(U / stride), ...) `stride` times, for `frames` = U in all."""
    return x if stride == 1 else x.repeat_interleave(stride, dim=1)[:, :frames]
