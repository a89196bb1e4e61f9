# Copyright 2026 The hasrd authors
# Apache-2.0
"""All files below a folder, linked folders included: how every part that searches folders finds its files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

from hasrd.errors import UserError


def walk_files(root: str | Path) -> Iterator[Path]:
    """Yield the paths of all files below `root`, folder by folder in the order of their names.

    Links to folders are followed, except one that leads back to a folder around it: its files are found there already.
    A link to nothing is yielded, so that what reads it says that it is missing.

    Raises:
        UserError: A folder can't be read.
    """
    yield from _walk(Path(root), frozenset())


def _walk(folder: Path, around: frozenset[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in around:
            return
        with os.scandir(folder) as entries:
            # `DirEntry.is_dir` raises for a link to itself.
            found = sorted(
                (entry.name, os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()) for entry in entries
            )
    except OSError as error:
        raise UserError(f"{folder}: the folder cannot be read ({error.strerror})") from None
    for name, is_folder in found:
        if is_folder:
            yield from _walk(folder / name, around | {identity})
        else:
            yield folder / name
