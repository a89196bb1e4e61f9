# Copyright 2026 The hasrd authors
# Apache-2.0
"""Unpacking archives so that a folder appears under its name only when it is whole."""

from __future__ import annotations

import lzma
import sys
import tarfile
import tempfile
import zlib
from gzip import BadGzipFile
from pathlib import Path

from hasrd.errors import UserError
from hasrd.progress import progress


def unpack_tar(archive: str | Path, target: str | Path, member: str) -> None:
    """Unpack the folder `member` of a tar archive (any compression) to `target`.

    Raises:
        UserError: A damaged archive, or one without that folder.
    """
    archive, target = Path(archive), Path(target)
    if target.is_dir():
        print(f"{target}: is there already, not unpacked again", file=sys.stderr)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # The folder appears under the target's name only when it is moved out of this one.
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=target.parent) as temporary, tarfile.open(archive) as tar:
            for entry in progress(tar, None, f"unpacking {archive.name}", "file"):
                # "data": nothing outside the folder, no devices, no links out of it.
                tar.extract(entry, temporary, filter="data")
            if not Path(temporary, member).is_dir():
                raise UserError(f"{archive}: no folder {member} in it: is this the right archive?")
            Path(temporary, member).rename(target)
    except (tarfile.TarError, EOFError, ValueError, KeyError, BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise UserError(f"{archive}: damaged archive ({error}): remove it and run the same command again") from None
    print(f"{target}: unpacked", file=sys.stderr)
