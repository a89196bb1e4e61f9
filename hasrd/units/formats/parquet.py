# Copyright 2026 The hasrd authors
# Apache-2.0
"""Parquet files that Hugging Face's `datasets` loads: `load_dataset("folder")`.

data/<set>-00000.parquet   at most 100,000 utterances a file; columns:
    id           the utterance
    input_ids    list of int32; of a row a frame, list of lists
    num_frames   of the codes
    num_samples  of the speech; null: not known
    durations    list of int32, of deduplicated units
    text, speaker  of the data directory; null: not known
README.md                  names the sets (splits), whose names have no other characters than letters, digits and _
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Iterator, Sequence

import numpy as np

from hasrd.errors import UserError, first_line
from hasrd.jobs.atomic import write_text
from hasrd.units.formats.base import Example, Export, Format, shards
from hasrd.units.layout import Layout, Units

SHARD = 100_000
# Rows that are held in memory.
GROUP = 1000


class ParquetFormat(Format):
    """See the file."""

    def write(self, export: Export, folder: Path, final: Path) -> None:
        """Write the files of each set, and the page that names them."""
        arrow, schema = _arrow(), _schema(export.layout)
        (folder / "data").mkdir()
        splits = {name: split_name(name) for name in export.sets}
        if len(set(splits.values())) < len(splits):
            raise UserError(f"sets {', '.join(splits)}: two are the same without other characters than letters: rename")
        for name, examples in export.sets.items():
            rows = map(_row, examples())
            for number, shard in enumerate(shards(rows, SHARD)):
                path = folder / "data" / f"{splits[name]}-{number:05d}.parquet"
                with arrow.parquet.ParquetWriter(path, schema) as file:
                    for group in shards(shard, GROUP):
                        file.write_table(arrow.Table.from_pylist(list(group), schema))
        files = "".join(f"  - split: {split}\n    path: data/{split}-*.parquet\n" for split in splits.values())
        write_text(folder / "README.md", f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n")

    def read(self, folder: Path, name: str, layout: Layout, vocabulary: Sequence[str]) -> Iterator[tuple[str, Units]]:
        """Read the files of a set."""
        paths = sorted((folder / "data").glob(f"{split_name(name)}-[0-9]*.parquet"))
        if not paths:
            raise UserError(f"{folder}/data: no files of the set '{name}': export again")
        for path in paths:
            for row in _rows(path, layout):
                ids = np.array(row["input_ids"], dtype=np.int64).reshape(
                    (-1,) if layout.kind == "flat" else (-1, len(layout.sizes))
                )
                durations = None if row["durations"] is None else np.array(row["durations"], dtype=np.int64)
                yield row["id"], Units(ids, row["num_frames"], durations)


def split_name(name: str) -> str:
    """Return the name of a set as `datasets` takes one for a split."""
    return re.sub(r"\W", "_", name)


def _row(example: Example) -> dict[str, Any]:
    units = example.units
    return {
        "id": example.utterance,
        "input_ids": units.ids.tolist(),
        "num_frames": units.frames,
        "num_samples": example.samples,
        "durations": None if units.durations is None else units.durations.tolist(),
        "text": example.text,
        "speaker": example.speaker or None,
    }


def _arrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise UserError("--format parquet: needs the package pyarrow: pip install pyarrow") from None
    return pyarrow


def _schema(layout: Layout) -> Any:
    arrow = _arrow()
    ids = arrow.list_(arrow.int32())
    columns = {
        "id": arrow.string(),
        "input_ids": ids if layout.kind == "flat" else arrow.list_(ids),
        "num_frames": arrow.int32(),
        "num_samples": arrow.int64(),
        "durations": arrow.list_(arrow.int32()),
        "text": arrow.string(),
        "speaker": arrow.string(),
    }
    return arrow.schema(columns)


def _rows(path: Path, layout: Layout) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file that are needed to read the units."""
    arrow, schema = _arrow(), _schema(layout)
    names = ["id", "input_ids", "num_frames", "durations"]
    try:
        with arrow.parquet.ParquetFile(path) as file:
            if any(file.schema_arrow.field(name).type != schema.field(name).type for name in names):
                raise UserError(f"{path}: columns of other types than an export has: export again")
            for batch in file.iter_batches(GROUP, columns=names):
                for row in batch.to_pylist():
                    if any(row[name] is None for name in names[:3]):
                        raise UserError(f"{path}: a row without {', '.join(names[:3])}: export again")
                    yield row
    except (arrow.ArrowException, KeyError, OSError) as error:
        raise UserError(f"{path}: not a Parquet file of an export ({first_line(error)}): export again") from None
