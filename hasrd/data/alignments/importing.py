# Copyright 2026 The hasrd authors
# Apache-2.0
"""Alignments of a corpus, in whatever layout, for the utterances of data directories."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, Mapping, Sequence

from hasrd.data.alignments.labels import KINDS, is_arpabet
from hasrd.data.alignments.librispeech import SUFFIX, read_chapter
from hasrd.data.alignments.textgrid import read_textgrid
from hasrd.data.alignments.timit import KIND_OF, read_timit
from hasrd.data.alignments.tracks import DEFAULT_RULES, Rules, Track, numbered_lines, read_ctm, write_ctm
from hasrd.data.problems import Problems
from hasrd.data.walk import walk_files
from hasrd.errors import UserError
from hasrd.jobs.workers import run_workers
from hasrd.progress import progress

# An aligner's last frame may reach past the audio.
MAX_BEYOND = 0.05
# TextGrid files a worker reads at a time.
BLOCK = 200


@dataclass
class Alignments:
    """Kind ("words", "phones") to utterance to track; the utterances that are in no data directory."""

    tracks: dict[str, dict[str, Track]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    def unknown_line(self, source: str | Path) -> str:
        """What to say of the utterances in no data directory."""
        return f"{source}: left out {len(self.unknown)} utterances that are not in the data"


def read_alignments(
    source: str | Path,
    samples: Mapping[str, int],
    sample_rate: int,
    kind: str = "auto",
    nj: int = 1,
    rules: Rules = DEFAULT_RULES,
) -> Alignments:
    """Read the alignments of some utterances from a file or a folder.

    In a folder these are read, at any depth and behind links: `*.TextGrid` (one an utterance, named after it), `*.ctm`,
    `*.alignment.txt` of LibriSpeech-alignments, and `*.phn` and `*.wrd` of TIMIT.

    Args:
        source: File or folder.
        samples: Utterances to read, with the samples of their audio.
        sample_rate: Of that audio, in Hz.
        kind: "words" or "phones" reads only these; with "auto" a CTM file says it by its name or its labels.
        nj: Processes that read TextGrid files.
        rules: How segments are taken.

    Raises:
        UserError: No alignments, none for any of the utterances, or the first ten things that are wrong in them.
    """
    kinds = KINDS if kind == "auto" else (kind,)
    found = Alignments()
    places: dict[tuple[str, str], str] = {}
    problems = Problems()

    def add(path: Path, own_kind: str, tracks: Mapping[str, Track]) -> None:
        for utterance, track in tracks.items():
            place = places.setdefault((own_kind, utterance), str(path))
            if place != str(path):
                problems.add(f"{path}: the {own_kind} of utterance '{utterance}' are in {place}, too: keep one of them")
            length = samples[utterance] / sample_rate
            if track.end > length + MAX_BEYOND:
                problems.add(
                    f"{path}: the {own_kind} of utterance '{utterance}' end at {track.end:g} s, but its audio at "
                    f"{length:g} s: is this the alignment of other audio?"
                )
            found.tracks.setdefault(own_kind, {})[utterance] = track

    grids: list[Path] = []
    for path in _files(source):
        if path.suffix.lower() == ".textgrid":
            if path.stem in samples:
                grids.append(path)
            else:
                found.unknown.add(path.stem)
            continue
        if path.name.endswith(SUFFIX):
            own_kind, read = "words", read_chapter
        elif path.suffix.lower() in KIND_OF:
            own_kind, read = KIND_OF[path.suffix.lower()], read_timit
        else:
            own_kind, read = kind if kind != "auto" else _kind_of_ctm(path), read_ctm
        if own_kind in kinds:
            tracks, unknown = read(path, own_kind, problems, samples, rules)
            add(path, own_kind, tracks)
            found.unknown |= unknown
    results = run_workers(functools.partial(functools.partial, _read_grid, kinds, rules), grids, nj, BLOCK)
    # Sorted, because workers finish in no fixed order and an error should be the same each time.
    shown = progress(results, len(grids), "reading TextGrid", "file") if grids else results
    for path, (tracks_of, lines) in sorted(shown, key=lambda item: item[0]):
        problems.lines += lines
        for own_kind, track in tracks_of.items():
            add(path, own_kind, {path.stem: track})
    problems.raise_if_any("nothing was written: repair these, or leave them out")
    if not any(found.tracks.values()) and not found.unknown:
        raise UserError(f"{source}: no {' or '.join(kinds)} in it: name another file, or another --kind")
    if not any(found.tracks.values()):
        raise UserError(
            f"{source}: none of its {len(found.unknown)} utterances is among the {len(samples)} of the data: names of "
            "TextGrid files, or the first field of other files, must be the utterances' names"
        )
    return found


def write_alignments(folder: str | Path, utterances: Iterable[str], found: Alignments) -> list[str]:
    """Write `words.ctm` and `phones.ctm` of those `utterances` that have them into a data directory.

    Returns:
        A line to show for each file.
    """
    folder = Path(folder)
    utterances = set(utterances)
    lines = []
    for kind, tracks in sorted(found.tracks.items()):
        own = {utterance: track for utterance, track in tracks.items() if utterance in utterances}
        if own:
            write_ctm(folder / f"{kind}.ctm", own)
        what = f"{len(own)} of {len(utterances)} utterances aligned" if own else "no utterance aligned: not written"
        if not own and (folder / f"{kind}.ctm").exists():
            what += ", that of an earlier import stays"
        lines.append(f"{folder / kind}.ctm: {what}")
    return lines


def _files(source: str | Path) -> list[Path]:
    source = Path(source)
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise UserError(f"{source}: no such file or folder")
    files = [path for path in sorted(walk_files(source)) if _is_alignment(path)]
    if not files:
        raise UserError(f"{source}: no *.TextGrid, *.ctm, *{SUFFIX}, *.phn or *.wrd in it")
    return files


def _is_alignment(path: Path) -> bool:
    # `ctm` is what Kaldi's scripts write.
    return path.suffix.lower() in (".textgrid", ".ctm", *KIND_OF) or path.name == "ctm" or path.name.endswith(SUFFIX)


def _kind_of_ctm(path: Path) -> str:
    """words or phones, by the file's name, else by its first labels."""
    for kind in KINDS:
        if kind.rstrip("s") in path.name.lower():
            return kind
    labels: set[str] = set()
    # What is wrong with the lines is told when they are read.
    for _, line in numbered_lines(path, Problems()):
        fields = line.split()
        if len(fields) > 4 and not fields[0].startswith(";;"):
            labels.add(fields[4])
        # More than any set of phones has.
        if len(labels) > 300:
            return "words"
    if labels and all(map(is_arpabet, labels)):
        return "phones"
    raise UserError(f"{path}: words or phones? Neither its name nor its labels tell: give --kind")


def _read_grid(kinds: Sequence[str], rules: Rules, path: Path) -> tuple[dict[str, Track], list[str]]:
    problems = Problems()
    return read_textgrid(path, kinds, problems, rules), problems.lines
