# Copyright 2026 The hasrd authors
# Apache-2.0
"""Errors that a user can act on, and the way an entry point reports them."""

from __future__ import annotations

import errno
import sys
from typing import Callable


class UserError(Exception):
    """Bad input: one line that names the file and line, says what is wrong and what to do."""


def run_main(main: Callable[[], None]) -> None:
    """Run an entry point; what a user can act on becomes one line and a non-zero exit."""
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on from here", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" while writing {error.filename}" if error.filename else ""
        sys.exit(f"error: the disk is full{where}: free some space and run the same command again")
