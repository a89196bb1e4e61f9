# Copyright 2026 The hasrd authors
# Apache-2.0
"""Files and folders that appear under their final name only when they are complete.

They are made under a name that nobody can foresee, in the folder where they will lie, with the rights that the
process's umask gives. What a killed process left there is removed by the next one that writes into the folder: once in
each process, as a folder may have millions of files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Iterator

# A temporary file of another machine that is older is nobody's any more.
ABANDONED_SECONDS = 7 * 24 * 3600
# Name of a temporary file: of what, by which host and process.
_TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{12}-([0-9a-f]{8})-([0-9]+)-")
# Folders in which this process has looked for what killed ones left: device and inode.
_tidied: set[tuple[int, int]] = set()


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give the path of a new, empty temporary file beside `path`; it becomes `path` when the block succeeds.

    A process killed inside the block leaves `path` as it was. The file is flushed to disk before the rename, so a crash
    of the machine leaves either the old or the new file, never half of one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _tidy(path.parent)
    temporary = _temporary(path)
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        # Some writers (safetensors) put a file of their own, with narrower rights, in its place.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, within: Path | None = None) -> Iterator[Path]:
    """Give a new, empty temporary folder beside `path`; it becomes `path` when the block succeeds.

    `path` must not be there, or be an empty folder: otherwise OSError is raised. All files are flushed to disk before.

    Args:
        within: Where it is made, on the same file system; None: beside `path`.
    """
    path = Path(path)
    home = path.parent if within is None else within
    home.mkdir(parents=True, exist_ok=True)
    _tidy(home)
    temporary = home / _temporary(path).name
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                os.chmod(file, 0o666 & ~_umask())
                with open(file, "rb") as opened:
                    os.fsync(opened.fileno())
        os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Remove a folder; it is out of the way in one step, so that a kill leaves no half folder under its name."""
    away = _temporary(path)
    os.rename(path, away)
    shutil.rmtree(away, ignore_errors=True)


def replace_link(path: Path, target: str) -> None:
    """Point the symbolic link `path` at `target` in one step: there is never a moment without it."""
    temporary = _temporary(path)
    temporary.symlink_to(target)
    try:
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


def _umask() -> int:
    # There is no way to read it but to set it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _temporary(path: Path) -> Path:
    # The suffix stays last: writers such as numpy.savez append their own where it is missing.
    suffix = path.suffix if len(os.fsencode(path.suffix)) < 64 else ""
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]
    return path.with_name(f".tmp-{name}-{_host()}-{os.getpid()}-{secrets.token_hex(8)}{suffix}")


def _tidy(folder: Path) -> None:
    """Remove what killed processes left in a folder, the first time that this process writes there."""
    status = os.stat(folder)
    identity = (status.st_dev, status.st_ino)
    if identity not in _tidied:
        _tidied.add(identity)
        remove_abandoned(folder)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files and folders in a folder whose processes are gone; what may not be removed stays."""
    try:
        with os.scandir(folder) as entries:
            found = [match for entry in entries if (match := _TEMPORARY.match(entry.name))]
    except OSError:
        return
    for match in found:
        left = folder / match.string
        if not _is_abandoned(left, *match.groups()):
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(OSError):
                left.unlink()


def _is_abandoned(left: Path, host: str, process: str) -> bool:
    if host != _host():
        try:
            return time.time() - left.lstat().st_mtime > ABANDONED_SECONDS
        except OSError:
            return False
    try:
        os.kill(int(process), 0)
        # A killed process keeps its number until its parent takes note of the end.
        state = Path(f"/proc/{int(process)}/stat").read_bytes().rpartition(b")")[2].split()[0]
        return state in (b"Z", b"X")
    except ProcessLookupError:
        return True
    except (OSError, ValueError, OverflowError, IndexError):
        return False
