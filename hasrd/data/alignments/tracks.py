# Copyright 2026 The hasrd authors
# Apache-2.0
"""One utterance's alignment, checked, and the CTM files that hold many (`utt channel start duration token`)."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Container, Iterator, Mapping

import numpy as np

from hasrd.data.alignments.labels import fold_timit, normal
from hasrd.data.lines import read_lines, strange_character
from hasrd.data.problems import Problems
from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_path

# Times rounded to 10 ms overlap by that much; more is an error.
MAX_OVERLAP = 0.02
# What Praat takes for a number. Python's `float` also takes "1_0", "nan" and digits of other scripts.
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Track:
    """Words or phones of one utterance, in order of time and without overlap.

    Attributes:
        starts: Where they begin, in seconds, float64 (S,).
        ends: Where they end (S,).
        labels: S labels in the normal form of `hasrd.data.alignments.labels`.
    """

    starts: np.ndarray
    ends: np.ndarray
    labels: tuple[str, ...]

    def __iter__(self) -> Iterator[tuple[float, float, str]]:
        return zip(self.starts.tolist(), self.ends.tolist(), self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def end(self) -> float:
        """Where the last segment ends, in seconds; 0 without any."""
        return float(self.ends[-1]) if len(self.ends) else 0.0


class BadAlignment(ValueError):
    """What is wrong with a segment, without the place."""


@dataclass(frozen=True)
class Rules:
    """How segments are taken: choices of the user.

    Attributes:
        trim_overlaps: Let a segment that begins before the end of the one before begin there, however large the overlap
            is. Without it, only overlaps up to `MAX_OVERLAP` are trimmed, and others are errors.
        fold_timit: Fold TIMIT's 61 phones to 39 (see `hasrd.data.alignments.labels.fold_timit`).
    """

    trim_overlaps: bool = False
    fold_timit: bool = False


DEFAULT_RULES = Rules()


class TrackBuilder:
    """Takes the segments of one utterance in the order of time and checks each."""

    def __init__(self, kind: str, rules: Rules = DEFAULT_RULES) -> None:
        self.kind = kind
        self.rules = rules
        self.last_start = 0.0
        self.starts: list[float] = []
        self.ends: list[float] = []
        self.labels: list[str] = []

    def add(self, start: str | float, end: str | float, label: str) -> None:
        """Add a segment; an overlap with the one before is cut off, as far as the rules allow it.

        Raises:
            BadAlignment: A time is no number or negative, the end lies before the start, the start before the end of
                the segment before (where overlaps are trimmed: before its start), or a control character in the label.
        """
        first, last = seconds(start), seconds(end)
        if first < 0:
            raise BadAlignment(f"the start {first:g} s is negative: times count from the start of the audio")
        if last < first:
            raise BadAlignment(f"it ends at {last:g} s before it starts at {first:g} s")
        if strange_character(" ".join(label.split())):
            raise BadAlignment(f"the label {shown(label)} has a control character in it: remove it")
        if self.rules.fold_timit and self.kind == "phones":
            try:
                folded = fold_timit(label)
            except KeyError:
                raise BadAlignment(f"{shown(label)} is none of TIMIT's 61 phones (--fold_timit true)") from None
            if folded is None:
                return
            label = folded
        if self.ends and first < self.ends[-1]:
            trimmed = self.rules.trim_overlaps and first >= self.last_start
            if self.ends[-1] - first > MAX_OVERLAP + 1e-9 and not trimmed:
                raise BadAlignment(
                    f"it starts at {first:g} s, but the segment before ends at {self.ends[-1]:g} s: "
                    "sort the segments by time and let none overlap, or trim them (--trim_overlaps true)"
                )
        self.last_start = first
        if self.ends:
            first = max(first, self.ends[-1])
        self.starts.append(first)
        self.ends.append(max(first, last))
        # Millions of labels, but few different ones.
        self.labels.append(sys.intern(normal(self.kind, label)))

    def track(self) -> Track:
        """What was added. Times on a grid of microseconds, so that segments which touch do so exactly."""
        return Track(np.round(self.starts, 6), np.round(self.ends, 6), tuple(self.labels))


def shown(text: str) -> str:
    """A piece of a file for a message: quoted, on one line and not too long."""
    return repr(text if len(text) <= 50 else text[:50] + "...")


def seconds(text: str | float) -> float:
    """A time as a number; BadAlignment where it is none."""
    if isinstance(text, str):
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
    else:
        value = text
    if not math.isfinite(value):
        raise BadAlignment(f"{shown(str(text))} is no time in seconds")
    return value


def numbered_lines(path: str | Path, problems: Problems) -> Iterator[tuple[int, str]]:
    """Number and text of each line of an alignment file (see `read_lines`); one that is cut off is a problem."""
    return read_lines(path, problems, allow_mark=True, last_must_end=True)


def read_ctm(
    path: str | Path,
    kind: str,
    problems: Problems,
    wanted: Container[str] | None = None,
    rules: Rules = DEFAULT_RULES,
) -> tuple[dict[str, Track], set[str]]:
    """Read a CTM file; fields after the token (confidence, type, speaker) are not used.

    Args:
        path: The file.
        kind: "words" or "phones".
        problems: Takes what is wrong, with file and line; the utterance is then not returned.
        wanted: Utterances to read; None reads all.
        rules: How segments are taken.

    Returns:
        Utterance to track, and the utterances that are not `wanted`.
    """
    tracks: dict[str, Track] = {}
    bad: set[str] = set()
    unknown: set[str] = set()
    current, builder = "", TrackBuilder(kind, rules)
    for number, line in numbered_lines(path, problems):
        fields = line.split()
        if not fields or fields[0].startswith(";;"):
            continue
        utterance = fields[0]
        if wanted is not None and utterance not in wanted:
            unknown.add(utterance)
            continue
        if utterance in bad:
            continue
        try:
            if utterance != current:
                if current:
                    tracks[current] = builder.track()
                if utterance in tracks:
                    raise BadAlignment("its lines do not stand together: sort the file by utterance and time")
                current, builder = utterance, TrackBuilder(kind, rules)
            if len(fields) < 5:
                raise BadAlignment("a line needs 'utterance channel start duration token'")
            start, duration = seconds(fields[2]), seconds(fields[3])
            if duration < 0:
                raise BadAlignment(f"the duration {duration:g} s is negative")
            builder.add(start, start + duration, fields[4])
        except BadAlignment as error:
            bad.add(utterance)
            problems.add(f"{path}:{number}: utterance '{utterance}': {error}")
    if current:
        tracks[current] = builder.track()
    return {utterance: track for utterance, track in tracks.items() if utterance not in bad}, unknown


def load_ctm(path: str | Path, kind: str) -> dict[str, Track]:
    """Read a whole CTM file for scoring.

    Raises:
        UserError: The file is missing, empty or has something wrong in it; names file and line.
    """
    problems = Problems()
    tracks, _ = read_ctm(path, kind, problems)
    problems.raise_if_any("repair these lines, or make the file again (hasrd import-alignments)")
    if not tracks:
        raise UserError(f"{path}: no alignment in it: make it again (hasrd import-alignments)")
    return tracks


def write_ctm(path: str | Path, tracks: Mapping[str, Track]) -> None:
    """Write a CTM file, sorted by utterance, atomically; times in steps of 0.1 ms."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for utterance in sorted(tracks):
            for start, end, label in tracks[utterance]:
                # The rounded ends are what touches, not the durations.
                start, end = round(start, 4), round(end, 4)
                file.write(f"{utterance} 1 {start:.4f} {end - start:.4f} {label}\n")
