# Copyright 2026 The hasrd authors
# Apache-2.0
"""Work over many utterances that can be killed at any moment and goes on where it was.

The utterances are cut, in sorted order, into chunks. A chunk's results are files in a folder of its own, which gets its
final name (one rename) only when they are all on disk:

    out_dir/000000/...   out_dir/000001/...   .tmp-.../ (in work, or left by a killed process)

Each finished folder carries the record of its origin (hasrd.jobs.origin): the caller's options (configuration, model
hash) and the content of its utterances' input files. A folder of another origin is stale: it is removed, said so, and
made again. Nothing in a chunk depends on the other chunks or on who does it (hasrd.jobs.sharing), so the result of an
interrupted run that was started again is the same, byte for byte.

A shard looks at its own chunks and at no others. It notes in `out_dir/.shards` that it is done, and the last one to do
so joins the parts and removes the notes: after a change, all shards have to run again before they are joined again.
"""

from __future__ import annotations

import errno
import functools
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_folder, remove_abandoned, remove_folder
from hasrd.jobs.digest import values_sha256
from hasrd.jobs.listing import Listing, list_inputs
from hasrd.jobs.lock import exclusive_shard
from hasrd.jobs.origin import Origin, source_file, why_stale, write_record
from hasrd.jobs.sharing import ALONE, Sharing
from hasrd.progress import progress

ChunkWork = Callable[[dict[str, str], Path, Path], None]
SHARDS = ".shards"


def run_in_chunks(
    inputs: Mapping[str, str] | Path,
    out_dir: str | Path,
    make_work: Callable[[], ChunkWork],
    *,
    options: Mapping[str, Any],
    chunk_size: int = 100,
    sharing: Sharing = ALONE,
    desc: str = "",
    made_from: Sequence[Path] = (),
) -> list[Path] | None:
    """Run `work` over all chunks that are not done yet.

    Args:
        inputs: Utterance to its input, a file or `archive:offset`, whose content counts; or what is no file, a text.
            Or the scp table that says so: of one whose lines are sorted, a shard reads its own lines alone.
        out_dir: Folder of the chunks. The caller removes nothing in it and writes nothing into it.
        make_work: Builds `work(inputs of the chunk, folder, final_folder)` in each process; picklable unless it is
            this one alone. `work` writes any files into `folder`; names inside the files (scp lines) are made with
            `final_folder`, where they will lie. It must depend on nothing but its inputs and the configuration.
        options: Everything else that shapes the result, as JSON holds it: configuration, hash of the model.
        chunk_size: Utterances a chunk.
        sharing: By whom it is done. Of a shard (i, n) these are the chunks with index % n == i.
        desc: What progress is called.
        made_from: Files that the caller makes from the finished chunks (a merged scp); removed as soon as a chunk has
            to be made, so that they never stand there incomplete or out of date.

    Returns:
        The folders of all chunks in order, or None while other shards still have some to do.

    Raises:
        UserError: Another process works on the same shard or on other ones, workers died, or what `work` raised; done
            chunks stay.
    """
    out_dir, (index, count) = Path(out_dir), sharing.part
    out_dir.mkdir(parents=True, exist_ok=True)
    if chunk_size < 1:
        raise UserError(f"--chunk_size {chunk_size}: at least 1 is needed")
    chunks = _Chunks(list_inputs(inputs, count > 1), out_dir, dict(options), chunk_size)
    division = _Division(out_dir, index, count, chunks.sha256() if count > 1 else "")
    with exclusive_shard(out_dir, (index, count), of=division.of):
        division.begin()
        todo, reasons, stale = [], [], []
        for number in range(index, len(chunks), count):
            reason = chunks.why_stale(number)
            if reason is not None:
                todo.append(number)
            if reason:
                reasons.append(reason)
                stale.append(chunks.folder(number))
        if count == 1:
            stale += chunks.past_the_end()
        if todo or stale:
            for path in made_from:
                path.unlink(missing_ok=True)
        for folder in stale:
            remove_folder(folder)
        _say_removed(out_dir, len(stale), reasons)
        total = sum(map(chunks.size, todo))
        done = sum(map(chunks.size, range(index, len(chunks), count))) - total
        if done:
            what = "going on with the rest" if todo else "nothing to compute"
            print(f"{out_dir}: {done} utterances are done already, {what}", file=sys.stderr)
        if todo:
            results = sharing.results(
                functools.partial(_ChunkRunner, make_work, division.folder), map(chunks.chunk, todo)
            )
            # Progress counts utterances, not chunks: a set of a few chunks shows more than nothing.
            for _ in progress((utterance for chunk, _ in results for utterance in chunk.inputs), total, desc):
                pass
        if not division.end():
            return None
        if count > 1 and (stale := chunks.past_the_end()):
            for folder in stale:
                remove_folder(folder)
            _say_removed(out_dir, len(stale), [])
        return list(map(chunks.folder, range(len(chunks))))


def _say_removed(out_dir: Path, number: int, reasons: Sequence[str]) -> None:
    if number:
        reason = next(iter(reasons), "the data set is shorter")
        print(
            f"{out_dir}: removed {number} of an earlier run's parts: the input or the configuration has "
            f"changed ({reason})",
            file=sys.stderr,
        )


class _Division:
    """The notes of shards that are done, of one configuration and number of shards, and where they do their work.

    Attributes:
        of: Tells it from others; "" of the whole.
        folder: Where chunks are made; None: where they will lie.
    """

    def __init__(self, out_dir: Path, index: int, count: int, sha256: str) -> None:
        self.home, self.count = out_dir / SHARDS, count
        self.of = f"{sha256[:16]}-{count}" if count > 1 else ""
        self.out_dir = out_dir
        self.folder = self._folder(index) if count > 1 else None

    def _folder(self, index: int) -> Path:
        return self.home / self.of / f"{index + 1}"

    def begin(self) -> None:
        """Remove what killed processes left, this shard's note, and those of other divisions."""
        if self.folder is None:
            remove_abandoned(self.out_dir)
            shutil.rmtree(self.home, ignore_errors=True)
            return
        for other in self.home.iterdir() if self.home.is_dir() else ():
            if other.name != self.of:
                shutil.rmtree(other, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(self.folder)
        (self.folder / "done").unlink(missing_ok=True)

    def end(self) -> bool:
        """Note that this shard is done; whether all are, whose notes are removed then."""
        # Of workers that died on the way.
        remove_abandoned(self.folder or self.out_dir)
        if self.folder is None:
            return True
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "done").touch()
        if not all((self._folder(index) / "done").exists() for index in range(self.count)):
            return False
        shutil.rmtree(self.home, ignore_errors=True)
        return True


class _Chunks:
    """The chunks of a listing; each is looked at when it is asked for."""

    def __init__(self, listing: Listing, out_dir: Path, options: dict[str, Any], size: int) -> None:
        self.listing, self.out_dir, self.options, self._size = listing, out_dir, options, size

    def __len__(self) -> int:
        return -(-len(self.listing) // self._size)

    def size(self, number: int) -> int:
        return min(self._size, len(self.listing) - number * self._size)

    def folder(self, number: int) -> Path:
        return self.out_dir / f"{number:06d}"

    def chunk(self, number: int) -> _Chunk:
        inputs = self.listing.part(number * self._size, (number + 1) * self._size)
        return _Chunk(inputs, self.folder(number), self.options)

    def why_stale(self, number: int) -> str | None:
        """Say why a chunk that is there is not up to date; "" where it is not there, None where it is up to date."""
        if not self.folder(number).exists():
            return ""
        chunk = self.chunk(number)
        return why_stale(chunk.folder, chunk.origin()) or None

    def past_the_end(self) -> list[Path]:
        """Return the folders of a data set that was longer before."""
        with os.scandir(self.out_dir) as entries:
            names = [entry.name for entry in entries if entry.name.isdecimal() and int(entry.name) >= len(self)]
        return [self.out_dir / name for name in sorted(names)]

    def sha256(self) -> str:
        return values_sha256(options=self.options, listing=self.listing.sha256(), chunk_size=self._size)


@dataclass(frozen=True)
class _Chunk:
    """Utterances with their inputs, the folder of their results, and what shapes these beside the inputs."""

    inputs: dict[str, str]
    folder: Path
    options: dict[str, Any]

    def origin(self) -> Origin:
        files, values = {}, {}
        for utterance, source in self.inputs.items():
            file = source_file(source)
            if os.path.exists(file):
                files[utterance + source.removeprefix(file)] = file
            else:
                values[utterance] = source
        return Origin({**self.options, "inputs": values} if values else self.options, files)


class _ChunkRunner:
    """In a worker: runs the work on one chunk and gives its folder the final name when all is on disk."""

    def __init__(self, make_work: Callable[[], ChunkWork], within: Path | None) -> None:
        self.work, self.within = make_work(), within

    def __call__(self, chunk: _Chunk) -> None:
        # A worker that died after its work was done, or that could not be reached.
        if chunk.folder.exists() and not why_stale(chunk.folder, chunk.origin()):
            return
        # Before the work: an input that changes while it is read makes the result stale.
        record = chunk.origin().record()
        try:
            with atomic_folder(chunk.folder, self.within) as folder:
                self.work(chunk.inputs, folder, chunk.folder)
                write_record(folder, record)
        except OSError as error:
            # Another one, which could not be reached, was faster.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) or why_stale(chunk.folder, chunk.origin()):
                raise
