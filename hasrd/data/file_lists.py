# Copyright 2026 The hasrd authors
# Apache-2.0
"""Which files a command works on, and where the result of each goes.

Inputs are files, folders (searched with all folders in them, linked ones too) and tables (.scp, or a folder that has
one). Their results go to one place that is named, or else beside each input. "-" stands for standard input or output.
"""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Iterator, Sequence

from hasrd.data.kaldi import read_table
from hasrd.data.walk import walk_files
from hasrd.errors import UserError
from hasrd.jobs.names import inside
from hasrd.jobs.origin import Facts, facts_of, source_file

PIPE = Path("-")


@dataclass(frozen=True)
class Job:
    """One file: what it is called in messages and tables, where it comes from and where it goes to.

    One with a problem, a name that its target cannot have, fails; the others are done.

    Attributes:
        beside: What tables beside an archive say of it.
        table: The table that lists it; None where none does.
        label: What messages call the target, where its path says nothing.
    """

    name: str
    source: str
    target: Path
    beside: str = ""
    problem: str = ""
    table: Path | None = None
    label: str = ""

    def facts(self, known: Facts | None = None) -> Facts:
        """What is in the source; of an archive's entry (`file:offset`), in the archive, where it is, and `beside`."""
        file = source_file(self.source)
        return [*facts_of(file, known and known[:4]), self.source.removeprefix(file) + self.beside]

    def is_done(self, known: Facts | None) -> bool:
        """Whether the target is there, made of what is now in the source."""
        if not known or not self.target.exists():
            return False
        try:
            now = self.facts(known)
        except OSError:
            return False
        # Size, hash and place; the times may be others.
        return [now[0], *now[3:]] == [known[0], *known[3:]]


@dataclass(frozen=True)
class Kind:
    """What a command reads and writes.

    Attributes:
        command: Its name, as "encode".
        what: It makes, as "tokens".
        inputs: Suffixes of its input files, lower case.
        last: Suffixes by which the last path of a command line is an input, and not OUT.
        table: Name of the table that stands for a folder that has it.
        outputs: Suffixes that its output may have; the first is that of the files which it names itself.
        out_table: Name of the table of outputs, where the inputs come from a table.
    """

    command: str
    what: str
    inputs: tuple[str, ...]
    last: tuple[str, ...]
    table: str
    outputs: tuple[str, ...]
    out_table: str

    def writing(self, form: str) -> Kind:
        """Return the same command with another form of the files that it names itself, such as "flac"."""
        first = f".{form}"
        return replace(self, outputs=(first, *(suffix for suffix in self.outputs if suffix != first)))


@dataclass(frozen=True)
class Batch:
    """Jobs whose records lie in one folder.

    Attributes:
        jobs: In the order in which shards share them.
        out: Where the results go, for messages.
        folder: That holds the records; None for one file alone, which has none.
        beside: The name of the command where the folder is that of the inputs, else "". It is part of the records'
            names there, so that several commands can keep theirs.
    """

    jobs: list[Job]
    out: Path
    folder: Path | None
    beside: str = ""


def split_out(paths: Sequence[Path], out: Path | None, kind: Kind) -> tuple[list[Path], Path | None]:
    """Return inputs and OUT of a command line, as `cp` takes them; None where the results go beside the inputs.

    Args:
        paths: All that are named. Without `out`, the last of several is OUT unless its name is that of an input.
        out: Of -o.
    """
    if out is None and len(paths) > 1 and (paths[-1] == PIPE or paths[-1].suffix.lower() not in kind.last):
        return list(paths[:-1]), paths[-1]
    return list(paths), out


@contextmanager
def batches_of(paths: Sequence[Path], out: Path | None, kind: Kind) -> Iterator[list[Batch]]:
    """Give the work of a command line (see `split_out`); files stand in for standard input and output.

    What is made for standard output is written there at the end, and all that is printed goes to standard error.

    Raises:
        UserError: Nothing there, two inputs for one output, an output of another kind, or pipes where files are needed.
    """
    paths, out = split_out(paths, out, kind)
    if PIPE in paths and out is None:
        out = PIPE
    if PIPE not in (*paths, out):
        yield list_batches(paths, out, kind)
        return
    if len(paths) > 1 or paths[0].is_dir() or paths[0].suffix == ".scp":
        raise UserError("'-' stands for one file, the only one of a run: name files or folders in its place")
    with ExitStack() as stack:
        if paths == [PIPE]:
            # Readers of tokens look at the name, those of audio at what is in it.
            paths = [stack.enter_context(standard_input(kind.inputs[0]))]
        if out != PIPE:
            yield list_batches(paths, out, kind)
            return
        if sys.stdout.isatty():
            raise UserError("standard output is a terminal: name a file with -o, or a pipe")
        made = Path(stack.enter_context(TemporaryDirectory(prefix="hasrd-")), f"stdout{kind.outputs[0]}")
        with _named(made, "standard output"), redirect_stdout(sys.stderr):
            (batch,) = list_batches(paths, made, kind)
            jobs = [replace(job, label="standard output") for job in batch.jobs]
            yield [replace(batch, jobs=jobs, out=Path("standard output"))]
        with open(made, "rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


@contextmanager
def standard_input(suffix: str) -> Iterator[Path]:
    """Give a file that holds what comes from standard input; errors name that in its place."""
    with TemporaryDirectory(prefix="hasrd-") as folder:
        path = Path(folder, f"stdin{suffix}")
        with open(path, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        with _named(path, "standard input"):
            yield path


@contextmanager
def _named(path: Path, name: str) -> Iterator[None]:
    """Let errors name a pipe in place of the file that stands in for it."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace(str(path), name)) from None


def list_batches(paths: Sequence[Path], out: Path | None, kind: Kind) -> list[Batch]:
    """List what there is to do.

    Args:
        paths: The inputs.
        out: The file to write for a single file, or else a folder; None: beside each input. Of several inputs, each
            folder becomes one in `out`, as `cp` copies folders.

    Raises:
        UserError: See `batches_of`.
    """
    if out is None and set(kind.inputs) & set(kind.outputs):
        raise UserError(f"{paths[0]}: a result beside it could have its name: name OUT after it, or with -o")
    alone = len(paths) == 1 and paths[0].is_file() and paths[0].suffix != ".scp"
    if alone:
        source = paths[0]
        target = source.with_suffix(kind.outputs[0]) if out is None else out
        if out is not None and out.is_dir():
            target = out / f"{source.stem}{kind.outputs[0]}"
        if target.suffix not in kind.outputs:
            raise UserError(
                f"{target}: what is made of one file is named {' or '.join(kind.outputs)}, or goes to a folder that is "
                "there"
            )
        return [Batch([Job(source.name, str(source), target)], target if out is None else out, None)]
    folders: dict[Path, list[Job]] = {}
    for path in paths:
        table = path / kind.table if path.is_dir() and (path / kind.table).is_file() else path
        home = table if table.is_dir() else table.parent
        into = "" if out is None or len(paths) == 1 else f"{path.resolve().name}/"
        folders.setdefault(home if out is None else out, []).extend(
            _jobs(table, home if out is None else out, kind, into)
        )
    by_target: dict[Path, Job] = {}
    for job in (job for jobs in folders.values() for job in jobs if not job.problem):
        other = by_target.setdefault(job.target, job)
        if other is not job:
            raise UserError(f"{job.source}: {other.source} would have the same output: rename one of them")
    return [Batch(jobs, folder, folder, kind.command if out is None else "") for folder, jobs in folders.items()]


def _jobs(source: Path, out: Path, kind: Kind, into: str) -> list[Job]:
    """The jobs of one input, in the order of their names; `into`: a folder's own folder in `out`, such as "a/"."""
    if source.suffix == ".scp":
        names = read_table(source)
        return [_job(name, names[name], out, kind, table=source) for name in sorted(names)]
    if source.is_dir():
        found = [
            path
            for path in sorted(walk_files(source))
            if path.suffix.lower() in kind.inputs and not path.name.startswith(".")
        ]
        if not found:
            raise UserError(f"{source}: no files with {', '.join(kind.inputs)} in it")
        names = {path: f"{into}{path.relative_to(source).with_suffix('').as_posix()}" for path in found}
        return [_job(name, str(path), out, kind, folders=True) for path, name in names.items()]
    if not source.is_file():
        raise UserError(f"{source}: no such file or folder")
    return [_job(source.stem, str(source), out, kind)]


def _job(name: str, source: str, out: Path, kind: Kind, folders: bool = False, table: Path | None = None) -> Job:
    try:
        return Job(name, source, inside(out, name, kind.outputs[0], folders), table=table)
    except UserError as error:
        return Job(name, source, out, problem=str(error), table=table)
