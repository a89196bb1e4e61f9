# Copyright 2026 The hasrd authors
# Apache-2.0
"""Learning rates that change with every update and are a function of the number of updates alone.

ESPnet steps torch's `ExponentialLR` and `CosineAnnealingLR` once an epoch, so that their meaning depends on how many
steps an epoch has. These are stepped once an update, and a training that goes on has the rates that an uninterrupted
one has.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler
from torch.optim.lr_scheduler import LRScheduler

from hasrd.errors import UserError


class UpdateSchedule(LRScheduler, AbsBatchStepScheduler):
    """Base: the rate of each parameter group is the optimiser's `lr` times `factor(update)`.

    Attributes:
        total: Updates of the whole training, which the trainer states by `plan` before the first one; None before that.
        needs_total: Whether the rates depend on it.
    """

    total: int | None = None
    needs_total = True

    def factor(self, update: int) -> float:
        """Return what the rate of update `update` (0 is the first one) is multiplied by."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        """Return the rate of each parameter group for the next update."""
        return [rate * self.factor(self.last_epoch) for rate in self.base_lrs]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the state of a checkpoint.

        Raises:
            ValueError: It is of another schedule, which may have counted epochs.
        """
        if state.keys() != self.state_dict().keys() | {"total"}:
            raise ValueError("the learning rate had another schedule")
        super().load_state_dict(state)

    def plan(self, total: int) -> int | None:
        """State how many updates the whole training has; the rate of the next one follows from that.

        Returns:
            The number that was stated when the checkpoint was written from which this training goes on; None without.
        """
        before, self.total = self.total, total
        for group, rate in zip(self.optimizer.param_groups, self.get_lr()):
            group["lr"] = rate
        self._last_lr = self.get_lr()
        return before


class ExponentialUpdateLR(UpdateSchedule):
    """Multiply the rate by `gamma` after each update (DAC: 0.999996).

    Args:
        optimizer: Its `lr` is the first rate.
        gamma: Factor an update.

    Raises:
        UserError: A factor that is not above 0 and at most 1.
    """

    needs_total = False

    def __init__(self, optimizer: torch.optim.Optimizer, gamma: float = 0.999996, last_epoch: int = -1):
        if not 0 < gamma <= 1:
            raise UserError(f"--scheduler_conf gamma={gamma}: a factor an update, above 0 and at most 1")
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, update: int) -> float:
        """Return gamma ** update."""
        return self.gamma**update


class WarmupCosineLR(UpdateSchedule):
    """Rise linearly to the optimiser's `lr`, then fall along half a cosine until the training's last update.

    Both parts are shares of the whole training (max_epoch x num_iters_per_epoch / accum_grad updates), so that a longer
    training has a longer warm-up and a slower decay.

    Args:
        optimizer: Its `lr` is the highest rate.
        warmup: Share of the updates that the rise takes, at least 0 and below 1.
        final: Rate at the end, as a share of the highest.

    Raises:
        UserError: A share outside of its range.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, warmup: float = 0.1, final: float = 0.01, last_epoch: int = -1
    ):
        if not (0 <= warmup < 1 and 0 <= final <= 1):
            raise UserError(
                f"--scheduler_conf warmup={warmup} final={final}: shares, of the updates (below 1) and of the rate"
            )
        self.warmup = warmup
        self.final = final
        super().__init__(optimizer, last_epoch)

    def factor(self, update: int) -> float:
        """Return the share of the highest rate; 1 as long as the length of the training is not known."""
        if self.total is None:
            return 1.0
        rise = round(self.warmup * self.total)
        if update < rise:
            return (update + 1) / (rise + 1)
        done = min(1.0, (update - rise) / max(1, self.total - rise))
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * done))


# What ESPnet's own choices of --scheduler and --scheduler2 lack, by name.
SCHEDULERS = {"exponentialupdatelr": ExponentialUpdateLR, "warmupcosinelr": WarmupCosineLR}
