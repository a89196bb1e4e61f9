# Copyright 2026 The hasrd authors
# Apache-2.0
"""One writer at a time: a lock on a file or folder, which ends with the process that holds it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from hasrd.errors import UserError

# What file systems without locks answer (some network file systems, some containers).
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_said_no_locks = False
# Descriptors of the locks that this process holds.
_held: set[int] = set()


@contextmanager
def exclusive(path: str | Path, part: str = "", wait: bool = False) -> Iterator[None]:
    """Hold the lock of a file or folder that is written to; a second process ends at once and says who holds it.

    The lock is the kernel's (flock): it dies with its process, however that ends. Its file is hidden, lies in the
    folder (of a file, beside it) and is removed at the end.

    Args:
        path: What is written to: a folder that exists, or else a file.
        part: Several parts of one folder can be written to at the same time, each under a lock of its own.
        wait: Wait for the other process: of what is held for moments.

    Raises:
        UserError: Another process holds the lock, and this one does not wait.
    """
    path = Path(path)
    name = ".lock" if path.is_dir() else f".{path.name[:200]}.lock"
    place = (path if path.is_dir() else path.parent) / f"{name}{part}"
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(place, path, wait)
    if descriptor is not None:
        _held.add(descriptor)
    try:
        yield
    finally:
        if descriptor is not None and descriptor in _held:
            _held.remove(descriptor)
            # While it is held: whoever waits for the same file finds that it is gone, and makes a new one.
            place.unlink(missing_ok=True)
            os.close(descriptor)


def _acquire(place: Path, path: Path, wait: bool) -> int | None:
    while True:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            holder = _read(descriptor)
            os.close(descriptor)
            if error.errno in _NO_LOCKS:
                _say_no_locks(place)
                return None
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise UserError(f"{path}: {holder} is writing there: wait for it, end it, or choose another name") from None
        try:
            current = os.stat(place, follow_symlinks=False).st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            current = False
        if current:
            break
        # The one who held it has just removed it.
        os.close(descriptor)
    facts = {"pid": os.getpid(), "host": socket.gethostname(), "command": _command(), "since": time.strftime("%F %T")}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(facts).encode(), 0)
    return descriptor


def _command() -> str:
    program = Path(sys.argv[0])
    words = [program.name if program.suffix != ".py" else f"hasrd {program.stem.replace('_', '-')}", *sys.argv[1:2]]
    return " ".join(words)[:100]


def _read(descriptor: int) -> str:
    """Say who holds the lock, as far as the file tells."""
    try:
        facts = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {facts['pid']} on {facts['host']} ({facts['command']}, since {facts['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _say_no_locks(place: Path) -> None:
    global _said_no_locks
    if not _said_no_locks:
        _said_no_locks = True
        print(
            f"note: {place.parent}: this file system has no locks: see to it that no two runs write here at once",
            file=sys.stderr,
        )


def _let_go() -> None:
    """In a forked child (a loader of data): the lock is its parent's alone, and dies with that one."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
