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
    place = _place(path, part)
    descriptor = _acquire(place, Path(path), wait)
    try:
        yield
    finally:
        _release(place, descriptor)


@contextmanager
def exclusive_shard(path: str | Path, shard: tuple[int, int], part: str = "", of: str = "") -> Iterator[None]:
    """Hold the lock of shard (i, n) of what is written to a folder or file; with n = 1 that is `exclusive`.

    The other shards of n can be written at the same time. The whole cannot, and neither can shards of another number,
    whose parts are others, or shards `of` something else.

    Raises:
        UserError: Another process writes the same shard, the whole, or shards of another number or something else.
    """
    index, count = shard
    if count == 1:
        with exclusive(path, part):
            yield
        return
    place = _place(path, part)

    @contextmanager
    def together() -> Iterator[None]:
        with exclusive(path, f"{part}.shards", wait=True):
            descriptor = _acquire_together(place, Path(path), count, of)
        try:
            yield
        finally:
            with exclusive(path, f"{part}.shards", wait=True):
                _release(place, descriptor)

    with together(), exclusive(path, f"{part}.{index + 1}.{count}"):
        yield


def _place(path: str | Path, part: str) -> Path:
    """Return the file of a lock, whose folder is there."""
    path = Path(path)
    name = ".lock" if path.is_dir() else f".{path.name[:200]}.lock"
    place = (path if path.is_dir() else path.parent) / f"{name}{part}"
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _release(place: Path, descriptor: int | None) -> None:
    if descriptor is None or descriptor not in _held:
        return
    _held.remove(descriptor)
    # While it is held: whoever waits for the same file finds that it is gone, and makes a new one.
    if _take(descriptor, fcntl.LOCK_EX):
        place.unlink(missing_ok=True)
    os.close(descriptor)


def _acquire(place: Path, path: Path, wait: bool) -> int | None:
    descriptor = _lock(place, path, fcntl.LOCK_EX, wait)
    if descriptor is not None:
        _write(descriptor)
    return descriptor


def _acquire_together(place: Path, path: Path, count: int, of: str) -> int | None:
    """Lock together with shards of the same number; no other shard is at this at the same time."""
    descriptor = _lock(place, path, fcntl.LOCK_SH, False)
    if descriptor is None:
        return None
    if _take(descriptor, fcntl.LOCK_EX):
        # The first of them.
        _write(descriptor, shards=count, of=of)
    facts = _facts(descriptor)
    if _take(descriptor, fcntl.LOCK_SH) and (facts.get("shards"), facts.get("of")) == (count, of):
        return descriptor
    _held.discard(descriptor)
    os.close(descriptor)
    other = "of other work" if facts.get("shards") == count else "of another number"
    raise UserError(f"{path}: {_holder(facts)} is writing a shard {other} there: wait for it and the rest of them")


def _take(descriptor: int, operation: int) -> bool:
    """Change a lock that is held to another kind; False where others hold it (then it may be lost)."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock(place: Path, path: Path, operation: int, wait: bool) -> int | None:
    """Open and lock a file which is still there then; None where the file system has no locks.

    Raises:
        UserError: Another process holds it.
    """
    while True:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, operation | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            holder = _holder(_facts(descriptor))
            os.close(descriptor)
            if error.errno in _NO_LOCKS:
                _say_no_locks(place)
                return None
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise UserError(f"{path}: {holder} is writing there: wait for it, end it, or choose another name") from None
        if _is(place, descriptor):
            _held.add(descriptor)
            return descriptor
        # The one who held it has just removed it.
        os.close(descriptor)


def _is(place: Path, descriptor: int) -> bool:
    try:
        return os.stat(place, follow_symlinks=False).st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def _write(descriptor: int, **more: int | str) -> None:
    facts = {"host": socket.gethostname(), "pid": os.getpid(), "command": _command(), "since": time.strftime("%F %T")}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps({**facts, **more}).encode(), 0)


def _command() -> str:
    program = Path(sys.argv[0])
    words = [program.name if program.suffix != ".py" else f"hasrd {program.stem.replace('_', '-')}", *sys.argv[1:2]]
    return " ".join(words)[:100]


def _facts(descriptor: int) -> dict:
    """Return what a lock's file says; {} where it says nothing that can be read."""
    try:
        facts = json.loads(os.pread(descriptor, 4096, 0))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _holder(facts: dict) -> str:
    """Say who holds the lock, as far as its file tells."""
    try:
        return f"process {facts['pid']} on {facts['host']} ({facts['command']}, since {facts['since']})"
    except KeyError:
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
