# Copyright 2026 The hasrd authors
# Apache-2.0
"""The one rule of freshness: a result is up to date if it was made from the same content, by the same model, with the
same options.

What a result was made from is its origin: options (values that JSON can hold) and files by name. A record of it lies
beside the result, written last (of a training, which is a result from its first epoch on, at its start). A file counts
by its content: size and SHA-256. Size and times are kept as well, so that a file is hashed again only where they
differ: copying, touching or moving a file makes nothing stale, changing it does.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Iterable, Mapping, TextIO, TypedDict

import msgspec

from hasrd.config import check, read_json
from hasrd.errors import UserError
from hasrd.jobs.atomic import write_text
from hasrd.jobs.digest import sha256, values_sha256
from hasrd.progress import progress

# Of the record's layout.
FORMAT = 1
# Nanoseconds in which a file system may give two changes one time.
TICK = 100_000_000
# What stands for a file that is not there.
MISSING = [0, 0, 0, ""]
# Bytes of a table's files from which on it is shown how far their reading is.
SHOWN_BYTES = 2**30

Facts = list  # size, time of change of the content, of the file (ns), SHA-256
Record = dict[str, Any]


_Facts = Annotated[list, msgspec.Meta(min_length=4, max_length=4)]


class _Record(TypedDict):
    format: int
    options: dict[str, Any]
    files: dict[str, _Facts]
    tables: dict[str, Annotated[list, msgspec.Meta(min_length=2, max_length=2)]]


@dataclass(frozen=True)
class Origin:
    """What a result is made from.

    Attributes:
        options: All that shapes the result beside files, the model's hash included.
        files: Name, as it is shown in messages, to the file; its content counts, not its place.
        tables: Name to an scp table, as `wav.scp`: the keys and the content of the files that it lists count.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str | Path] = field(default_factory=dict)
    tables: Mapping[str, str | Path] = field(default_factory=dict)

    def record(self, before: Record | None = None) -> Record:
        """Return the origin as JSON holds it; files that look as in `before` are not read again."""
        known = (before or {}).get("files") or {}
        files = {name: facts_of(path, known.get(name)) for name, path in sorted(self.files.items())}
        tables = {name: table_facts(path) for name, path in sorted(self.tables.items())}
        options = json.loads(json.dumps(dict(self.options), sort_keys=True, default=str))
        return {"format": FORMAT, "options": options, "files": files, "tables": tables}


def facts_of(path: str | Path, known: Facts | None = None) -> Facts:
    """Return size, times and hash of a file, the hash from `known` where the rest is as there; else `MISSING`."""
    seen = _look(path)
    if seen is None:
        return MISSING
    if known is not None and list(known[:3]) == seen:
        return list(known)
    try:
        if time.time_ns() - seen[2] < TICK:
            # It could change once more without a sign: its times are not to be trusted later.
            return [*seen[:2], 0, sha256(path)]
        return [*seen, _hash(os.fspath(path), *seen)]
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return MISSING


def _look(path: str | Path) -> Facts | None:
    """Return size and times of a file; None where there is none."""
    try:
        status = os.stat(path)
    except OSError as error:
        # A text is longer than a file's name can be.
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        raise
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


@functools.lru_cache(maxsize=1024)
def _hash(path: str, *_: int) -> str:
    """Return the hash of a file, once for each state of it: many utterances lie in one archive."""
    return sha256(path)


def source_file(source: str) -> str:
    """Return the file that a table's value names: itself, or the archive of `archive:offset`."""
    return source if os.path.exists(source) else source.rpartition(":")[0] or source


def table_facts(table: str | Path) -> list:
    """Return how many keys an scp table has, and a hash of the keys and of the content of the files that it lists.

    The files' facts are kept beside the table (`.wav.scp.facts`), so that only changed files are read again.
    """
    from hasrd.data.kaldi import read_table

    table = Path(table)
    entries = read_table(table)
    known = read_facts(table)
    files = {source: source_file(source) for source in entries.values()}
    found = _facts_of_all(dict.fromkeys(files.values()), known, table)
    digest = hashlib.sha256()
    for key in sorted(entries):
        source = entries[key]
        size, _, _, content = found[files[source]]
        # What is no file counts as it stands there.
        place = source.removeprefix(files[source]) if content else source
        digest.update(f"{key}\t{place}\t{size}\t{content}\n".encode("utf-8", "surrogateescape"))
    if found != known:
        keep_facts(table, found)
    return [len(entries), digest.hexdigest()]


def _facts_of_all(files: Iterable[str], known: Mapping[str, Facts], table: Path) -> dict[str, Facts]:
    """Return the facts of many files; those that do not look as in `known` are read by several threads."""
    seen = {file: _look(file) for file in files}
    found = {file: known[file] for file in seen if file in known and known[file][:3] == seen[file]}
    rest = [file for file in seen if file not in found]
    if rest:
        # hashlib lets other threads run.
        with ThreadPoolExecutor() as pool:
            facts: Iterable[Facts] = pool.map(facts_of, rest)
            if sum(seen[file][0] for file in rest if seen[file]) > SHOWN_BYTES:
                facts = progress(facts, len(rest), f"noting what is in the files of {table}", "file")
            found.update(zip(rest, facts))
    return found


def read_facts(table: str | Path) -> dict[str, Facts]:
    """Return what is kept of the files of an scp table: file to its facts; {} where nothing is."""
    try:
        return read_json(_facts_file(table), dict[str, _Facts])
    except UserError:
        return {}


def keep_facts(table: str | Path, facts: Mapping[str, Facts]) -> None:
    """Keep the facts of the files of an scp table beside it; where that is not allowed, say so and go on."""
    path = _facts_file(table)
    try:
        write_text(path, json.dumps(dict(facts), ensure_ascii=False) + "\n")
    except OSError as error:
        print(
            f"note: {path}: cannot be written ({error.strerror}): all files that {table} lists are read again the next "
            "time",
            file=sys.stderr,
        )


def _facts_file(table: str | Path) -> Path:
    table = Path(table)
    return table.with_name(f".{table.name}.facts")


def difference(before: Record | None, now: Record) -> str:
    """Say in a few words what differs between two records, the older first; "" where nothing does."""
    if not before:
        return "it does not say what it was made from"
    changed = _changed_option(before["options"], now["options"])
    if changed:
        return changed
    # The data first: other files are often made of them.
    for part, what in (("tables", "the data of "), ("files", "")):
        old, new = before[part], now[part]
        for name in sorted({*old, *new}):
            if name not in old or name not in new:
                return f"{what}{name} {'is new' if name not in old else 'is no longer used'}"
            if part == "files" and [old[name][0], old[name][3]] != [new[name][0], new[name][3]]:
                return f"{name} has changed" if new[name][3] else f"{name} is gone"
            if part == "tables" and old[name] != new[name]:
                numbers = f" ({old[name][0]} utterances before, {new[name][0]} now)"
                return f"{what}{name} has changed{numbers if old[name][0] != new[name][0] else ''}"
    return ""


def _changed_option(old: Mapping[str, Any], new: Mapping[str, Any], inside: str = "") -> str:
    """Say which option differs, those in an option one by one; "" where none does."""
    for name in sorted({*old, *new}):
        before, now = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            changed = _changed_option(before, now, f"{inside}{name}.")
            if changed:
                return changed
        elif before != now:
            return f"{inside}{name} was {_shown(before)} and is {_shown(now)}"
    return ""


def content_sha256(record: Record) -> str:
    """Return a hash of what a record says, without the times of files: a name for what something was made from."""
    files = {name: [facts[0], facts[3]] for name, facts in record["files"].items()}
    return values_sha256(options=record["options"], files=files, tables=record["tables"])


def origin_file(result: str | Path) -> Path:
    """Return where the record of a result lies: in a folder, or beside a file."""
    result = Path(result)
    return result / ".origin.json" if result.is_dir() else result.with_name(f".{result.name}.origin")


def read_record(result: str | Path) -> Record | None:
    """Read the record of a result; None where there is none that can be read."""
    try:
        return check_record(read_json(origin_file(result)))
    except UserError:
        return None


def check_record(record: Any) -> Record | None:
    """Return a record that was read somewhere; None where it is none."""
    try:
        check(record, _Record, "record")
    except UserError:
        return None
    return record if record["format"] == FORMAT else None


def write_record(result: str | Path, record: Record) -> None:
    """Write the record of a result, which is complete."""
    write_text(origin_file(result), json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n")


def forget(result: str | Path) -> None:
    """Remove a result (a file) that is to be made anew, its record first: no kill leaves the one with another's."""
    origin_file(result).unlink(missing_ok=True)
    Path(result).unlink(missing_ok=True)


def why_stale(result: str | Path, origin: Origin) -> str:
    """Say why a result is not what the origin gives; "" where it is up to date."""
    result = Path(result)
    if not result.exists():
        return "it is not there"
    before = read_record(result)
    now = origin.record(before)
    reason = difference(before, now)
    if not reason and before != now:
        # Copied or touched: not to be hashed again the next time. Where that cannot be noted, it is.
        try:
            write_record(result, now)
        except OSError:
            pass
    return reason


def is_current(result: str | Path, origin: Origin, *beside: Path, again: str, file: TextIO | None = None) -> bool:
    """Whether a result is up to date; of an older one that is not, print what is done again, and why.

    Args:
        beside: Files that are made with it; without one of them it is not up to date.
        again: Such as "<file>: made again".
        file: Where it is printed; None: standard output.
    """
    reason = why_stale(result, origin)
    if reason and Path(result).exists():
        print(f"{again}: {reason}", file=file)
    return not reason and all(path.is_file() for path in beside)


def renew(result: str | Path, origin: Origin) -> Record:
    """Remove a result that is to be made anew; return the record to write when it is made."""
    forget(result)
    return origin.record()


def refuse_stale(result: str | Path, origin: Origin, ways_out: str) -> Record:
    """Refuse to go on with a result that was begun from something else, as a training.

    Returns:
        The record of the origin as it is now.

    Raises:
        UserError: The result has a record, and that is another; `ways_out` says what to do.
    """
    before = read_record(result)
    now = origin.record(before)
    reason = difference(before, now) if before else ""
    if reason:
        raise UserError(f"{result}: was made from something else: {reason}: {ways_out}")
    return now


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]} ..."
