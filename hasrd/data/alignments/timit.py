# Copyright 2026 The hasrd authors
# Apache-2.0
"""TIMIT's time-aligned transcriptions (Garofolo et al., LDC93S1).

Each line is `begin end label`, in samples at 16 kHz:

    <speaker>/<sentence>.phn   phones (61 symbols; `h#` is silence)
    <speaker>/<sentence>.wrd   words
"""

from __future__ import annotations

from pathlib import Path
from typing import Container

from hasrd.data.alignments.tracks import (
    DEFAULT_RULES,
    BadAlignment,
    Rules,
    Track,
    TrackBuilder,
    numbered_lines,
    seconds,
)
from hasrd.data.problems import Problems

KIND_OF = {".phn": "phones", ".wrd": "words"}
SAMPLE_RATE = 16000


def utterance_of(path: Path, known: Container[str]) -> str:
    """The utterance of a file: its name, or `<speaker>_<sentence>` as Kaldi's and ESPnet's recipes call it.

    The names of sentences are the same for all speakers, so a file's own name counts only where the data has it.
    """
    names = (path.stem, f"{path.parent.name}_{path.stem}", f"{path.parent.name}-{path.stem}")
    return next((name for name in names if name in known), names[1])


def read_timit(
    path: Path, kind: str, problems: Problems, wanted: Container[str], rules: Rules = DEFAULT_RULES
) -> tuple[dict[str, Track], set[str]]:
    """Read one file, of one utterance; see `read_ctm` for arguments and result."""
    utterance = utterance_of(path, wanted)
    if utterance not in wanted:
        return {}, {utterance}
    before = len(problems.lines)
    builder = TrackBuilder(kind, rules)
    for number, line in numbered_lines(path, problems):
        fields = line.split(maxsplit=2)
        try:
            if len(fields) != 3 or not all(field.isascii() and field.isdecimal() for field in fields[:2]):
                raise BadAlignment("a line needs 'begin end label', times in samples")
            begin, end = (seconds(field) / SAMPLE_RATE for field in fields[:2])
            builder.add(begin, end, fields[2])
        except BadAlignment as error:
            problems.add(f"{path}:{number}: {error}")
    if not builder.labels and len(problems.lines) == before:
        problems.add(f"{path}: no line in it: get it again or leave it out")
    return {utterance: builder.track()} if len(problems.lines) == before else {}, set()
