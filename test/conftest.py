# Copyright 2026 The hasrd authors
# Apache-2.0
"""What tests of several folders need: small data directories, and real speech where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Sequence

import numpy as np
import pytest

MakeDataDir = Callable[..., Path]


@pytest.fixture
def make_data_dir(tmp_path: Path) -> MakeDataDir:
    """make_data_dir(name, samples of each utterance, speakers) -> a data directory with noise as audio."""
    soundfile = pytest.importorskip("soundfile")

    def make(name: str = "train", lengths: Sequence[int] = (4000, 8000, 2000), speaker: str = "") -> Path:
        folder = tmp_path / "data" / name
        audio = tmp_path / "audio" / name
        folder.mkdir(parents=True)
        audio.mkdir(parents=True)
        tables: dict[str, list[str]] = {"wav.scp": [], "text": [], "utt2spk": []}
        for index, length in enumerate(lengths):
            utterance = f"{name}-{index:04d}"
            path = audio / f"{utterance}.wav"
            wave = np.random.default_rng(index).uniform(-0.5, 0.5, length)
            soundfile.write(path, wave, 16000, subtype="PCM_16")
            tables["wav.scp"].append(f"{utterance} {path}")
            tables["text"].append(f"{utterance} TEXT {index} OF {name}")
            tables["utt2spk"].append(f"{utterance} {speaker or name}")
        for table, lines in tables.items():
            (folder / table).write_text("".join(f"{line}\n" for line in lines))
        return folder

    return make


@pytest.fixture(scope="session")
def librispeech() -> Path:
    """The folder that LIBRISPEECH names, with parts of the corpus in it."""
    root = os.environ.get("LIBRISPEECH", "")
    if not root or not Path(root).is_dir():
        pytest.skip("LIBRISPEECH does not name a folder with real speech")
    return Path(root)
