# Copyright 2026 The hasrd authors
# Apache-2.0
"""Data sets of ESPnet's speech language models as its recipes speechlm1 make them (`ESPnetMultiTaskDataset`).

    <set>/data.json                     task audiolm, the files below, and the utterances
    <set>/wav.scp, codes.ark            codes as Kaldi's vectors of integers: frame by frame, code c of codebook m is
                                        m * K + c, where K is the largest codebook's size
    <set>/token_lists/codec_token_list  M * K words, such as <codec_layer0_code12>

ESPnet wants as many codes in each frame and as many words of each codebook: a slow codebook's code is repeated, and a
smaller codebook has words that do not occur.
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Sequence

import numpy as np

from hasrd.data.archive import read_integers, write_archive
from hasrd.data.kaldi import read_table, write_lines, write_table
from hasrd.errors import UserError
from hasrd.jobs.atomic import write_json
from hasrd.units.formats.base import Example, Export, Format, refuse_empty
from hasrd.units.layout import Layout, Units

TASK = "audiolm"


class SpeechLM1Format(Format):
    """See the file."""

    kinds = ("frames",)
    compact = False

    def write(self, export: Export, folder: Path, final: Path) -> None:
        """Write archive, table, list of tokens and description of each set."""
        layout = export.layout
        words = [f"<codec_layer{m}_code{c}>" for m in range(len(layout.sizes)) for c in range(max(layout.sizes))]
        for name, examples in export.sets.items():
            place, later = folder / name, final / name
            (place / "token_lists").mkdir(parents=True)
            write_lines(place / "token_lists/codec_token_list", words)
            vectors = ((example.utterance, _vector(layout, example, name)) for example in examples())
            entries = write_archive(place / "codes.ark", later / "codes.ark", vectors)
            write_table(place / "wav.scp", entries)
            description = {
                "task": TASK,
                "vocabularies": [str(later / "token_lists/codec_token_list")],
                "data_files": [f"{later / 'wav.scp'},codec,kaldi_ark"],
                "num_examples": len(entries),
                "examples": sorted(entries),
            }
            write_json(place / "data.json", description)

    def read(self, folder: Path, name: str, layout: Layout, vocabulary: Sequence[str]) -> Iterator[tuple[str, Units]]:
        """Read the archive of a set."""
        steps, starts = _steps(layout), np.array(layout.starts)
        for utterance, entry in read_table(folder / name / "wav.scp").items():
            # Where the folder is now.
            vector = read_integers(f"{folder / name / 'codes.ark'}:{entry.rpartition(':')[2]}")
            if vector.ndim != 1 or len(vector) % len(steps):
                raise UserError(f"{folder}: set '{name}', utterance '{utterance}': not whole frames: export again")
            rows = vector.reshape(-1, len(steps)).astype(np.int64)
            yield utterance, Units(rows - steps + starts, len(rows))


def _steps(layout: Layout) -> np.ndarray:
    return np.arange(len(layout.sizes)) * max(layout.sizes)


def _vector(layout: Layout, example: Example, name: str) -> np.ndarray:
    refuse_empty(example, name)
    return (example.units.ids - np.array(layout.starts) + _steps(layout)).astype(np.int32).ravel()
