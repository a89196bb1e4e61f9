# Copyright 2026 The hasrd authors
# Apache-2.0
"""Errors that a user can act on, and the way an entry point reports them."""

from __future__ import annotations

import errno
import os
import select
import sys
from typing import Callable, TextIO

# What a shell reports of a process that ended because nobody reads its output (128 + SIGPIPE).
_UNREAD = 141


class UserError(Exception):
    """Bad input: one line that names the file and line, says what is wrong and what to do."""


def run_main(main: Callable[[], None]) -> None:
    """Run an entry point; what a user can act on becomes one line and a non-zero exit.

    An output that nobody reads any more (`hasrd ... | head`) ends it quietly.
    """
    try:
        main()
        sys.stdout.flush()
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on from here", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # A pipe to a worker or a server can break too: that one must be seen.
        if not any(map(_unread, (sys.stdout, sys.stderr))):
            raise
        sys.exit(_UNREAD)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" while writing {error.filename}" if error.filename else ""
        sys.exit(f"error: the disk is full{where}: free some space and run the same command again")
    finally:
        # Python writes out the rest of both at its end, and would complain there.
        for stream in (sys.stdout, sys.stderr):
            _settle(stream)


def _unread(stream: TextIO) -> bool:
    """Whether `stream` is a pipe whose reader is gone."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError, AttributeError):
        # No file (a test's, a notebook's).
        return False


def _settle(stream: TextIO) -> None:
    """Write out the rest of `stream`, or drop it where that is impossible."""
    try:
        stream.flush()
        lost = _unread(stream)
    except OSError:
        lost = True
    if lost:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
