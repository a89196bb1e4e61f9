# Copyright 2026 The hasrd authors
# Apache-2.0
"""Normalisation of features to mean 0 and variance 1."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn

from hasrd.encoder.layers import length_mask
from hasrd.errors import UserError

# A bin that never changes (digital silence) is mapped to 0, not to amplified rounding errors.
STD_FLOOR = 1e-5


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
        try:
            with np.load(path) as stats:
                count, total, square = (stats[key] for key in ("count", "sum", "sum_square"))
        except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
            raise UserError(
                f"{path}: no feature statistics (an .npz with count, sum and sum_square): {error}; "
                "run the statistics stage again"
            ) from error
        if not (count > 0 and np.isfinite(total).all() and np.isfinite(square).all()):
            raise UserError(f"{path}: the feature statistics are empty or not finite")
        mean = total / count
        return cls(mean, np.sqrt(np.maximum(square / count - mean**2, 0.0)))

    def forward(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise feats (B, T, F); padding is zero afterwards, lengths (B,) are kept."""
        mask = length_mask(lengths, feats.shape[1])[..., None]
        normalised = (feats.float() - self.mean) / self.std.clamp(min=STD_FLOOR)
        return normalised.masked_fill(~mask, 0.0), lengths
