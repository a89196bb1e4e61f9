# Copyright 2026 The hasrd authors
# Apache-2.0
"""Reading Debian packages (an `ar` archive with a tar in it), without dpkg and without root."""

from __future__ import annotations

import io
import lzma
import shutil
import subprocess
import tarfile
import zlib
from pathlib import Path

from hasrd.errors import UserError, first_line
from hasrd.jobs.names import inside

# deb(5): the magic string, then members with a header of 60 bytes each.
MAGIC = b"!<arch>\n"
HEADER = 60


def read_deb(path: str | Path) -> dict[str, bytes]:
    """Read all regular files of a package into memory.

    Returns:
        Path inside the package (`usr/share/...`) to content.

    Raises:
        UserError: Missing, cut off or not a Debian package, or with the path of a file that leads out of it.
    """
    path = Path(path)
    advice = "remove it and run the same command again"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    if not content.startswith(MAGIC):
        raise UserError(f"{path}: not a Debian package: {advice}")
    position = len(MAGIC)
    while position + HEADER <= len(content):
        header = content[position : position + HEADER]
        name = header[:16].decode("ascii", "replace").strip().rstrip("/")
        size_text = header[48:58].strip()
        if not size_text.isdigit():
            break
        start, size = position + HEADER, int(size_text)
        if name.startswith("data.tar"):
            if start + size > len(content):
                raise UserError(f"{path}: cut off: {advice}")
            return _read_tar(path, name, content[start : start + size], advice)
        position = start + size + size % 2
    raise UserError(f"{path}: damaged or cut off (no data.tar in it): {advice}")


def _read_tar(path: Path, name: str, content: bytes, advice: str) -> dict[str, bytes]:
    if name.endswith(".zst"):
        content = _fsys_tarfile(path)
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            files: dict[str, bytes] = {}
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                if file is not None:
                    name = member.name.removeprefix("./")
                    try:
                        inside(path.parent, name, folders=True)
                    except UserError as error:
                        raise UserError(f"{path}: {error}") from None
                    files[name] = file.read()
            return files
    except (tarfile.TarError, EOFError, OSError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{path}: damaged package ({first_line(error)}): {advice}") from None


def _fsys_tarfile(path: Path) -> bytes:
    # Python's library reads zstd only from 3.14 on.
    if shutil.which("dpkg-deb") is None:
        raise UserError(f"{path}: packed with zstd: dpkg-deb is needed to unpack it")
    result = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(path)], capture_output=True)
    if result.returncode:
        raise UserError(f"{path}: dpkg-deb: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout
