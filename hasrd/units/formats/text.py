# Copyright 2026 The hasrd authors
# Apache-2.0
"""Plain text, with words of the vocabulary.

<set>/text             'utt <semantic_12> <semantic_7> ...'; of a row a frame text.0, text.1, ...: one a codebook
<set>/utt2num_frames   frames of the codes
<set>/utt2durations    of deduplicated units: codes that each stands for
<set>/utt2num_samples  samples of the speech, where they are known
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Sequence

import numpy as np

from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.units.formats.base import Export, Format, Lines, add_side, read_side, refuse_empty, side_names, with_side
from hasrd.units.layout import Layout, Units


class TextFormat(Format):
    """See the file.

    Attributes:
        may_be_empty: Whether an utterance may have no units.
    """

    may_be_empty = True

    def write(self, export: Export, folder: Path, final: Path) -> None:
        """Write the tables of each set."""
        names, words = text_names(export.layout), np.array(export.vocabulary)
        for name, examples in export.sets.items():
            with Lines(folder / name, *names, *side_names(export.layout)) as lines:
                for example in examples():
                    if not self.may_be_empty:
                        refuse_empty(example, name)
                    ids = example.units.ids.reshape(len(example.units.ids), len(names))
                    for book, file in enumerate(names):
                        lines.add(file, example.utterance, words[ids[:, book]])
                    add_side(lines, example)

    def read(self, folder: Path, name: str, layout: Layout, vocabulary: Sequence[str]) -> Iterator[tuple[str, Units]]:
        """Read the tables of a set."""
        side = read_side(folder / name, layout)
        ids = {word: number for number, word in enumerate(vocabulary)}
        paths = [folder / name / file for file in text_names(layout)]
        tables = [read_table(path, may_be_empty=True) for path in paths]
        for line, utterance in enumerate(tables[0], start=1):
            columns = []
            for path, table in zip(paths, tables):
                words = table.get(utterance, "").split()
                unknown = next((word for word in words if word not in ids), None)
                if unknown is not None:
                    raise UserError(f"{path}:{line}: '{unknown[:40]}' is no word of the vocabulary")
                columns.append([ids[word] for word in words])
            if len({len(column) for column in columns}) > 1:
                raise UserError(f"{paths[0]}:{line}: '{utterance}' has lines of different lengths: export again")
            rows = np.array(columns, dtype=np.int64).T
            yield utterance, with_side(side, utterance, rows[:, 0] if layout.kind == "flat" else rows, paths[0])


def text_names(layout: Layout) -> list[str]:
    """Names of the files with units."""
    return ["text"] if layout.kind == "flat" else [f"text.{book}" for book in range(len(layout.sizes))]
