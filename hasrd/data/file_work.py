# Copyright 2026 The hasrd authors
# Apache-2.0
"""One output file for each of many input files: found, done in parallel, and gone on with after an interruption.

A file that fails is named, and the rest is done. `settings.json` in the output folder says how its files were made, and
`.sources.jsonl` what was in the files that they were made of. A file that is there already, of the same content, is
skipped; one whose source has changed is made again; a run with other settings is refused.
"""

from __future__ import annotations

import functools
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from hasrd.config import read_json
from hasrd.data.kaldi import read_table, write_table
from hasrd.data.walk import walk_files
from hasrd.errors import UserError, of_one_input
from hasrd.jobs.atomic import write_json
from hasrd.jobs.lock import exclusive
from hasrd.jobs.names import inside
from hasrd.jobs.origin import Facts, facts_of, source_file
from hasrd.jobs.workers import run_workers
from hasrd.progress import progress

SETTINGS = "settings.json"
# A line for each file that was made: its name and the facts of its source. The last line of a name counts.
SOURCES = ".sources.jsonl"
# Files that a worker takes at a time, so that the short ones can share a batch.
GROUP = 16


@dataclass(frozen=True)
class Job:
    """One file: what it is called in messages and tables, where it comes from and where it goes to.

    One with a problem, a name that its target cannot have, fails; the others are done.

    Attributes:
        beside: What tables beside an archive say of it.
    """

    name: str
    source: str
    target: Path
    beside: str = ""
    problem: str = ""

    def facts(self, known: Facts | None = None) -> Facts:
        """What is in the source; of an archive's entry (`file:offset`), in the archive, where it is, and `beside`."""
        file = source_file(self.source)
        return [*facts_of(file, known and known[:4]), self.source.removeprefix(file) + self.beside]

    def is_done(self, known: Facts | None) -> bool:
        """Whether the target is there, made of what is now in the source."""
        if known is None or not self.target.exists():
            return False
        try:
            now = self.facts(known)
        except OSError:
            return False
        # Size, hash and place; the times may be others.
        return [now[0], *now[3:]] == [known[0], *known[3:]]


def _job(name: str, source: str, out: Path, suffix: str, folders: bool = False) -> Job:
    try:
        return Job(name, source, inside(out, name, suffix, folders))
    except UserError as error:
        return Job(name, source, out, str(error))


# Does a group of jobs; returns the names of those that failed with what is wrong.
Work = Callable[[Sequence[Job]], list[tuple[str, str]]]


def list_jobs(source: Path, out: Path, suffixes: Sequence[str], out_suffix: str, table: str) -> tuple[list[Job], str]:
    """List what there is to do.

    Args:
        source: A file; a folder, searched with all folders in it, linked ones too; or a table (.scp; or a folder that
            has `table`).
        out: The file to write for a file, else the folder.
        suffixes: Of the input files, lower case.
        out_suffix: Of the output files.
        table: Name of the table that stands for a folder which has it.

    Returns:
        The jobs in the order of their names, and where they come from: "file", "folder" or "table".

    Raises:
        UserError: Nothing there, or two inputs for one output.
    """
    if source.is_dir() and (source / table).is_file():
        source = source / table
    if source.suffix == ".scp":
        names = read_table(source)
        return [_job(name, names[name], out, out_suffix) for name in sorted(names)], "table"
    if source.is_dir():
        found: dict[str, Job] = {}
        for path in sorted(walk_files(source)):
            if path.suffix.lower() not in suffixes or path.name.startswith("."):
                continue
            name = path.relative_to(source).with_suffix("").as_posix()
            if name in found:
                raise UserError(f"{path}: {found[name].source} would have the same output: rename one of them")
            found[name] = _job(name, str(path), out, out_suffix, folders=True)
        if not found:
            raise UserError(f"{source}: no files with {', '.join(suffixes)} in it")
        return list(found.values()), "folder"
    if not source.is_file():
        raise UserError(f"{source}: no such file or folder")
    target = out / f"{source.stem}{out_suffix}" if out.is_dir() else out
    return [Job(source.name, str(source), target)], "file"


def run_jobs(
    jobs: Sequence[Job],
    out: Path | None,
    settings: Mapping[str, Any],
    make_work: Callable[[], Work],
    nj: int,
    desc: str,
) -> dict[str, str]:
    """Do what is not done yet.

    Args:
        jobs: From `list_jobs`.
        out: The output folder; None for one file alone, which must not be there yet.
        settings: All that shapes the outputs beside the inputs.
        make_work: Builds the work in each process; see `run_workers`.
        nj: Processes.
        desc: What progress is called.

    Returns:
        The jobs that failed: name to what is wrong, which was also printed.

    Raises:
        UserError: Outputs that something else made, or another process that writes to the folder.
    """
    if out is None or not (out / SETTINGS).exists():
        there = next((job.target for job in jobs if not job.problem and job.target.exists()), None)
        if there is not None:
            raise UserError(f"{there}: is there already: remove it, or choose another name")
    if out is None:
        with exclusive(jobs[0].target):
            return _do(jobs, make_work, 1, desc)
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file: name the folder to write to")
    out.mkdir(parents=True, exist_ok=True)
    with exclusive(out):
        _keep_settings(out / SETTINGS, json.loads(json.dumps(dict(settings))))
        known = _read_sources(out / SOURCES)
        todo = [job for job in jobs if not job.is_done(known.get(job.name))]
        if len(todo) < len(jobs):
            rest = "going on with the rest" if todo else "nothing to do"
            print(f"{out}: {len(jobs) - len(todo)} of {len(jobs)} files are there already, {rest}", file=sys.stderr)
        return _do(todo, make_work, nj, desc, out / SOURCES)


def _read_sources(path: Path) -> dict[str, Facts]:
    """Read the facts of the sources of what is there; a line that a kill has cut off counts as none."""
    known: dict[str, Facts] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                name, facts = json.loads(line)
            except (ValueError, TypeError, RecursionError):
                continue
            if isinstance(name, str) and isinstance(facts, list) and len(facts) == 5:
                known[name] = facts
    return known


class _Recorded:
    """In a worker: does a group of jobs, and says what was in their sources before."""

    def __init__(self, make_work: Callable[[], Work]) -> None:
        self.work = make_work()

    def __call__(self, group: Sequence[Job]) -> tuple[dict[str, Facts], list[tuple[str, str]]]:
        facts: dict[str, Facts] = {}
        failed = []
        for job in group:
            try:
                if job.problem:
                    raise UserError(job.problem)
                facts[job.name] = job.facts()
            except Exception as error:
                failed.append((job.name, of_one_input(error)))
        return facts, failed + self.work([job for job in group if job.name in facts])


def _keep_settings(path: Path, settings: dict[str, Any]) -> None:
    """Write the settings, or compare them with those that are there."""
    if not path.exists():
        write_json(path, settings)
        return
    before = read_json(path, advice="choose another folder")
    for key in sorted({*before, *settings}):
        if before.get(key) != settings.get(key):
            raise UserError(
                f"{path.parent}: its files were made with {key} {before.get(key)}, not {settings.get(key)}: "
                "choose another folder, or remove this one"
            )


def _do(
    jobs: Sequence[Job], make_work: Callable[[], Work], nj: int, desc: str, sources: Path | None = None
) -> dict[str, str]:
    groups = [jobs[start : start + GROUP] for start in range(0, len(jobs), GROUP)]
    failed: dict[str, str] = {}

    def done():
        for group, (facts, wrong) in run_workers(functools.partial(_Recorded, make_work), groups, nj):
            for name, reason in wrong:
                failed[name] = reason
                print(f"failed: {reason}", file=sys.stderr, flush=True)
            if sources is not None:
                made = [[name, own] for name, own in facts.items() if name not in failed]
                with open(sources, "a", encoding="utf-8") as file:
                    file.write("".join(json.dumps(line) + "\n" for line in made))
            yield from group

    for _ in progress(done(), total=len(jobs), desc=desc, unit="file") if len(jobs) > 1 else done():
        pass
    return failed


def raise_failed(failed: Mapping[str, str], total: int) -> None:
    """Raise UserError where something failed: the message itself for one file alone, else how many."""
    if failed and total == 1:
        raise UserError(next(iter(failed.values())))
    if failed:
        raise UserError(
            f"{len(failed)} of {total} files failed, named above; the others are done. Repair them or take them out, "
            "and run the same command again"
        )


def run_files(
    jobs: Sequence[Job],
    kind: str,
    source: Path,
    out: Path,
    settings: Mapping[str, Any],
    make_work: Callable[[], Work],
    nj: int,
    what: str,
    table: str,
    finish: Callable[[dict[str, Path]], None] | None = None,
) -> None:
    """Make the files that `list_jobs` found, list them in a table where they come from one, and say how many there are.

    Args:
        jobs, kind: From `list_jobs` of `source` and `out`.
        settings, make_work, nj: Of `run_jobs`.
        what: What is made.
        table: Name of the table that is written into `out`.
        finish: Makes what else belongs to a table from its entries, name to file.

    Raises:
        UserError: As of `run_jobs`; or some files failed, and the rest is done.
    """
    failed = run_jobs(jobs, None if kind == "file" else out, settings, make_work, nj, f"{what} of {source}")
    done = {job.name: job.target for job in jobs if job.name not in failed}
    if kind == "table" and done:
        write_table(out / table, {name: str(path) for name, path in done.items()})
        if finish is not None:
            finish(done)
    raise_failed(failed, len(jobs))
    print(f"{out}: {what} of {len(jobs)} file{'s' if len(jobs) > 1 else ''}")
