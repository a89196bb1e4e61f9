# Copyright 2026 The hasrd authors
# Apache-2.0
"""Work over many utterances that can be killed at any moment and goes on where it was.

The utterances are cut, in sorted order, into chunks. A chunk's results are files in a folder of its own, which gets its
final name (one rename) only when they are all on disk:

    out_dir/000000/...   out_dir/000001/...   .tmp-.../ (in work, or left by a killed process)

Each finished folder carries the record of its origin (hasrd.jobs.origin): the caller's options (configuration, model
hash) and the content of its utterances' input files. A folder of another origin is stale: it is removed, said so, and
made again. Nothing in a chunk depends on the other chunks or on the number of processes, so the result of an
interrupted run that was started again is the same, byte for byte.
"""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from hasrd.config import parse_count
from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_folder, remove_folder
from hasrd.jobs.lock import exclusive
from hasrd.jobs.origin import Origin, source_file, why_stale, write_record
from hasrd.jobs.workers import run_workers
from hasrd.progress import progress

ChunkWork = Callable[[dict[str, str], Path, Path], None]


def parse_shard(text: str) -> tuple[int, int]:
    """`i/n` with 1 <= i <= n, as the jobs of an array count, to (i - 1, n); UserError for anything else."""
    first, _, second = text.partition("/")
    index, count = parse_count(first), parse_count(second)
    if index is None or count is None or not 1 <= index <= count:
        raise UserError(f"--shard {text}: give i/n with i from 1 to n, for example 1/4")
    return index - 1, count


def run_in_chunks(
    inputs: Mapping[str, str],
    out_dir: str | Path,
    make_work: Callable[[], ChunkWork],
    *,
    options: Mapping[str, Any],
    chunk_size: int = 100,
    nj: int = 1,
    shard: tuple[int, int] = (0, 1),
    desc: str = "",
    made_from: Sequence[Path] = (),
) -> list[Path] | None:
    """Run `work` over all chunks that are not done yet, in `nj` processes.

    Args:
        inputs: Utterance to its input, a file or `archive:offset`, whose content counts; or what is no file, a text.
        out_dir: Folder of the chunks. The caller removes nothing in it and writes nothing into it.
        make_work: Builds `work(inputs of the chunk, folder, final_folder)` in each process; picklable where nj > 1.
            `work` writes any files into `folder`; names inside the files (scp lines) are made with `final_folder`,
            where they will lie. It must depend on nothing but its inputs and the configuration.
        options: Everything else that shapes the result, as JSON holds it: configuration, hash of the model.
        chunk_size: Utterances a chunk.
        nj: Processes; 1 works in this one (a GPU).
        shard: (i, n): only chunks with index % n == i, so that n jobs share the work.
        desc: What progress is called.
        made_from: Files that the caller makes from the finished chunks (a merged scp); removed as soon as a chunk has
            to be made, so that they never stand there incomplete or out of date.

    Returns:
        The folders of all chunks in order, or None while other shards still have some to do.

    Raises:
        UserError: Another process works on the same shard, a worker died, or what `work` raised; done chunks stay.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    if chunk_size < 1:
        raise UserError(f"--chunk_size {chunk_size}: at least 1 is needed")
    with exclusive(out_dir, f".{shard[0] + 1}.{shard[1]}"):
        order = sorted(inputs)
        chunks = []
        for index, start in enumerate(range(0, len(order), chunk_size)):
            own = {utterance: inputs[utterance] for utterance in order[start : start + chunk_size]}
            chunks.append(_Chunk(own, out_dir / f"{index:06d}", _origin(options, own)))
        mine = chunks[shard[0] :: shard[1]]

        reasons = {chunk.folder: why_stale(chunk.folder, chunk.origin) for chunk in mine if chunk.folder.exists()}
        stale = [folder for folder, reason in reasons.items() if reason]
        todo = [chunk for chunk in mine if reasons.get(chunk.folder, "it is not there")]
        # Folders past the end: the data set was longer before. The first shard sees to them.
        if shard[0] == 0:
            stale += [path for path in out_dir.iterdir() if path.name.isdecimal() and int(path.name) >= len(chunks)]
        if todo or stale:
            for path in made_from:
                path.unlink(missing_ok=True)
        for folder in stale:
            remove_folder(folder)
        if stale:
            reason = next(filter(None, reasons.values()), "the data set is shorter")
            print(
                f"{out_dir}: removed {len(stale)} of an earlier run's parts: the input or the configuration has "
                f"changed ({reason})",
                file=sys.stderr,
            )
        total = sum(len(chunk.inputs) for chunk in todo)
        done = sum(len(chunk.inputs) for chunk in mine) - total
        if done:
            what = "going on with the rest" if todo else "nothing to compute"
            print(f"{out_dir}: {done} utterances are done already, {what}", file=sys.stderr)
        if todo:
            results = run_workers(functools.partial(_ChunkRunner, make_work), todo, nj)
            # Progress counts utterances, not chunks: a set of a few chunks shows more than nothing.
            for _ in progress((utterance for chunk, _ in results for utterance in chunk.inputs), total, desc):
                pass
        others = [chunk for index, chunk in enumerate(chunks) if index % shard[1] != shard[0]]
        if any(why_stale(chunk.folder, chunk.origin) for chunk in others):
            return None
        return [chunk.folder for chunk in chunks]


@dataclass(frozen=True)
class _Chunk:
    """Utterances with their inputs, the folder of their results, and what these are made from."""

    inputs: dict[str, str]
    folder: Path
    origin: Origin


class _ChunkRunner:
    """In a worker: runs the work on one chunk and gives its folder the final name when all is on disk."""

    def __init__(self, make_work: Callable[[], ChunkWork]) -> None:
        self.work = make_work()

    def __call__(self, chunk: _Chunk) -> None:
        # Before the work: an input that changes while it is read makes the result stale.
        record = chunk.origin.record()
        with atomic_folder(chunk.folder) as folder:
            self.work(chunk.inputs, folder, chunk.folder)
            write_record(folder, record)


def _origin(options: Mapping[str, Any], inputs: Mapping[str, str]) -> Origin:
    files, values = {}, {}
    for utterance, source in inputs.items():
        file = source_file(source)
        if os.path.exists(file):
            files[utterance + source.removeprefix(file)] = file
        else:
            values[utterance] = source
    return Origin({**options, "inputs": values} if values else options, files)
