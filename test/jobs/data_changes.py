# Copyright 2026 The hasrd authors
# Apache-2.0
"""What can happen to a data directory between two runs: changes that make results stale, and some that do not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import soundfile

from hasrd.data.kaldi import read_table


def first_audio(data: Path) -> Path:
    return Path(next(iter(read_table(data / "wav.scp").values())))


def touch(data: Path) -> None:
    """Every file gets a new time."""
    for path in [*data.iterdir(), *map(Path, read_table(data / "wav.scp").values())]:
        if path.is_file():
            path.touch()


def copy(data: Path) -> None:
    """A copy of every file takes its place."""
    for path in [*data.iterdir(), *map(Path, read_table(data / "wav.scp").values())]:
        if path.is_file():
            shutil.copyfile(path, path.with_name("copy"))
            os.replace(path.with_name("copy"), path)


def move_corpus(data: Path) -> None:
    """The audio moves to another folder, which wav.scp names."""
    table = read_table(data / "wav.scp")
    new = data.parent.parent / f"moved_{data.name}"
    new.mkdir()
    for utterance, path in table.items():
        table[utterance] = str(shutil.move(path, new / Path(path).name))
    (data / "wav.scp").write_text("".join(f"{utterance} {path}\n" for utterance, path in table.items()))


def reorder(data: Path) -> None:
    """The lines of wav.scp stand in another order."""
    lines = (data / "wav.scp").read_text().splitlines(keepends=True)
    (data / "wav.scp").write_text("".join(reversed(lines)))


def change_content(data: Path) -> None:
    """Other samples, as many bytes, and the old time of change."""
    path = first_audio(data)
    status = path.stat()
    wave, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, wave[::-1], rate, subtype="PCM_16")
    assert path.stat().st_size == status.st_size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def put_older_file(data: Path) -> None:
    """An older file is moved to the place of one."""
    path = first_audio(data)
    wave = np.random.default_rng(99).uniform(-0.5, 0.5, soundfile.info(path).frames)
    soundfile.write(path.with_suffix(".old.wav"), wave, 16000, subtype="PCM_16")
    os.utime(path.with_suffix(".old.wav"), (10**9, 10**9))
    os.replace(path.with_suffix(".old.wav"), path)


def take_out(data: Path) -> None:
    """An utterance moves to another set."""
    for table in ("wav.scp", "text", "utt2spk", "utt2num_samples"):
        if (data / table).exists():
            (data / table).write_text("".join((data / table).read_text().splitlines(keepends=True)[1:]))


def exchange(data: Path) -> None:
    """Two utterances exchange their audio."""
    table = read_table(data / "wav.scp")
    first, second, *_ = table
    table[first], table[second] = table[second], table[first]
    (data / "wav.scp").write_text("".join(f"{utterance} {path}\n" for utterance, path in table.items()))


HARMLESS = (touch, copy, move_corpus, reorder)
HARMFUL = (change_content, put_older_file, take_out, exchange)
