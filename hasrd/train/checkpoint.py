# Copyright 2026 The hasrd authors
# Apache-2.0
"""Checkpoints that survive a kill at any moment, also during a save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hasrd.jobs.atomic import atomic_path


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
            cause = _os_error(error)
            if cause is None:
                raise
            raise OSError(cause.errno, cause.strerror, str(path)) from error


def _os_error(error: BaseException | None) -> OSError | None:
    """The system's error that `error` is or was raised while handling: torch reports its own on top of it."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error
