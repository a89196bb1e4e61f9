# Copyright 2026 The hasrd authors
# Apache-2.0
"""Checkpoints that survive a kill at any moment, also during a save, and that hold tensors and plain data alone.

So a training is resumed with torch's restricted loader, which runs nothing.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Mapping

import numpy as np
import torch

from hasrd.errors import UserError, chain
from hasrd.jobs.atomic import atomic_path
from hasrd.models.weights import read_torch

# The one key of the mapping that stands for the time that an epoch took, in ESPnet's reporter.
_TIME = "hasrd.train.checkpoint: days, seconds, microseconds"


def save(value: Any, path: str | Path) -> None:
    """`torch.save` under the final name only when complete.

    Raises:
        OSError: The disk is full, or writing fails in another way; names `path`.
    """
    with atomic_path(path) as temporary:
        try:
            # Through a file of Python's: where torch opens it, a full disk is a RuntimeError that does not say so.
            with open(temporary, "wb") as file:
                torch.save(value, file)
        except (OSError, RuntimeError) as error:
            # torch reports its own error on top of the system's.
            cause = next((one for one in chain(error) if isinstance(one, OSError)), None)
            if cause is None:
                raise
            raise OSError(cause.errno, cause.strerror, str(path)) from error


def save_training(states: Mapping[str, Any], path: str | Path) -> None:
    """`save` the states of a training: "model", "reporter", "optimizers", "schedulers" and "scaler".

    Raises:
        TypeError: There is something in them that is neither a tensor nor plain data.
        OSError: As of `save`.
    """
    save({name: state if name == "model" else _plain(state) for name, state in states.items()}, path)


def read_training(path: str | Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read what `save_training` wrote.

    Raises:
        UserError: Damaged, or with classes in it, as ESPnet and the first releases of hasrd wrote them.
    """
    advice = (
        "it is damaged, or of an older release, whose checkpoints would have to be run: use another --tag, or remove "
        "its folder, to train from the start"
    )
    states = read_torch(path, device, advice)
    if not isinstance(states, dict) or not {"model", "reporter", "optimizers", "schedulers", "scaler"} <= states.keys():
        raise UserError(f"{path}: no state of a training: {advice}")
    return {name: state if name == "model" else _unplain(state) for name, state in states.items()}


def _plain(value: Any) -> Any:
    """Return the same with numbers of Python in the place of numpy's, and dictionaries in that of other mappings."""
    if isinstance(value, timedelta):
        return {_TIME: [value.days, value.seconds, value.microseconds]}
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if value is None or isinstance(value, (torch.Tensor, bool, int, float, str)):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be kept in a checkpoint")


def _unplain(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_TIME}:
            return timedelta(*value[_TIME])
        return {key: _unplain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_unplain(item) for item in value)
    return value
