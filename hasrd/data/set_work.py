# Copyright 2026 The hasrd authors
# Apache-2.0
"""Work over the utterances of a data set: in chunks, by several processes or jobs, to tables of the whole set."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from hasrd.data.features import merge_tables
from hasrd.data.kaldi import wav_table, write_table
from hasrd.jobs.chunks import ChunkWork, run_in_chunks
from hasrd.jobs.sharing import Sharing


@dataclass(frozen=True)
class DataSetRun:
    """Which data set is worked on, where the results go, and by how many.

    Attributes:
        data: Data directory.
        out: Folder to write; chunks lie in `chunks`.
        ngpu: 1 computes on the GPU, in one process.
        nj, shard, scheduler: See `Sharing`.
    """

    data: str
    out: Path
    nj: int
    ngpu: int
    shard: str
    scheduler: str = field(default="", kw_only=True)

    @property
    def sharing(self) -> Sharing:
        """By whom it is done."""
        return Sharing(self.nj, self.shard, self.scheduler).on_gpu(self.ngpu)

    def run(
        self,
        make_work: Callable[[], ChunkWork],
        what: str,
        made_from: Sequence[Path],
        *,
        options: Mapping[str, Any],
        inputs: Mapping[str, str] | None = None,
        chunk_size: int = 100,
    ) -> list[Path] | None:
        """Work on the utterances in chunks; arguments and result are those of `run_in_chunks`.

        Args:
            what: What is made, for the progress.
            inputs: Utterance to what is worked on; None: its audio.
        """
        return run_in_chunks(
            wav_table(self.data) if inputs is None else inputs,
            self.out / "chunks",
            make_work,
            options=options,
            chunk_size=chunk_size,
            sharing=self.sharing,
            desc=f"{what} of {self.data}",
            made_from=made_from,
        )


def write_merged(folders: Sequence[Path], tables: Mapping[str, Path]) -> None:
    """Write the tables of a whole set: name in the folder of each chunk to the file."""
    for name, path in tables.items():
        write_table(path, merge_tables(folders, name))
