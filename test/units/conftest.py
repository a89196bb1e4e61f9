# Copyright 2026 The hasrd authors
# Apache-2.0
"""Small token sets as the commands write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hasrd.bin import export_units
from hasrd.data.archive import write_archive
from hasrd.data.kaldi import read_table, write_table

NAMES, SIZES, STRIDES = ("semantic", "acoustic", "acoustic"), (40, 16, 30), (1, 2, 2)


@pytest.fixture
def run_export():
    """run_export(words...) runs the command."""

    def run(*words) -> None:
        export_units.main(list(map(str, words)))

    return run


@pytest.fixture
def token_sets(tmp_path):
    """Folders with tokens and data directories of two sets, and the codes: {set: {utterance: (T, M)}}."""
    chance = np.random.default_rng(0)
    folders, data, codes = [], [], {}
    for name, lengths in {"train": (50, 7, 1, 0, 33, 64), "test-clean": (12, 5)}.items():
        own = {f"{name}-{index}.a": _codes(chance, frames) for index, frames in enumerate(lengths)}
        folder, directory = tmp_path / "tokens" / name, tmp_path / "data" / name
        folder.mkdir(parents=True)
        directory.mkdir(parents=True)
        archive = folder / "codes.ark"
        write_table(folder / "codes.scp", write_archive(archive, archive, own.items()))
        facts = dict(stream_names=NAMES, codebook_sizes=SIZES, codebook_strides=STRIDES, frame_rate=25.0, model="0a")
        (folder / "codes.json").write_text(json.dumps(facts))
        write_table(folder / "text", {utt: " ".join(map(str, array[:, 0])) for utt, array in own.items()})
        write_table(directory / "wav.scp", {utt: f"{utt}.wav" for utt in own})
        write_table(directory / "utt2spk", {utt: f"speaker{utt[-3]}" for utt in own})
        write_table(directory / "utt2num_samples", {utt: str(640 * len(array) + 5) for utt, array in own.items()})
        write_table(directory / "text", {utt: f"IT IS NUMBER {index}" for index, utt in enumerate(own)})
        folders.append(folder)
        data.append(directory)
        codes[name] = own
    return folders, data, codes


@pytest.fixture
def filled(token_sets):
    """The sets without the utterance that has no units."""
    folders, data, codes = token_sets
    del codes["train"]["train-3.a"]
    table = read_table(folders[0] / "codes.scp")
    del table["train-3.a"]
    write_table(folders[0] / "codes.scp", table)
    return folders, data, codes


def _codes(chance: np.random.Generator, frames: int) -> np.ndarray:
    columns = []
    for size, stride in zip(SIZES, STRIDES):
        # Few codes, so that some repeat.
        own = chance.integers(0, min(size, 5), -(-frames // stride))
        columns.append(np.repeat(own, stride)[:frames])
    return np.stack(columns, axis=1)


@pytest.fixture
def assert_restored():
    """assert_restored(export, codes, columns) compares what an export gives back."""
    from hasrd.units.export import read_export

    def check(folder: Path, codes, columns=slice(None)) -> None:
        found = {}
        for name, utterance, array in read_export(folder):
            found.setdefault(name, {})[utterance] = array
        assert {name: sorted(own) for name, own in found.items()} == {name: sorted(own) for name, own in codes.items()}
        for name, own in codes.items():
            for utterance, array in own.items():
                assert np.array_equal(found[name][utterance], array[:, columns])

    return check
