# Copyright 2026 The hasrd authors
# Apache-2.0
"""The layers of a frozen encoder on whole utterances, read back for segments of these (stage 5).

The folder of a data set (`hasrd.codec.latent_dump` writes it, latents.json last):
    latents.json    what it is of: SHA-256 of the encoder's file, loudness, L layers of D values, samples a token
    utt2latents     of each utterance: its chunk, its first row there, the number of its rows, and the gain
    data/<chunk>/latents.npy    float16 (rows, L * D), utterance after utterance
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Sequence, TypedDict

import msgspec
import numpy as np

from hasrd.arrays import Array, read_npy
from hasrd.config import parse_count, read_json
from hasrd.data.kaldi import line_of, read_table
from hasrd.errors import UserError

FACTS, TABLE, VALUES = "latents.json", "utt2latents", "latents.npy"
AGAIN = "run stage 5 again with --latent_cache_gb (hasrd dump-latents)"


class _Facts(TypedDict):
    encoder_sha256: str
    loudness: float | None
    num_layers: Annotated[int, msgspec.Meta(ge=1, le=2**10)]
    size: Annotated[int, msgspec.Meta(ge=1, le=2**20)]
    frame_shift: Annotated[int, msgspec.Meta(ge=1, le=2**20)]


class CachedLatents:
    """Layers of whole utterances, read for segments of these.

    Args:
        folders: Those of `dump_latents`, of one encoder and level.

    Attributes:
        frame_shift: Samples from token to token.

    Raises:
        UserError: A folder that is missing, damaged, or of another encoder or level than the first.
    """

    def __init__(self, folders: Sequence[str | Path]) -> None:
        facts = [read_json(Path(folder) / FACTS, _Facts, AGAIN) for folder in folders]
        if not facts:
            raise UserError(f"no folder of latents was named: {AGAIN}")
        for folder, fact in zip(folders, facts):
            if fact != facts[0]:
                raise UserError(f"{Path(folder) / FACTS}: of another encoder or level than {folders[0]}: {AGAIN}")
        self.facts = facts[0]
        self.frame_shift: int = self.facts["frame_shift"]
        self._width = self.facts["num_layers"] * self.facts["size"]
        # Utterance to its file, first row, number of rows and gain.
        self._places: dict[str, tuple[Path, int, int, float]] = {}
        for folder in map(Path, folders):
            for uid, value in read_table(folder / TABLE).items():
                self._places[uid] = _place(folder, uid, value)

    def check(self, encoder_sha256: str | None, loudness: float | None) -> None:
        """Raise UserError where these are not the latents of this encoder, for speech at this level (LUFS)."""
        for name, wanted in (("encoder_sha256", encoder_sha256), ("loudness", loudness)):
            if self.facts[name] != wanted:
                raise UserError(f"the latents are of {name} {self.facts[name]}, the codec has {wanted}: {AGAIN}")

    def gain(self, uid: str) -> float:
        """What the samples of utterance `uid` are multiplied by to be at the level of its latents."""
        return self._find(uid)[3]

    def __call__(self, uid: str, first: int, count: int) -> np.ndarray:
        """Layers (U, L * D) float16 of at most `count` tokens of utterance `uid` from token `first` on, at least one.

        Raises:
            UserError: The utterance is in none of the folders, or its file is damaged.
        """
        path, start, rows, _ = self._find(uid)
        # Opened anew each time: a corpus has more of these files than a process may keep open.
        latents = read_npy(path, Array("f", ("rows", self._width)), "file of latents", AGAIN, mapped=True)
        first = min(first, rows - 1)
        behind = min(first + count, rows)
        if start + behind > len(latents):
            raise UserError(f"{path}: cut off, or of another run: {AGAIN}")
        return np.array(latents[start + first : start + behind])

    def _find(self, uid: str) -> tuple[Path, int, int, float]:
        if uid not in self._places:
            raise UserError(f"no latents of utterance '{uid}': {AGAIN}")
        return self._places[uid]


def _place(folder: Path, uid: str, value: str) -> tuple[Path, int, int, float]:
    chunk, *numbers = value.split()
    if len(numbers) == 3 and chunk.isdecimal():
        first, rows = map(parse_count, numbers[:2])
        try:
            gain = float(numbers[2])
        except ValueError:
            gain = math.nan
        if first is not None and rows and math.isfinite(gain):
            return folder / "data" / chunk / VALUES, first, rows, gain
    raise UserError(f"{line_of(folder / TABLE, uid)}: '{value[:80]}' is no place of latents: {AGAIN}")


def cached_files(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return what a training reads of a folder of latents that is not given by its data and its encoder."""
    return {FACTS: folder / FACTS}, {}
