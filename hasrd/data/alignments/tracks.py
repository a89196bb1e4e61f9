# Copyright 2026 The hasrd authors
# Apache-2.0
"""One utterance's alignment, checked, and the CTM files that hold many (`utt channel start duration token`)."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Container, Iterator, Mapping

import numpy as np

from hasrd.data.alignments.labels import normal
from hasrd.data.problems import Problems
from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_path

# Times rounded to 10 ms overlap by that much; more is an error.
MAX_OVERLAP = 0.02


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


class TrackBuilder:
    """Takes the segments of one utterance in the order of time and checks each."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.starts: list[float] = []
        self.ends: list[float] = []
        self.labels: list[str] = []

    def add(self, start: str | float, end: str | float, label: str) -> None:
        """Add a segment; a small overlap with the one before is cut off.

        Raises:
            BadAlignment: A time is no number or negative, the end lies before the start, or the start before the end of
                the segment before.
        """
        first, last = seconds(start), seconds(end)
        if first < 0:
            raise BadAlignment(f"the start {first:g} s is negative: times count from the start of the audio")
        if last < first:
            raise BadAlignment(f"it ends at {last:g} s before it starts at {first:g} s")
        if self.ends and first < self.ends[-1]:
            if self.ends[-1] - first > MAX_OVERLAP + 1e-9:
                raise BadAlignment(
                    f"it starts at {first:g} s, but the segment before ends at {self.ends[-1]:g} s: "
                    "sort the segments by time and let none overlap"
                )
            first = self.ends[-1]
        self.starts.append(first)
        self.ends.append(max(first, last))
        # Millions of labels, but few different ones.
        self.labels.append(sys.intern(normal(self.kind, label)))

    def track(self) -> Track:
        """What was added. Times on a grid of microseconds, so that segments which touch do so exactly."""
        return Track(np.round(self.starts, 6), np.round(self.ends, 6), tuple(self.labels))


def seconds(text: str | float) -> float:
    """A time as a number; BadAlignment where it is none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadAlignment(f"'{text}' is no time in seconds")
    return value


def numbered_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line of a UTF-8 file; UserError where it is missing or something else."""
    try:
        with open(path, "rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    raise UserError(f"{path}:{number}: not UTF-8 text: convert the file (iconv -t UTF-8)") from None
                yield number, text
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, but a file is needed") from None


def read_ctm(
    path: str | Path, kind: str, problems: Problems, wanted: Container[str] | None = None
) -> tuple[dict[str, Track], set[str]]:
    """Read a CTM file; fields after the token (confidence, type, speaker) are not used.

    Args:
        path: The file.
        kind: "words" or "phones".
        problems: Takes what is wrong, with file and line; the utterance is then not returned.
        wanted: Utterances to read; None reads all.

    Returns:
        Utterance to track, and the utterances that are not `wanted`.
    """
    tracks: dict[str, Track] = {}
    bad: set[str] = set()
    unknown: set[str] = set()
    current, builder = "", TrackBuilder(kind)
    for number, line in numbered_lines(path):
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
                current, builder = utterance, TrackBuilder(kind)
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
