# Copyright 2026 The hasrd authors
# Apache-2.0
"""Names of files that come from a user's data: none leads out of the folder that is written to."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from hasrd.errors import UserError

# Bytes of a name on the usual file systems (ext4, XFS, NTFS, Lustre).
LONGEST = 255


def name_problem(name: str) -> str:
    """Return why `name` cannot be the name of a file, such as an utterance's; "" where it can.

    Refused are names with a slash, "." and "..", names that begin with a dot or a dash (hidden files, options), blanks
    and control characters, and names of more than 200 bytes, which leave no room for a suffix.
    """
    if not name:
        return "is empty"
    if "/" in name or "\\" in name:
        return "has a slash in it"
    if name.startswith((".", "-")):
        return f"begins with '{name[0]}'"
    # Unicode's categories C and Z, without a loop: tables have millions of names.
    if " " in name or not name.isprintable():
        return "has a blank or a control character in it"
    if len(os.fsencode(name)) > 200:
        return "is longer than 200 bytes"
    return ""


def inside(folder: str | Path, name: str, suffix: str = "", folders: bool = False) -> Path:
    """Return `folder`/`name``suffix`, which lies in `folder`: every writer of files named by data joins names here.

    Args:
        folder: Where the file will lie.
        name: From data: an utterance's, an archive member's.
        suffix: Is appended.
        folders: Whether `name` may be a path of several parts.

    Raises:
        UserError: The name leads elsewhere, or cannot be a file's.
    """
    parts = PurePosixPath(name).parts if folders else (name,)
    bad = (
        not parts
        # Hidden names are for what this package keeps beside its results.
        or name.startswith("/")
        or parts[-1].startswith(".")
        or any(part in ("", ".", "..") or "/" in part or "\0" in part for part in parts)
        or any(len(os.fsencode(part + suffix)) > LONGEST for part in parts)
    )
    if bad:
        raise UserError(
            f"{name!r} cannot be the name of a file in {folder}: rename it (no '/', no dot in front, not too long)"
        )
    return Path(folder, *parts[:-1], parts[-1] + suffix)
