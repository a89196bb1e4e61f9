# Copyright 2026 The hasrd authors
# Apache-2.0
"""Downloads that go on where they were cut off, with checksums, the time left and a look at the disk first."""

from __future__ import annotations

import os
import shutil
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Sequence

from hasrd.errors import UserError
from hasrd.jobs.digest import file_hash

BLOCK = 1 << 20
TIMEOUT = 60  # seconds without a byte
# An unpacked FLAC corpus is about as large as its archive, and both lie there for a while.
ROOM = 2.1


@dataclass(frozen=True)
class Download:
    """One file: where it is, where it goes, and its MD5 (hex) or "" where none is known."""

    url: str
    path: Path
    md5: str = ""


def published_md5(url: str) -> dict[str, str]:
    """Read an md5sum.txt beside published files: file name to MD5; UserError where it can't be had or holds none."""
    with _open(url) as response:
        text = response.read().decode("utf-8", "replace")
    table = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2:
            table[words[1].lstrip("*").rpartition("/")[2]] = words[0].lower()
    if not table:
        raise UserError(f"{url}: no checksums in it")
    return table


def download_all(jobs: Sequence[Download]) -> None:
    """Download files one after the other; those that are there whole are left as they are.

    Raises:
        UserError: Too little disk space for all, no network, a file that differs from its checksum.
    """
    todo = [job for job in jobs if not job.path.is_file()]
    sizes = {job: _size(job.url) for job in todo}
    needed: dict[Path, float] = {}
    for job in todo:
        job.path.parent.mkdir(parents=True, exist_ok=True)
        part = _part(job.path)
        left = sizes[job] * ROOM - (part.stat().st_size if part.is_file() else 0)
        needed[job.path.parent] = needed.get(job.path.parent, 0.0) + left
    for folder, size in needed.items():
        free = shutil.disk_usage(folder).free
        if size > free:
            raise UserError(
                f"{folder}: {size / 1e9:.1f} GB are needed (archives and what is unpacked), {free / 1e9:.1f} GB are "
                "free: free some space or name another --download_dir"
            )
    for job in todo:
        download(job.url, job.path, job.md5)


def download(url: str, path: str | Path, md5: str = "") -> None:
    """Download one file to `path`; what an interrupted transfer left in `<path>.part` is not fetched again.

    Raises:
        UserError: No network, a server error, a transfer cut off, or a wrong checksum (the wrong file is removed).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    start = part.stat().st_size if part.is_file() else 0
    try:
        response = _open(url, start)
    except urllib.error.HTTPError as error:
        # The part is the whole file already, or longer than the file is now.
        if error.code != 416 or not start:
            raise _failed(url, error) from None
        total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
        if total != str(start):
            part.unlink()
            return download(url, path, md5)
        response = None
    if response is not None:
        with response:
            # A server that does not know ranges answers 200 with the whole file.
            resumed = response.status == 206
            _transfer(response, part, start if resumed else 0, path.name, url)
    if md5 and file_hash(part, "md5") != md5:
        part.unlink()
        raise UserError(f"{url}: the file differs from its published MD5 {md5}: it was removed; run the command again")
    os.replace(part, path)


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _open(url: str, start: int = 0) -> Any:
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            raise
        raise _failed(url, error) from None
    except (urllib.error.URLError, OSError, HTTPException) as error:
        raise _failed(url, error) from None


def _size(url: str) -> int:
    with _open(url) as response:
        return int(response.headers.get("Content-Length") or 0)


def _failed(url: str, error: Exception) -> UserError:
    reason = getattr(error, "reason", None) or error
    return UserError(
        f"{url}: cannot be downloaded ({reason}): check the network and run the same command again, or set LIBRISPEECH "
        "(db.sh) to a copy of the corpus"
    )


def _transfer(response: Any, part: Path, start: int, name: str, url: str) -> None:
    from tqdm import tqdm

    length = response.headers.get("Content-Length")
    total = start + int(length) if length else None
    terminal = sys.stderr.isatty()
    with (
        open(part, "ab" if start else "wb") as file,
        tqdm(
            total=total,
            initial=start,
            desc=name,
            unit="B",
            unit_scale=True,
            mininterval=0.5 if terminal else 10.0,
        ) as bar,
    ):
        while True:
            try:
                block = response.read(BLOCK)
            except (OSError, HTTPException) as error:
                raise _failed(url, error) from None
            if not block:
                break
            file.write(block)
            bar.update(len(block))
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    if total is not None and size < total:
        raise _failed(url, OSError(f"cut off after {size} of {total} bytes"))
