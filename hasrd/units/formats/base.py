# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a format of exports is: a class that writes sets of units and reads them back."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, ClassVar, Iterable, Iterator, Sequence, TypeVar

import numpy as np

from hasrd.config import parse_count
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.units.layout import KINDS, Layout, Units

Item = TypeVar("Item")

FRAMES, DURATIONS, SAMPLES = "utt2num_frames", "utt2durations", "utt2num_samples"


@dataclass(frozen=True)
class Example:
    """An utterance of an export; None or "" where something is not known."""

    utterance: str
    units: Units
    samples: int | None = None
    text: str | None = None
    speaker: str = ""


@dataclass(frozen=True)
class Export:
    """What is written.

    Attributes:
        layout: How the codes are arranged.
        vocabulary: The words by id: of the layout, or the pieces of a SentencePiece model.
        sets: Name to a function that yields the utterances, in the order of names, anew each time.
        language: Of the transcripts, for formats whose files are named after it.
    """

    layout: Layout
    vocabulary: Sequence[str]
    sets: dict[str, Callable[[], Iterator[Example]]]
    language: str = "en"


class Format(ABC):
    """A format. `hasrd.units.formats.CHOICES` names those that there are.

    Attributes:
        kinds: Those of `Layout` that it can hold.
        compact: Whether units may be deduplicated or joined by BPE.
        joins_bpe: Whether who reads the files joins units by the BPE model; they hold the units themselves.
        needs: Tables of the data directories without which there is nothing to write.
    """

    kinds: ClassVar[tuple[str, ...]] = KINDS
    compact: ClassVar[bool] = True
    joins_bpe: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def write(self, export: Export, folder: Path, final: Path) -> None:
        """Write all sets into `folder`, which will lie at `final`: paths inside of files are made with that."""

    @abstractmethod
    def read(self, folder: Path, name: str, layout: Layout, vocabulary: Sequence[str]) -> Iterator[tuple[str, Units]]:
        """Yield utterance and units of the set `name`.

        Raises:
            UserError: Files that are missing or damaged.
        """


def refuse_empty(example: Example, name: str) -> None:
    """Raise UserError where an utterance of the set `name` has no units."""
    if not len(example.units.ids):
        raise UserError(
            f"set '{name}', utterance '{example.utterance}': no units, which ESPnet cannot train on: leave it out of "
            "the set"
        )


def shards(items: Iterator[Item], size: int) -> Iterator[Iterator[Item]]:
    """Cut items into parts of so many; each part is to be used up before the next one is asked for."""
    for item in items:
        yield itertools.chain([item], itertools.islice(items, size - 1))


class Lines:
    """Files of lines, one for each utterance, which are written while the utterances come."""

    def __init__(self, folder: Path, *names: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.files = {name: open(folder / name, "w", encoding="utf-8", newline="\n") for name in names}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files.values():
            file.close()

    def add(self, name: str, utterance: str, values: Iterable[object] | str) -> None:
        """Write a line: the utterance, then the values."""
        text = values if isinstance(values, str) else " ".join(map(str, values))
        self.files[name].write(f"{utterance} {text}".rstrip() + "\n")


def side_names(layout: Layout) -> tuple[str, ...]:
    """Names of the tables beside the units that make them reversible."""
    return (FRAMES, DURATIONS, SAMPLES) if layout.dedup else (FRAMES, SAMPLES)


def add_side(lines: Lines, example: Example) -> None:
    """Write an utterance's lines of these tables."""
    lines.add(FRAMES, example.utterance, [example.units.frames])
    if example.units.durations is not None:
        lines.add(DURATIONS, example.utterance, example.units.durations)
    if example.samples is not None:
        lines.add(SAMPLES, example.utterance, [example.samples])


def read_side(folder: Path, layout: Layout) -> dict[str, tuple[int, np.ndarray | None]]:
    """Read these tables: utterance to frames and durations."""
    frames = {utt: int(numbers[0]) for utt, numbers in read_integer_lists(folder / FRAMES).items() if len(numbers) == 1}
    durations = read_integer_lists(folder / DURATIONS) if layout.dedup else {}
    return {utterance: (count, durations.get(utterance)) for utterance, count in frames.items()}


def read_integer_lists(path: Path) -> dict[str, np.ndarray]:
    """Read lines 'utt 3 1 2': utterance to integers (N,)."""
    lists = {}
    for line, (utterance, text) in enumerate(read_table(path, may_be_empty=True).items(), start=1):
        numbers = [parse_count(word) for word in text.split()]
        if None in numbers:
            raise UserError(f"{path}:{line}: a word that is no number: export again")
        lists[utterance] = np.array(numbers, dtype=np.int64)
    return lists


def with_side(
    side: dict[str, tuple[int, np.ndarray | None]], utterance: str, ids: np.ndarray, where: str | Path
) -> Units:
    """Return the units of ids, with what the tables beside them say.

    Raises:
        UserError: They say nothing of the utterance.
    """
    if utterance not in side:
        raise UserError(f"{where}: nothing says how many frames '{utterance}' has ({FRAMES}): export again")
    frames, durations = side[utterance]
    return Units(ids, frames, durations)
