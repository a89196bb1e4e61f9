# Copyright 2026 The hasrd authors
# Apache-2.0
"""A weight that changes over the training."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor, nn


class Schedule(nn.Module):
    """A number, or straight lines between points.

    Args:
        points: the number, or [[step, value], ...] with rising steps; before the first and after the last point the
            value stays.

    Raises:
        ValueError: No such points.
    """

    def __init__(self, points: float | Sequence[Sequence[float]]) -> None:
        super().__init__()
        rows = [[0, points]] if isinstance(points, (int, float)) else [list(point) for point in points]
        if not rows or any(len(row) != 2 for row in rows) or any(a[0] >= b[0] for a, b in zip(rows, rows[1:])):
            raise ValueError(f"weight {points}: give a number, or [[step, value], ...] with rising steps")
        # Settings, not state: a resumed training takes those of its configuration.
        steps, values = torch.tensor(rows, dtype=torch.float32).T.contiguous()
        self.register_buffer("steps", steps, persistent=False)
        self.register_buffer("values", values, persistent=False)

    def forward(self, step: Tensor) -> Tensor:
        """Return the value (a scalar) at step (a scalar), without waiting for the device."""
        share = ((step - self.steps[:-1]) / self.steps.diff()).clamp(0.0, 1.0)
        return self.values[0] + (share * self.values.diff()).sum()
