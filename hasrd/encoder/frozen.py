# Copyright 2026 The hasrd authors
# Apache-2.0
"""A trained module as a fixed part of another model."""

from __future__ import annotations

from typing import Any, Callable

import torch
from torch import nn


class Frozen(nn.Module):
    """Keep a module as it is inside a model that trains.

    It stays in eval mode, gets no gradients and has no tensors in the surrounding model's
    parameters or state dict: nothing that walks these (an optimiser, an initialiser, a checkpoint)
    can change it, and a state dict that holds it is refused by strict loading. It still follows
    `.to()` and is part of copies. Its attributes can be read as the module's own.

    Args:
        module: The trained module; used as it is, not copied.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        # In a tuple, or nn.Module would register it as a part.
        self._held = (module.eval().requires_grad_(False),)

    @property
    def module(self) -> nn.Module:
        """The module inside."""
        return self.__dict__["_held"][0]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module without building a graph."""
        with torch.no_grad():
            return self.module(*args, **kwargs)

    def _apply(self, fn: Callable, recurse: bool = True) -> Frozen:
        # Every move between devices and types goes through here; parts are visited by this name.
        self.module._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def __getattr__(self, name: str) -> Any:
        # While a copy is made or unpickled there is nothing to ask yet.
        if "_held" not in self.__dict__ or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.module, name)
