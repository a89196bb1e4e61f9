# Copyright 2026 The hasrd authors
# Apache-2.0
"""The layout of LibriSpeech-alignments (Lugosch et al., Interspeech 2019, as CorentinJ publishes them): words only.

    <speaker>-<chapter>.alignment.txt   lines: utterance ",WORD,,WORD," "end,end,end,end,end"

Each entry ends at its time in seconds and begins where the one before ends; an empty word is silence.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Container

from hasrd.data.alignments.tracks import DEFAULT_RULES, BadAlignment, Rules, Track, TrackBuilder, numbered_lines
from hasrd.data.problems import Problems

SUFFIX = ".alignment.txt"
_LINE = re.compile(r'(\S+)\s+"([^"]*)"\s+"([^"]*)"\s*')


def read_chapter(
    path: Path, kind: str, problems: Problems, wanted: Container[str], rules: Rules = DEFAULT_RULES
) -> tuple[dict[str, Track], set[str]]:
    """Read one file; see `read_ctm` for arguments and result."""
    tracks: dict[str, Track] = {}
    unknown: set[str] = set()
    for number, line in numbered_lines(path, problems):
        if not line.strip():
            continue
        utterance = line.split()[0]
        if utterance not in wanted:
            unknown.add(utterance)
            continue
        builder = TrackBuilder(kind, rules)
        try:
            match = _LINE.fullmatch(line)
            if not match:
                raise BadAlignment('a line needs \'utterance "word,word" "end,end"\'')
            words, ends = match[2].split(","), match[3].split(",")
            if len(words) != len(ends):
                raise BadAlignment(f"{len(words)} words, but {len(ends)} times")
            if utterance in tracks:
                raise BadAlignment("it stands here a second time: keep one of the lines")
            start: str | float = 0.0
            for word, end in zip(words, ends):
                builder.add(start, end, word)
                start = end
        except BadAlignment as error:
            problems.add(f"{path}:{number}: utterance '{utterance}': {error}")
            continue
        tracks[utterance] = builder.track()
    return tracks, unknown
