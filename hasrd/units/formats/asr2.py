# Copyright 2026 The hasrd authors
# Apache-2.0
"""Data directories of ESPnet's recipes of ASR from units (egs2/TEMPLATE/asr2), as they are after its stage 4.

data/<set>/text.<case>.hasrd  'utt 丂丁...': a character a unit; case rm: repetitions are removed, ts: they are not
data/<set>/text.ts.<lang>     transcripts, also as text
data/<set>/utt2spk
data/<set>/utt2num_frames, utt2durations, utt2num_samples  as in plain text
token_list/src.txt            <blank>, <unk>, characters or BPE's pieces, <sos/eos>
token_list/tgt.txt            the same of the characters of the first set's transcripts
bpe.model                     with --bpe: of the characters; ESPnet applies it while it reads
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Sequence

import numpy as np

from hasrd.data.kaldi import read_table, write_lines
from hasrd.data.token_list import token_list
from hasrd.errors import UserError
from hasrd.jobs.names import inside
from hasrd.units import SPECIAL
from hasrd.units.bpe import character
from hasrd.units.formats.base import Export, Format, Lines, add_side, read_side, refuse_empty, side_names, with_side
from hasrd.units.layout import Layout, Units


class ASR2Format(Format):
    """See the file."""

    kinds = ("flat",)
    joins_bpe = True
    needs = ("text", "utt2spk")

    def write(self, export: Export, folder: Path, final: Path) -> None:
        """Write the directories and the lists of tokens."""
        source, target = _source(export.layout), inside("", f"text.ts.{export.language}").name
        letters = _characters(export.layout)
        for name, examples in export.sets.items():
            names = (source, target, "text", "utt2spk", *side_names(export.layout))
            with Lines(folder / "data" / name, *names) as lines:
                for example in examples():
                    refuse_empty(example, name)
                    lines.add(source, example.utterance, "".join(letters[example.units.ids - len(SPECIAL)]))
                    for table in (target, "text"):
                        lines.add(table, example.utterance, example.text or "")
                    lines.add("utt2spk", example.utterance, example.speaker)
                    add_side(lines, example)
        joined = export.vocabulary != export.layout.vocabulary
        words = export.vocabulary[len(SPECIAL) :] if joined else letters
        (folder / "token_list").mkdir()
        write_lines(folder / "token_list/src.txt", ["<blank>", "<unk>", *words, "<sos/eos>"])
        write_lines(folder / "token_list/tgt.txt", token_list(folder / "data" / next(iter(export.sets)) / "text"))

    def read(self, folder: Path, name: str, layout: Layout, vocabulary: Sequence[str]) -> Iterator[tuple[str, Units]]:
        """Read the units of a set."""
        path = folder / "data" / name / _source(layout)
        side = read_side(path.parent, layout)
        ids = {letter: number + len(SPECIAL) for number, letter in enumerate(_characters(layout).tolist())}
        for line, (utterance, text) in enumerate(read_table(path, may_be_empty=True).items(), start=1):
            if not set(text) <= ids.keys():
                raise UserError(f"{path}:{line}: a character that stands for no unit")
            yield utterance, with_side(side, utterance, np.array([ids[c] for c in text], dtype=np.int64), path)


def _source(layout: Layout) -> str:
    return f"text.{'rm' if layout.dedup else 'ts'}.hasrd"


def _characters(layout: Layout) -> np.ndarray:
    try:
        return np.array([character(unit) for unit in range(sum(layout.sizes))])
    except ValueError as error:
        raise UserError(f"--format asr2: {error}: choose streams") from None
