# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a teacher said of a data set, read back for segments of its utterances.

The folder of a data set (`hasrd.bin.dump_teacher` writes it, teacher.json last):
    teacher.json    kind (speech or text), what the teacher is, size D; for speech also where its frames lie
    stats.npz       mean and std (D,): over all frames, or over all different texts
  speech:
    feats.scp       (T, D) of each utterance, in the archives under data/; not there where "cached" is false
  text:
    embeddings.npy  (R, D) float32, a row for each different text: transcripts and words
    units.npy       `UNIT` for each thing said: an utterance as a whole, then its words in the order of time
    utt2units       first unit of each utterance, and how many
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Sequence, TypedDict

import msgspec
import numpy as np

from hasrd.arrays import Array, read_npy, read_npz
from hasrd.config import check, parse_count, read_json
from hasrd.data.kaldi import line_of, read_table
from hasrd.errors import UserError

FACTS = "teacher.json"
STATS = "stats.npz"
EMBEDDINGS, UNITS, UTT2UNITS = "embeddings.npy", "units.npy", "utt2units"
# What a unit of text is. Nothing is known of an ignored one: it has no row.
IGNORED, UTTERANCE, WORD = 0, 1, 2
# Row of the embeddings (-1: none), start and end in seconds (0, 0 of an utterance as a whole), kind.
UNIT = np.dtype([("row", np.int32), ("start", np.float32), ("end", np.float32), ("kind", np.int8)])
# Seconds, less than a sample: a word that ends with the segment lies in it.
TOLERANCE = 1e-5
# A dimension that never changes is not amplified.
STD_FLOOR = 1e-5


_FILE = "file of a teacher's targets"
AGAIN = "run the teacher over the data set (hasrd dump-teacher)"


class _TextFacts(TypedDict):
    kind: Literal["text"]
    identity: str
    size: Annotated[int, msgspec.Meta(ge=1, le=2**20)]


class _SpeechFacts(TypedDict):
    kind: Literal["speech"]
    identity: str
    size: Annotated[int, msgspec.Meta(ge=1, le=2**20)]
    frame_shift: Annotated[float, msgspec.Meta(ge=1e-5, le=1e3)]
    first_centre: Annotated[float, msgspec.Meta(ge=-1e3, le=1e3)]
    cached: bool
    teacher: str
    conf: dict[str, Any]


class _Targets:
    """What both kinds have in common: folders, their facts, and the scale.

    Attributes:
        size: D.
        mean: (D,) float32 that is subtracted; zeros without `standardize`.
        std: (D,) float32 that is divided by; ones without `standardize`.
    """

    def __init__(self, folders: Sequence[Path], facts: Sequence[dict[str, Any]], standardize: bool) -> None:
        self.folders = list(folders)
        self.size: int = facts[0]["size"]
        self.mean, self.std = np.zeros(self.size, np.float32), np.ones(self.size, np.float32)
        if standardize:
            # The scale of the set that was named first, as one teacher must say the same of all sets.
            self.mean, self.std = _read_stats(self.folders[0] / STATS, self.size)

    def _missing(self, uid: str) -> UserError:
        return UserError(
            f"{', '.join(map(str, self.folders))}: nothing of utterance '{uid}' in it: name the folder of its data set "
            "too, or run the teacher over the set again (hasrd dump-teacher)"
        )


class FrameTargets(_Targets):
    """Vectors of a speech teacher, frame by frame.

    Attributes:
        frame_shift: Seconds from frame to frame.
        first_centre: Seconds from an utterance's start to the centre of its first frame.
        teacher_source: {"teacher", "conf"} of what must run during the training, where a set's vectors were too large
            to be kept; else None.
    """

    def __init__(self, folders: Sequence[Path], facts: Sequence[dict[str, Any]], standardize: bool) -> None:
        super().__init__(folders, facts, standardize)
        self.frame_shift: float = facts[0]["frame_shift"]
        self.first_centre: float = facts[0]["first_centre"]
        self.teacher_source: dict[str, Any] | None = None
        self._entries: dict[str, str] = {}
        for folder, fact in zip(self.folders, facts):
            if fact["cached"]:
                self._entries.update(read_table(folder / "feats.scp"))
            else:
                self.teacher_source = {"teacher": fact["teacher"], "conf": fact["conf"]}

    def __call__(self, uid: str, start: float, stop: float) -> dict[str, np.ndarray]:
        """Frames of utterance `uid` whose centres lie in [start, stop), in seconds; the nearest one where none does.

        Returns:
            "feats" (T, D) float32; "times" (T,) float32, their centres in seconds from `start` on.

        Raises:
            UserError: The utterance is in none of the folders, or its archive is damaged.
        """
        from hasrd.data.archive import read_array

        if uid not in self._entries:
            raise self._missing(uid)
        feats = read_array(self._entries[uid])
        first, behind = (self._frame(time, len(feats)) for time in (start, stop))
        if first >= behind:
            middle = ((start + stop) / 2 - self.first_centre) / self.frame_shift
            first = min(max(0, round(middle)), len(feats) - 1)
            behind = first + 1
        times = self.first_centre + self.frame_shift * np.arange(first, behind) - start
        feats = (feats[first:behind] - self.mean) / self.std
        return {"feats": feats.astype(np.float32, copy=False), "times": times.astype(np.float32)}

    def _frame(self, time: float, count: int) -> int:
        """The first of `count` frames whose centre is at `time` or later."""
        return min(max(0, math.ceil((time - self.first_centre) / self.frame_shift - 1e-6)), count)


class TextTargets(_Targets):
    """Vectors of a text teacher: of an utterance as a whole, and of its words where their times are known."""

    def __init__(self, folders: Sequence[Path], facts: Sequence[dict[str, Any]], standardize: bool) -> None:
        super().__init__(folders, facts, standardize)
        # Utterance to (number of its folder, first unit, behind the last one).
        self._places: dict[str, tuple[int, int, int]] = {}
        for number, folder in enumerate(self.folders):
            for uid, value in read_table(folder / UTT2UNITS).items():
                counts = [parse_count(word) for word in value.split()]
                if len(counts) != 2 or None in counts:
                    raise UserError(f"{line_of(folder / UTT2UNITS, uid)}: '{value[:80]}' are not two numbers: {AGAIN}")
                self._places[uid] = number, counts[0], sum(counts)
        self._open()
        self._check()

    def _open(self) -> None:
        # Embeddings and units of each folder, in memory that processes share.
        self._arrays = [
            (
                read_npy(folder / EMBEDDINGS, Array("f", ("R", self.size)), _FILE, AGAIN, mapped=True),
                read_npy(folder / UNITS, Array(UNIT, ("N",)), _FILE, AGAIN, mapped=True),
            )
            for folder in self.folders
        ]

    def _check(self) -> None:
        """Raise UserError where an utterance names units, or a unit a row, that are not there."""
        for folder, (embeddings, units) in zip(self.folders, self._arrays):
            known = units[units["kind"] != IGNORED]
            if len(known) and not (0 <= known["row"].min() and known["row"].max() < len(embeddings)):
                raise UserError(f"{folder / UNITS}: names rows that {EMBEDDINGS} does not have: {AGAIN}")
        for uid, (number, first, behind) in self._places.items():
            if not first < behind <= len(self._arrays[number][1]):
                folder = self.folders[number]
                raise UserError(f"{line_of(folder / UTT2UNITS, uid)}: units that {UNITS} does not have: {AGAIN}")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_arrays"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __call__(self, uid: str, start: float, stop: float) -> dict[str, np.ndarray]:
        """What the text of utterance `uid` means, and each word that lies wholly in [start, stop], in seconds.

        Returns:
            "embeddings" (N, D) float32; "spans" (N, 2) float32, in seconds from `start` on; "kinds" (N,) int64. Row 0
            is the utterance, over the whole segment: its kind is `UTTERANCE`, or `IGNORED` (and the row zero) where
            the teacher knows nothing of it. The others are of kind `WORD`.

        Raises:
            UserError: The utterance is in none of the folders.
        """
        if uid not in self._places:
            raise self._missing(uid)
        number, first, behind = self._places[uid]
        embeddings, units = self._arrays[number]
        units = units[first:behind]
        inside = (units["start"] >= start - TOLERANCE) & (units["end"] <= stop + TOLERANCE)
        inside[0] = True
        units = units[inside]
        spans = np.stack([units["start"], units["end"]], 1) - np.float32(start)
        spans[0] = 0.0, stop - start
        kinds = units["kind"].astype(np.int64)
        known = kinds != IGNORED
        rows = np.zeros((len(units), self.size), np.float32)
        rows[known] = (embeddings[units["row"][known]] - self.mean) / self.std
        return {"embeddings": rows, "spans": spans, "kinds": kinds}


def open_targets(dirs: Sequence[str | Path], standardize: bool = False) -> FrameTargets | TextTargets:
    """Open what one teacher said of one or several data sets.

    Args:
        dirs: Folders that `hasrd.bin.dump_teacher` wrote, the training set's first.
        standardize: Subtract the mean and divide by the standard deviation of each dimension, over the first set
            (ours: a mean over layers has a large mean and a few large dimensions, which a cosine would be about).

    Raises:
        UserError: No folder, one that is not complete or damaged, or folders of different teachers.
    """
    folders = [Path(folder) for folder in dirs]
    if not folders:
        raise UserError("no folder of a teacher's targets was named: give those that hasrd dump-teacher wrote")
    facts = [read_facts(folder) for folder in folders]
    for folder, fact in zip(folders, facts):
        if fact["identity"] != facts[0]["identity"]:
            raise UserError(
                f"{folder / FACTS}: of another teacher, or made with other options, than {folders[0] / FACTS}: "
                "run one teacher over all sets (hasrd dump-teacher)"
            )
    kinds = {"speech": FrameTargets, "text": TextTargets}
    return kinds[facts[0]["kind"]](folders, facts, standardize)


def target_files(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return what a training reads of a folder of targets: files, and tables that list files, by name."""
    files = {name: folder / name for name in (STATS, EMBEDDINGS, UNITS, UTT2UNITS) if (folder / name).is_file()}
    return files, {"feats.scp": folder / "feats.scp"} if (folder / "feats.scp").is_file() else {}


def read_facts(folder: Path) -> dict[str, Any]:
    """Read teacher.json.

    Raises:
        UserError: It is not there, or damaged.
    """
    path = folder / FACTS
    facts = read_json(path, advice=AGAIN)
    check(facts, _SpeechFacts if facts.get("kind") == "speech" else _TextFacts, path, AGAIN)
    return facts


def _read_stats(path: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    form = Array("f", (size,))
    stats = read_npz(path, {"mean": form, "std": form}, "file of a teacher's statistics", AGAIN)
    return stats["mean"].astype(np.float32), np.maximum(stats["std"].astype(np.float32), STD_FLOOR)
