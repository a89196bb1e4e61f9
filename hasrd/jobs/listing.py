# Copyright 2026 The hasrd authors
# Apache-2.0
"""What there is to do, in sorted order, of which a job looks at its own part alone.

A list of millions of utterances is a table on the disk (`wav.scp`). Where its lines begin is noted beside it once
(`.wav.scp.lines.npz`), so that each of many jobs reads its own lines and no others.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Mapping, Protocol

import numpy as np

from hasrd.arrays import Array, read_npz
from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_path
from hasrd.jobs.digest import values_sha256
from hasrd.jobs.lock import exclusive
from hasrd.jobs.origin import Facts, facts_of

# Lines from one whose place is noted to the next.
STEP = 100
# Bytes of a table that is not read as a whole, whoever works on it.
LARGE = 2**26


class Listing(Protocol):
    """Utterances and their inputs, sorted by utterance."""

    def __len__(self) -> int: ...

    def part(self, start: int, stop: int) -> dict[str, str]:
        """Return the utterances at the places [start, stop), each with its input."""

    def sha256(self) -> str:
        """Return a hash of all, in hexadecimal."""


def list_inputs(inputs: Mapping[str, str] | Path, shared: bool) -> Listing:
    """Return the listing of a mapping, or of an scp table; `shared`: several jobs read their parts of it.

    Raises:
        UserError: No such table; of one whose lines are not sorted, also what is wrong with any line.
    """
    if not isinstance(inputs, Path):
        return _Mapping(inputs)
    if shared or (inputs.is_file() and inputs.stat().st_size > LARGE):
        table = _Table(inputs)
        if table.is_sorted:
            return table
    from hasrd.data.kaldi import read_table

    return _Mapping(read_table(inputs))


class _Mapping:
    def __init__(self, inputs: Mapping[str, str]) -> None:
        self.inputs, self.order = inputs, sorted(inputs)

    def __len__(self) -> int:
        return len(self.order)

    def part(self, start: int, stop: int) -> dict[str, str]:
        return {utterance: self.inputs[utterance] for utterance in self.order[start:stop]}

    def sha256(self) -> str:
        return values_sha256(inputs=dict(self.inputs))


class _Table:
    """Args:
    path: The table.

    Attributes:
        is_sorted: Whether each key is above the one before; otherwise the rest is not to be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index = index = path.with_name(f".{path.name}.lines.npz")
        if not path.is_file():
            raise UserError(f"{path}: no such file")
        found = _read(index, path)
        if found is None:
            try:
                # The other jobs wait for the first one.
                with exclusive(index, wait=True):
                    found = _read(index, path) or _write(index, path)
            except PermissionError:
                # A folder that is not ours.
                found = _index(path)
        self.offsets: np.ndarray = found["offsets"]
        self.count, self.is_sorted = int(found["count"]), bool(found["is_sorted"])
        self.content = str(found["sha256"])

    def __len__(self) -> int:
        return self.count

    def part(self, start: int, stop: int) -> dict[str, str]:
        from hasrd.data.kaldi import read_table

        stop = min(stop, self.count)
        first = start // STEP
        lines = range(first * STEP, stop)
        with open(self.path, "rb") as file:
            file.seek(max(0, int(self.offsets[first]) - 1))
            if first and file.read(1) != b"\n":
                raise UserError(f"{self.index}: damaged: remove it, and run the same command again")
        entries = read_table(self.path, begin=(int(self.offsets[first]), lines.start + 1), count=len(lines))
        return dict(list(entries.items())[start - lines.start :])

    def sha256(self) -> str:
        return self.content


_INDEX = {
    "offsets": Array("i", ("N",)),
    "count": Array("iu"),
    "is_sorted": Array("b"),
    "facts": Array("i", (3,)),
    "sha256": Array("U"),
}


def _read(index: Path, table: Path) -> dict[str, np.ndarray] | None:
    """Return what is noted of a table; None where nothing is, or of another content."""
    try:
        found = read_npz(index, _INDEX, "index of a table", "remove it")
    except UserError:
        return None
    known: Facts = [*map(int, found["facts"]), str(found["sha256"])]
    if facts_of(table, known)[3] != known[3]:
        return None
    # A count that fits, and places in the file, in order.
    places = [*found["offsets"].tolist(), table.stat().st_size]
    fits = len(places) - 1 == -(-int(found["count"]) // STEP) or not found["is_sorted"]
    return found if fits and all(0 <= one < other for one, other in zip(places, places[1:])) else None


def _write(index: Path, table: Path) -> dict[str, np.ndarray]:
    found = _index(table)
    with suppress(OSError), atomic_path(index) as temporary:
        np.savez(temporary, **found)
    return found


def _index(table: Path) -> dict[str, np.ndarray]:
    facts = facts_of(table)
    offsets, offset, before, is_sorted, count = [], 0, b"", True, 0
    with open(table, "rb") as file:
        for line in file:
            if count % STEP == 0:
                offsets.append(offset)
            key = line.split(None, 1)[:1]
            # The order of UTF-8 is that of its characters.
            if not key or key[0] <= before:
                is_sorted = False
                break
            before = key[0]
            offset += len(line)
            count += 1
    return {
        "offsets": np.array(offsets, np.int64),
        "count": np.int64(count),
        "is_sorted": np.bool_(is_sorted),
        "facts": np.array(facts[:3], np.int64),
        "sha256": np.array(facts[3]),
    }
