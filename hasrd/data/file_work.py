# Copyright 2026 The hasrd authors
# Apache-2.0
"""One output file for each of many input files: made in parallel, by several jobs, and again after an interruption.

A file that fails is named, and the rest is done. `settings.json` in the output folder says how its files were made, and
`.sources.jsonl` which they are and what was in the files that they were made of. A file that is there already, of the
same content, is skipped; one whose source has changed is made again; a run with other settings is refused, and so is
one that would write over a file that is not noted there. Where the output folder is that of the inputs, both names
begin with that of the command (`.encode.settings.json`).
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterable, Mapping, Sequence

from hasrd.config import read_json
from hasrd.data.file_lists import Batch, Job, Kind
from hasrd.data.kaldi import write_table
from hasrd.errors import UserError, of_one_input
from hasrd.jobs.atomic import write_json
from hasrd.jobs.lock import exclusive, exclusive_shard
from hasrd.jobs.origin import Facts
from hasrd.jobs.sharing import Sharing
from hasrd.progress import progress

SETTINGS = "settings.json"
# A line for each file: its name, and the facts of its source; [] before it is made, null where that failed. The last
# line of a name counts.
SOURCES = ".sources.jsonl"
# What was made with the first value of a setting stays as it is with the second.
WIDER = {"resample": (False, True)}
# Files that a worker takes at a time, so that the short ones can share a batch.
GROUP = 16
ELSEWHERE = "name another place with -o"


@dataclass
class Done:
    """What came of a group of jobs.

    Attributes:
        failed: Name of each job that failed, to what is wrong.
        counts: What was done beside that people should know, in words, to the number of files.
    """

    failed: dict[str, str] = field(default_factory=dict)
    counts: Counter = field(default_factory=Counter)


Work = Callable[[Sequence[Job]], Done]


class _Records:
    """Settings and sources of a batch's folder; several shards may use them at once."""

    def __init__(self, batch: Batch) -> None:
        assert batch.folder is not None
        self.folder, self.beside = batch.folder, batch.beside
        hidden = f".{batch.beside}" if batch.beside else ""
        self.settings = self.folder / (f"{hidden}.{SETTINGS}" if hidden else SETTINGS)
        self.sources = self.folder / f"{hidden}{SOURCES}"
        self.part = hidden

    def locked(self):
        """Hold what several shards write."""
        return exclusive(self.folder, f"{self.part}.records", wait=True)

    def begin(self, settings: Mapping[str, Any], jobs: Sequence[Job], tables: Sequence[Path]) -> dict[str, Facts]:
        """Note the settings and the names of what will be made; return what is noted of sources.

        Raises:
            UserError: Other settings are noted, or a file is there that is not noted.
        """
        with self.locked():
            known = self.read()
            # In a folder of outputs, earlier versions noted neither tables nor what they were about to make.
            ours = self.settings.exists() and not self.beside
            names = {f"/{path.name}": path for path in tables}
            there = [path for name, path in names.items() if name not in known and not ours and path.exists()]
            refuse_there([*there, *(job.target for job in jobs if job.name not in known and not job.problem)])
            _keep_settings(self.settings, json.loads(json.dumps(dict(settings))))
            self._append([name, []] for name in (*names, *(job.name for job in jobs)) if name not in known)
        return known

    def add(self, made: Mapping[str, Facts | None]) -> None:
        """Note what is made, and of what; None takes the note away."""
        with self.locked():
            self._append([name, facts] for name, facts in made.items())

    def read(self) -> dict[str, Facts]:
        """Read the facts of the sources of what is there, [] of what is not made yet.

        A line that a kill has cut off counts as none.
        """
        known: dict[str, Facts] = {}
        if self.sources.is_file():
            for line in self.sources.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    name, facts = json.loads(line)
                except (ValueError, TypeError, RecursionError):
                    continue
                if isinstance(name, str) and facts is None:
                    known.pop(name, None)
                elif isinstance(name, str) and isinstance(facts, list) and len(facts) in (0, 5):
                    known[name] = facts
        return known

    def _append(self, lines: Iterable[list]) -> None:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        if not text:
            return
        with open(self.sources, "ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                # What a kill has cut off takes no other line with it.
                text = text if file.read() == b"\n" else f"\n{text}"
            file.write(text.encode("utf-8", "surrogateescape"))


def refuse_there(paths: Iterable[Path]) -> None:
    """Raise UserError where one of these is there: nothing is written over."""
    there = next((path for path in paths if path.exists()), None)
    if there is not None:
        raise UserError(f"{there}: is there already, and nothing is written over: {ELSEWHERE}")


def run_batch(
    batch: Batch,
    settings: Mapping[str, Any],
    make_work: Callable[[], Work],
    run: Sharing,
    desc: str,
    tables: Sequence[Path] = (),
    finish: Callable[[dict[str, Path]], None] | None = None,
) -> Done:
    """Do what is not done yet.

    Args:
        batch: From `list_batches`.
        settings: All that shapes the outputs beside the inputs.
        make_work: Builds the work in each process; see `run_workers`.
        run: By whom it is done.
        desc: What progress is called.
        tables: Files that `finish` writes. Of a shard, they are removed as soon as something has to be made, and
            written when all shards have done their part.
        finish: Is called with the files that come from tables, name to file.

    Raises:
        UserError: Outputs that something else made, or another process that writes to the folder.
    """
    index, count = run.part
    if batch.folder is None:
        if count > 1:
            raise UserError(f"--shard {run.shard}: one file is not shared: leave it out, or name a folder or a table")
        refuse_there([batch.jobs[0].target])
        with exclusive(batch.jobs[0].target):
            return _do(batch.jobs, make_work, Sharing(scheduler=run.scheduler), desc)
    out, mine = batch.folder, batch.jobs[index::count]
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file: name the folder to write to, with -o")
    out.mkdir(parents=True, exist_ok=True)
    records = _Records(batch)
    with exclusive_shard(out, run.part, records.part):
        known = records.begin(settings, mine, tables)
        todo = [job for job in mine if not job.is_done(known.get(job.name))]
        if len(todo) < len(mine):
            rest = "going on with the rest" if todo else "nothing to do"
            print(f"{out}: {len(mine) - len(todo)} of {len(mine)} files are there already, {rest}", file=sys.stderr)
        if todo and count > 1:
            for path in tables:
                path.unlink(missing_ok=True)
        done = _do(todo, make_work, run, desc, records)
        if finish is not None:
            with exclusive(out, f"{records.part}.tables", wait=True):
                if count == 1 or (not done.failed and _all_done(batch.jobs, records.read())):
                    made = {job.name: job.target for job in batch.jobs if job.table and job.name not in done.failed}
                    if made:
                        finish(made)
    return done


def _all_done(jobs: Sequence[Job], known: Mapping[str, Facts]) -> bool:
    """Whether all shards have done their part; no file is looked at before all are noted."""
    return all(known.get(job.name) for job in jobs) and all(job.is_done(known[job.name]) for job in jobs)


class _Recorded:
    """In a worker: does a group of jobs, and says what was in their sources before."""

    def __init__(self, make_work: Callable[[], Work]) -> None:
        self.work = make_work()

    def __call__(self, group: Sequence[Job]) -> tuple[dict[str, Facts], Done]:
        facts: dict[str, Facts] = {}
        failed = {}
        for job in group:
            try:
                if job.problem:
                    raise UserError(job.problem)
                facts[job.name] = job.facts()
            except Exception as error:
                failed[job.name] = of_one_input(error)
        done = self.work([job for job in group if job.name in facts])
        return facts, Done({**failed, **done.failed}, done.counts)


def _keep_settings(path: Path, settings: dict[str, Any]) -> None:
    """Write the settings, or compare them with those that are there."""
    if not path.exists():
        write_json(path, settings)
        return
    before = read_json(path, advice=ELSEWHERE)
    for key in sorted({*before, *settings}):
        values = before.get(key), settings.get(key)
        if values[0] != values[1] and values != WIDER.get(key):
            raise UserError(f"{path.parent}: its files were made with {key} {values[0]}, not {values[1]}: {ELSEWHERE}")
    if before != settings:
        write_json(path, settings)


def _do(
    jobs: Sequence[Job], make_work: Callable[[], Work], run: Sharing, desc: str, records: _Records | None = None
) -> Done:
    groups = [jobs[start : start + GROUP] for start in range(0, len(jobs), GROUP)]
    whole = Done()

    def done():
        for group, (facts, part) in run.results(functools.partial(_Recorded, make_work), groups):
            whole.failed.update(part.failed)
            whole.counts.update(part.counts)
            if records is not None:
                for reason in part.failed.values():
                    print(f"failed: {reason}", file=sys.stderr, flush=True)
                made = {name: own for name, own in facts.items() if name not in part.failed}
                lost = [job.name for job in group if job.name in part.failed and not job.target.exists()]
                records.add({**made, **dict.fromkeys(lost)})
            yield from group

    for _ in progress(done(), total=len(jobs), desc=desc, unit="file") if len(jobs) > 1 else done():
        pass
    return whole


def run_files(
    batches: Sequence[Batch],
    kind: Kind,
    settings: Mapping[str, Any],
    make_work: Callable[[], Work],
    run: Sharing,
    finish: Callable[[Path, dict[str, Path]], None] | None = None,
    beside: Sequence[str] = (),
) -> None:
    """Make the files of all batches, list them in a table where they come from one, and say how many there are.

    Args:
        batches: From `batches_of`.
        kind: What the command reads and writes.
        settings, make_work, run: Of `run_batch`.
        finish: Makes what else belongs to a table, of the folder and the table's entries, name to file.
        beside: Names of the files that it makes.

    Raises:
        UserError: As of `run_batch`; or some files failed, and the rest is done.
    """
    failed, total = [], 0
    counts: Counter = Counter()

    def write_tables(folder: Path, made: dict[str, Path]) -> None:
        write_table(folder / kind.out_table, {name: str(path) for name, path in made.items()})
        if finish is not None:
            finish(folder, made)

    try:
        for batch in batches:
            tables: list[Path] = []
            if batch.folder is not None and any(job.table for job in batch.jobs):
                tables = [batch.folder / name for name in (kind.out_table, *beside)]
            write = functools.partial(write_tables, batch.folder) if tables else None
            done = run_batch(batch, settings, make_work, run, f"{kind.what} for {batch.out}", tables, write)
            index, count = run.part
            part = len(batch.jobs[index::count])
            total += part
            failed += done.failed.values()
            counts.update(done.counts)
            if not done.failed:
                shard = f" of {len(batch.jobs)}, shard {run.shard}" if count > 1 else ""
                print(f"{batch.out}: {kind.what} of {part}{shard} file{'s' if len(batch.jobs) > 1 else ''}")
                if tables and not tables[0].is_file():
                    print(f"{tables[0]}: is written when all shards are done")
    finally:
        for what, number in sorted(counts.items()):
            print(f"note: {number} of {total} file{'s' if total > 1 else ''} {what}", file=sys.stderr)
    raise_failed(failed, total)


def raise_failed(failed: Sequence[str], total: int) -> None:
    """Raise UserError where something failed: the message itself for one file alone, else how many."""
    if failed and total == 1:
        raise UserError(failed[0])
    if failed:
        raise UserError(
            f"{len(failed)} of {total} files failed, named above; the others are done. Repair them or take them out, "
            "and run the same command again"
        )
