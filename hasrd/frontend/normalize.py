# Copyright 2026 The hasrd authors
# Apache-2.0
"""Normalisation of features to mean 0 and variance 1."""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from hasrd.arrays import Array, read_npz
from hasrd.encoder.layers import length_mask
from hasrd.errors import UserError

# A bin that never changes (digital silence) is mapped to 0, not to amplified rounding errors.
STD_FLOOR = 1e-5


STATS = {"count": Array("fiu"), "sum": Array("f", ("F",)), "sum_square": Array("f", ("F",))}


def read_stats(path: str | Path) -> tuple[int, np.ndarray, np.ndarray]:
    """Read feature statistics (.npz): frames, sum and sum of squares (F,) in float64.

    Raises:
        UserError: The file is missing, or is no such file.
    """
    found = read_npz(path, STATS, "file of feature statistics", "run the stage that makes it again")
    return int(found["count"]), found["sum"].astype(np.float64), found["sum_square"].astype(np.float64)


def sum_stats(features: Iterable[np.ndarray]) -> tuple[int, np.ndarray, np.ndarray]:
    """Frames, sum and sum of squares (F,) in float64 over feature matrices (T, F)."""
    count, total, square = 0, 0.0, 0.0
    for feature in features:
        feature = feature.astype(np.float64)
        count += len(feature)
        total = total + feature.sum(0)
        square = square + (feature**2).sum(0)
    return count, np.asarray(total), np.asarray(square)


class UtteranceNorm(nn.Module):
    """Mean 0 and variance 1 per utterance and bin, over valid frames (HASRD's "sentence" norm)."""

    def forward(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise feats (B, T, F); padding is zero afterwards, lengths (B,) are kept."""
        if not feats.shape[1]:
            return feats, lengths
        mask = length_mask(lengths, feats.shape[1])[..., None]
        count = lengths.clamp(min=1)[:, None, None]
        # The first frame is always valid: measured from it a constant bin is exactly 0.
        centred = (feats.float() - feats[:, :1].float()).masked_fill(~mask, 0.0)
        centred = (centred - centred.sum(1, keepdim=True) / count).masked_fill(~mask, 0.0)
        std = (centred.square().sum(1, keepdim=True) / count).sqrt()
        return centred / std.clamp(min=STD_FLOOR), lengths

    def of_whole(self, parts: Iterable[Tensor]) -> GlobalNorm:
        """Return what normalises parts of one utterance by the statistics of all of it.

        Args:
            parts: All of its features, (1, T, F) each.
        """
        return GlobalNorm.from_sums(*sum_stats(part[0].cpu().numpy() for part in parts))


class GlobalNorm(nn.Module):
    """Mean 0 and variance 1 per bin over a whole training set.

    Args:
        mean: (F,) mean of each bin.
        std: (F,) standard deviation of each bin.
    """

    def __init__(self, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32))

    @classmethod
    def from_stats(cls, path: str | Path) -> GlobalNorm:
        """Build it from the statistics file (.npz: count, sum, sum_square) of a collect_stats run.

        Raises:
            UserError: The file is missing, is no such file, or counts no frame.
        """
        count, total, square = read_stats(path)
        if count < 1:
            raise UserError(f"{path}: the feature statistics are of no frame: run the statistics stage again")
        return cls.from_sums(count, total, square)

    @classmethod
    def from_sums(cls, count: int, total: np.ndarray, square: np.ndarray) -> GlobalNorm:
        """Build it from the number of frames and their sums and sums of squares (F,) in float64."""
        mean = total / count
        return cls(mean, np.sqrt(np.maximum(square / count - mean**2, 0.0)))

    def forward(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise feats (B, T, F); padding is zero afterwards, lengths (B,) are kept."""
        mask = length_mask(lengths, feats.shape[1])[..., None]
        normalised = (feats.float() - self.mean) / self.std.clamp(min=STD_FLOOR)
        return normalised.masked_fill(~mask, 0.0), lengths
