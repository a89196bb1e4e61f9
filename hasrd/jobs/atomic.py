# Copyright 2026 The hasrd authors
# Apache-2.0
"""Files that appear under their final name only when they are complete."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterable, Iterator


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block succeeds.

    A process killed inside the block leaves `path` as it was. The file is flushed to disk before the rename, so a crash
    of the machine leaves either the old or the new file, never half of one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: writers such as numpy.savez append their own where it is missing. The name has no process
    # number in it, so that what a killed process left is overwritten by the next one.
    temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON to `path` atomically; NaN and infinity are refused (ValueError)."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def up_to_date(outputs: Iterable[Path], sources: Iterable[Path]) -> bool:
    """Whether all outputs are there and none is older than a source."""
    outputs, sources = list(outputs), list(sources)
    if not all(path.exists() for path in outputs + sources):
        return False
    return min(path.stat().st_mtime_ns for path in outputs) >= max(path.stat().st_mtime_ns for path in sources)
