# Copyright 2026 The hasrd authors
# Apache-2.0
"""WebDataset's shards: tar files in which the files of one utterance follow on each other.

    <set>-000000.tar   at most 10,000 utterances a file; of each:
        <key>.json     id, num_frames, num_samples (null: not known), durations (null: not deduplicated), text, speaker
        <key>.npy      the ids: int32 (L,), or (L, M) of a row a frame

WebDataset takes what follows on the first dot of a name for its kind: dots of an utterance's name are %2E in the key.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Annotated, Iterator, Sequence

import msgspec
import numpy as np

from hasrd.arrays import Array, read_npy_bytes
from hasrd.config import check, parse_json
from hasrd.errors import UserError, first_line
from hasrd.units.formats.base import Example, Export, Format, shards
from hasrd.units.layout import MOST_FRAMES, Layout, Units

SHARD = 10_000
# Bytes of a member that are read: more than hours of speech have.
MOST = 2**28


_Number = Annotated[int, msgspec.Meta(ge=0, le=MOST_FRAMES)]


class _Facts(msgspec.Struct):
    id: str
    num_frames: _Number
    durations: list[_Number] | None = None


class WebDatasetFormat(Format):
    """See the file."""

    def write(self, export: Export, folder: Path, final: Path) -> None:
        """Write the shards of each set."""
        for name, examples in export.sets.items():
            for number, shard in enumerate(shards(examples(), SHARD)):
                with tarfile.open(folder / f"{name}-{number:06d}.tar", "w") as file:
                    for example in shard:
                        _add(file, example)

    def read(self, folder: Path, name: str, layout: Layout, vocabulary: Sequence[str]) -> Iterator[tuple[str, Units]]:
        """Read the shards of a set."""
        paths = sorted(folder.glob(f"{name}-[0-9][0-9][0-9][0-9][0-9][0-9].tar"))
        if not paths:
            raise UserError(f"{folder}: no shards of the set '{name}': export again")
        for path in paths:
            for key, members in _samples(path):
                where = f"{path}: {key}"
                if set(members) != {"json", "npy"}:
                    raise UserError(f"{where}: files {', '.join(sorted(members))}, not json and npy: export again")
                facts = check(parse_json(members["json"], where, "export again"), _Facts, where, "export again")
                wanted = Array("i", ("L",) if layout.kind == "flat" else ("L", len(layout.sizes)))
                ids = read_npy_bytes(members["npy"], f"{where}.npy", wanted, "array of units", "export again")
                durations = None if facts.durations is None else np.array(facts.durations, dtype=np.int64)
                yield facts.id, Units(ids.astype(np.int64), facts.num_frames, durations)


def _add(shard: tarfile.TarFile, example: Example) -> None:
    units = example.units
    facts = {
        "id": example.utterance,
        "num_frames": units.frames,
        "num_samples": example.samples,
        "durations": None if units.durations is None else units.durations.tolist(),
        "text": example.text,
        "speaker": example.speaker or None,
    }
    array = io.BytesIO()
    np.save(array, units.ids.astype(np.int32))
    key = example.utterance.replace("%", "%25").replace(".", "%2E")
    for kind, content in {"json": json.dumps(facts, ensure_ascii=False).encode(), "npy": array.getvalue()}.items():
        # Neither the time nor the user: the same content is the same file.
        member = tarfile.TarInfo(f"{key}.{kind}")
        member.size = len(content)
        shard.addfile(member, io.BytesIO(content))


def _samples(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield key and files of each utterance of a shard."""
    key, members = "", {}
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                if not member.isreg() or member.size > MOST:
                    raise UserError(f"{path}: {member.name[:100]!r} is no file of an utterance: export again")
                name, _, kind = member.name.partition(".")
                if name != key and members:
                    yield key, members
                    members = {}
                key = name
                members[kind] = shard.extractfile(member).read()
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not a shard ({first_line(error)}): export again") from None
    if members:
        yield key, members
