# Copyright 2026 The hasrd authors
# Apache-2.0
"""Checkpoints that survive a kill at any moment, also during a save."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from hasrd.data.atomic import atomic_path


def save(value: Any, path: str | Path) -> None:
    """`torch.save` under the final name only when complete.

    Raises:
        OSError: ENOSPC when the disk is full (torch reports it as a RuntimeError without saying so).
    """
    try:
        with atomic_path(path) as temporary:
            torch.save(value, temporary)
    except RuntimeError as error:
        folder = Path(path).parent
        if "PytorchStreamWriter" in str(error) or "inline_container" in str(error):
            if shutil.disk_usage(folder).free < 64 * 2**20:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def link(path: Path, target: str) -> None:
    """Point the symbolic link `path` at `target` in one step: there is never a moment without it."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    os.replace(temporary, path)
