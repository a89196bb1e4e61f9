# Copyright 2026 The hasrd authors
# Apache-2.0
"""Errors that a user can act on, and the way an entry point reports them."""

from __future__ import annotations

import errno
import os
import pwd
import re
import select
import sys
from typing import Any, Callable, Iterator, TextIO

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


# What NumPy says of an array that was written in part, and torch of memory that the system does not give.
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
_NO_MEMORY = re.compile(r"can't allocate memory|Cannot allocate memory|bad allocation|std::bad_alloc")


# Packages that trainings need, and use does not.
_OF_TRAINING = ("espnet2", "espnet", "kaldiio", "faiss", "typeguard")


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
    for cause in chain(error):
        if isinstance(cause, UserError):
            return str(cause)
        if isinstance(cause, MemoryError) or _NO_MEMORY.search(str(cause)):
            return f"not enough memory ({first_line(cause)}): use fewer processes (--nj), or smaller batches or files"
        if isinstance(cause, UnicodeError):
            return f"text or a file's name is not UTF-8 ({first_line(cause)}): convert or rename it"
        if isinstance(cause, RecursionError):
            return "an input is nested too deeply to be read: look for a damaged configuration or JSON file"
        if isinstance(cause, ModuleNotFoundError) and cause.name and cause.name.partition(".")[0] != "hasrd":
            return _missing_package(cause.name.partition(".")[0])
        number = _errno(cause)
        if number in _SYSTEM:
            name = getattr(cause, "filename", None)
            return _SYSTEM[number].format(f": {os.fsdecode(name)}" if isinstance(name, (str, bytes)) and name else "")
        if isinstance(cause, OSError) and _SHORT_WRITE.search(str(cause)):
            return f"a file could not be written whole ({first_line(cause)}): free some space, and look at ulimit -f"
        if type(cause).__name__ == "OutOfMemoryError":
            return f"the GPU has not enough memory ({first_line(cause)}): use smaller batches"
    return None


def of_one_input(error: Exception) -> str:
    """Return the line for an error that one of many inputs led to, so that the others are done.

    Raises:
        Exception: The error itself, where it is a fault of the program, or a full disk, which the others meet as well.
    """
    line = explain(error)
    if line is None or any(_errno(cause) in (errno.ENOSPC, errno.EDQUOT) for cause in chain(error)):
        raise error
    return line


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that led to it, the last one first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _errno(error: BaseException) -> int | None:
    """Return the system's number of an error: its own, or from the text of a library's ("(os error 28)", C's words)."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    match = re.search(r"\(os error (\d+)\)", text)
    if match:
        return int(match.group(1))
    return next((number for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) if os.strerror(number) in text), None)


def _missing_package(name: str) -> str:
    hint = "pip install 'hasrd[train]'" if name in _OF_TRAINING else f"pip install {name}"
    return f"the package {name} is not installed, and this command needs it: tools/install.sh brings all, or {hint}"


def run_main(main: Callable[[], None]) -> None:
    """Run an entry point; what a user can act on becomes one line and a non-zero exit.

    An output that nobody reads any more (`hasrd ... | head`) ends it quietly; one that is closed (`>&-`) takes what is
    printed, as /dev/null does.
    """
    _prepare_process()
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


def _prepare_process() -> None:
    """See to it that the streams and the user's name, which libraries take for granted, are there."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            # Else the next file that is opened would get this number, and what is printed would go into it.
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", errors="backslashreplace", closefd=False))
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            # A file's name that is not UTF-8 is printed as it is; where letters are lacking, in a readable form.
            utf8 = str(stream.encoding).lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
    if not any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
        try:
            pwd.getpwuid(os.getuid())
        except KeyError:
            # A container's user without an entry: torch and others ask for the name of their folders (getpass.getuser).
            os.environ["LOGNAME"] = f"user{os.getuid()}"


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
