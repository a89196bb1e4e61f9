# Copyright 2026 The hasrd authors
# Apache-2.0
"""Unpacking archives so that a folder appears under its name only when it is whole."""

from __future__ import annotations

import shutil
import sys
import tarfile
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
        return
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        with tarfile.open(archive) as tar:
            for entry in progress(tar, None, f"unpacking {archive.name}", "file"):
                # "data": nothing outside the folder, no devices, no links out of it.
                tar.extract(entry, temporary, filter="data")
        if not (temporary / member).is_dir():
            raise UserError(f"{archive}: no folder {member} in it: is this the right archive?")
        (temporary / member).rename(target)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise UserError(f"{archive}: damaged archive ({error}): remove it and run the same command again") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(f"{target}: unpacked", file=sys.stderr)
