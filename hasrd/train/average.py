# Copyright 2026 The hasrd authors
# Apache-2.0
"""A running mean of the weights over the updates, in place of the last ones for validation and use."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator

import torch

from hasrd.errors import UserError


class WeightAverage:
    """Exponential moving average of what an optimiser trains; it follows every update by itself.

    The decay of update t is min(`decay`, (1 + t) / (10 + t)), as in TensorFlow's ExponentialMovingAverage, so that the
    start of a training is forgotten soon.

    Args:
        optimizer: After each of its steps the average moves.
        decay: What an update leaves of the average, at least 0 and below 1.

    Raises:
        UserError: Another decay.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, decay: float):
        if not 0 <= decay < 1:
            raise UserError(f"--weight_average {decay:g}: a decay an update, at least 0 and below 1, for example 0.999")
        self.decay = decay
        self.updates = 0
        self.parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.averages = [parameter.detach().clone() for parameter in self.parameters]
        optimizer.register_step_post_hook(lambda *_: self._follow())

    @torch.no_grad()
    def _follow(self) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.averages, self.parameters, 1.0 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the averages inside of this context, and its own weights again after it."""
        with torch.no_grad():
            own = [parameter.clone() for parameter in self.parameters]
            torch._foreach_copy_(self.parameters, self.averages)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self.parameters, own)

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` takes."""
        return {"updates": self.updates, "averages": self.averages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the state of a checkpoint.

        Raises:
            ValueError: It has other shapes.
        """
        shapes = [average.shape for average in self.averages]
        if [average.shape for average in state["averages"]] != shapes:
            raise ValueError("the averaged weights have other shapes")
        self.updates = state["updates"]
        torch._foreach_copy_(self.averages, state["averages"])
