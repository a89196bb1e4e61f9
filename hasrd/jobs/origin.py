# Copyright 2026 The hasrd authors
# Apache-2.0
"""The one rule of freshness: a result is up to date if it was made from the same content, by the same model, with the
same options.

What a result was made from is its origin: options (values that JSON can hold) and files by name. A record of it lies
beside the result, written last. A file counts by its content: size and SHA-256. Size and times are kept as well, so
that a file is hashed again only where they differ: copying or touching a file makes nothing stale, changing it does.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Mapping, TypedDict

import msgspec

from hasrd.config import check, read_json
from hasrd.errors import UserError
from hasrd.jobs.atomic import write_text
from hasrd.jobs.digest import sha256

# Of the record's layout.
FORMAT = 1
# Nanoseconds in which a file system may give two changes one time.
TICK = 100_000_000
# What stands for a file that is not there.
MISSING = [0, 0, 0, ""]

Facts = list  # size, time of change of the content, of the file (ns), SHA-256
Record = dict[str, Any]


_Facts = Annotated[list, msgspec.Meta(min_length=4, max_length=4)]


class _Record(TypedDict):
    format: int
    options: dict[str, Any]
    files: dict[str, _Facts]
    tables: dict[str, str]


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
        tables = {name: table_digest(path) for name, path in sorted(self.tables.items())}
        options = json.loads(json.dumps(dict(self.options), sort_keys=True, default=str))
        return {"format": FORMAT, "options": options, "files": files, "tables": tables}


def facts_of(path: str | Path, known: Facts | None = None) -> Facts:
    """Return size, times and hash of a file, the hash from `known` where the rest is as there; else `MISSING`."""
    try:
        status = os.stat(path)
        seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        if known is not None and list(known[:3]) == seen:
            return list(known)
        if time.time_ns() - status.st_ctime_ns < TICK:
            # It could change once more without a sign: its times are not to be trusted later.
            return [*seen[:2], 0, sha256(path)]
        return [*seen, _hash(os.fspath(path), *seen)]
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return MISSING


@functools.lru_cache(maxsize=1024)
def _hash(path: str, *_: int) -> str:
    """Return the hash of a file, once for each state of it: many utterances lie in one archive."""
    return sha256(path)


def source_file(source: str) -> str:
    """Return the file that a table's value names: itself, or the archive of `archive:offset`."""
    return source if os.path.exists(source) else source.rpartition(":")[0] or source


def table_digest(table: str | Path) -> str:
    """Return a hash of the keys of an scp table and of the content of the files that it lists.

    The files' facts are kept beside the table (`.wav.scp.facts`), so that only changed files are read again.
    """
    from hasrd.data.kaldi import read_table

    table = Path(table)
    entries = read_table(table)
    kept = table.with_name(f".{table.name}.facts")
    known = _read_facts(kept)
    found: dict[str, Facts] = {}
    digest = hashlib.sha256()
    for key in sorted(entries):
        file = source_file(entries[key])
        if file not in found:
            found[file] = facts_of(file, known.get(file))
        offset = entries[key].removeprefix(file)
        digest.update(f"{key}\t{offset}\t{found[file][0]}\t{found[file][3]}\n".encode("utf-8", "surrogateescape"))
    if found != known:
        _write_facts(kept, found)
    return digest.hexdigest()


def keep_facts(table: str | Path, facts: Mapping[str, Facts]) -> None:
    """Keep facts of a table's files that were found while they were read for another reason."""
    table = Path(table)
    _write_facts(table.with_name(f".{table.name}.facts"), facts)


def difference(before: Record | None, now: Record) -> str:
    """Say in a few words what differs between two records, the older first; "" where nothing does."""
    if not before or before.get("format") != now["format"]:
        return "it does not say what it was made from"
    for part, what in (("options", ""), ("files", ""), ("tables", "the data of ")):
        old, new = before.get(part) or {}, now[part]
        for name in sorted({*old, *new}):
            if part == "options":
                if old.get(name) != new.get(name):
                    return f"{name} was {_shown(old.get(name))} and is {_shown(new.get(name))}"
            elif part == "files" and name in old and name in new:
                if [old[name][0], old[name][3]] != [new[name][0], new[name][3]]:
                    return f"{name} has changed" if new[name][3] else f"{name} is gone"
            elif old.get(name) != new.get(name):
                state = "is new" if name not in old else "is no longer used" if name not in new else "has changed"
                return f"{what}{name} {state}"
    return ""


def origin_file(result: str | Path) -> Path:
    """Return where the record of a result lies: in a folder, or beside a file."""
    result = Path(result)
    return result / ".origin.json" if result.is_dir() else result.with_name(f".{result.name}.origin.json")


def read_record(result: str | Path) -> Record | None:
    """Read the record of a result; None where there is none that can be read."""
    try:
        record = read_json(origin_file(result))
        check(record, _Record, result)
        return record
    except UserError:
        return None


def write_record(result: str | Path, record: Record) -> None:
    """Write the record of a result, which is complete."""
    write_text(origin_file(result), json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n")


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


def refuse_stale(result: str | Path, origin: Origin, ways_out: str) -> None:
    """Refuse to go on with a result that was begun from something else, as a training.

    Raises:
        UserError: It has a record, and that is another; `ways_out` says what to do.
    """
    before = read_record(result)
    if before is not None:
        reason = difference(before, origin.record(before))
        if reason:
            raise UserError(f"{result}: was made from something else: {reason}: {ways_out}")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]} ..."


def _read_facts(path: Path) -> dict[str, Facts]:
    try:
        return read_json(path, dict[str, _Facts])
    except UserError:
        return {}


def _write_facts(path: Path, facts: Mapping[str, Facts]) -> None:
    try:
        write_text(path, json.dumps(dict(facts), ensure_ascii=False) + "\n")
    except OSError:
        # A folder that can only be read: they are found out again the next time.
        pass
