# Copyright 2026 The hasrd authors
# Apache-2.0
"""Errors that a user can act on, and the way an entry point reports them."""

from __future__ import annotations

import errno
import os
import re
import select
import sys
from typing import Callable, Iterator, TextIO

# What a shell reports of a process that ended because nobody reads its output (128 + SIGPIPE).
_UNREAD = 141

# What the system refuses, and what to do about it. `{}` is the file's name, where the system tells it.
_SYSTEM = {
    errno.ENOSPC: "the disk is full{}: free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up{}: free some space and run the same command again",
    errno.EFBIG: "a file would be larger than is allowed here{} (ulimit -f, or the file system): raise the limit",
    errno.EACCES: "no permission{}: change the rights, or name another folder",
    errno.EPERM: "not permitted{}: change the rights, or name another folder",
    errno.EROFS: "the file system cannot be written to{}: name another folder",
    errno.ENAMETOOLONG: "a name is too long for the file system{}: take shorter names",
    errno.ENOENT: "no such file or folder{}",
    errno.ENOTDIR: "a folder is needed where a file is{}",
    errno.EISDIR: "a file is needed where a folder is{}",
    errno.EEXIST: "is there already{}: remove it, or name another one",
    errno.ELOOP: "links that lead to each other{}: repair them",
    errno.EMFILE: "too many open files{}: raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files{}: raise the limit (ulimit -n)",
    errno.ENOMEM: "not enough memory{}: use fewer processes (--nj) or smaller batches",
    errno.EIO: "the disk could not be read or written{}: check it",
    errno.ESTALE: "the file server has lost a file{}: run the same command again",
    errno.ENXIO: "no such device{}",
    errno.ETXTBSY: "a file is in use{}: wait for the program that uses it",
}


class UserError(Exception):
    """Bad input: one line that names the file and line, says what is wrong and what to do."""


def first_line(error: BaseException, limit: int = 200) -> str:
    """Return the first line of what an error says, at most `limit` characters; its type where it says nothing."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return text if len(text) <= limit else f"{text[:limit]} ..."


def explain(error: BaseException) -> str | None:
    """Return the line that tells a user about an error of Python or of a library; None for a fault of the program.

    This is the one table of such errors. Libraries that write files report the system's refusal in ways of their own:
    it is looked for in the errors that led to this one, and in the text.
    """
    if isinstance(error, UserError):
        return str(error)
    for cause in _chain(error):
        if isinstance(cause, UserError):
            return str(cause)
        if isinstance(cause, MemoryError):
            return f"not enough memory ({first_line(cause)}): use fewer processes (--nj), or smaller batches or files"
        if isinstance(cause, UnicodeError):
            return f"text or a file's name is not UTF-8 ({first_line(cause)}): convert or rename it"
        if isinstance(cause, RecursionError):
            return "an input is nested too deeply to be read: look for a damaged configuration or JSON file"
        if isinstance(cause, ModuleNotFoundError) and cause.name and cause.name.partition(".")[0] != "hasrd":
            return _missing_package(cause.name.partition(".")[0])
        number = cause.errno if isinstance(cause, OSError) else _errno_in(str(cause))
        if number in _SYSTEM:
            name = getattr(cause, "filename", None)
            return _SYSTEM[number].format(f": {os.fsdecode(name)}" if isinstance(name, (str, bytes)) and name else "")
        if type(cause).__name__ == "OutOfMemoryError":
            return f"the GPU has not enough memory ({first_line(cause)}): use smaller batches"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that led to it, the last one first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _errno_in(text: str) -> int | None:
    """Find the system's number in the text of an error of a library: Rust's "(os error 28)", or C's own words."""
    match = re.search(r"\(os error (\d+)\)", text)
    if match:
        return int(match.group(1))
    return next((number for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) if os.strerror(number) in text), None)


def _missing_package(name: str) -> str:
    hint = "pip install 'hasrd[train]'" if name in ("espnet2", "espnet", "kaldiio", "faiss") else f"pip install {name}"
    return f"the package {name} is not installed, and this command needs it: tools/install.sh brings all, or {hint}"


def run_main(main: Callable[[], None]) -> None:
    """Run an entry point; what a user can act on becomes one line and a non-zero exit.

    An output that nobody reads any more (`hasrd ... | head`) ends it quietly.
    """
    try:
        main()
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on from here", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # A pipe to a worker or a server can break too: that one must be seen.
        if not any(map(_unread, (sys.stdout, sys.stderr))):
            raise
        sys.exit(_UNREAD)
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        sys.exit(f"error: {line}")
    finally:
        # Python writes out the rest of both at its end, and would complain there.
        for stream in (sys.stdout, sys.stderr):
            _settle(stream)


def _unread(stream: TextIO | None) -> bool:
    """Whether `stream` is a pipe whose reader is gone."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError, AttributeError):
        # Closed, or no file (a test's, a notebook's).
        return False


def _settle(stream: TextIO | None) -> None:
    """Write out the rest of `stream`, or drop it where that is impossible."""
    if stream is None or stream.closed:
        return
    try:
        stream.flush()
        lost = _unread(stream)
    except OSError:
        lost = True
    if lost:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
