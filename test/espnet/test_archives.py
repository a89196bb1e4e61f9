# Copyright 2026 The hasrd authors
# Apache-2.0
"""ESPnet's data loaders read archives through our reader."""

from __future__ import annotations

from pathlib import Path

import kaldiio
import numpy as np
import pytest
from espnet2.train.dataset import ESPnetDataset
from espnet2.train.iterable_dataset import IterableESPnetDataset

from hasrd.data.archive import write_archive
from hasrd.data.kaldi import write_table
from hasrd.errors import UserError
from hasrd.train.entry import load_task


def loaded(scp: Path) -> dict[str, np.ndarray]:
    """What both kinds of ESPnet's data sets find, which must be the same."""
    load_task("hasrd.tasks.ssl:SSLTask")
    arguments = [(str(scp), "speech", "kaldi_ark")]
    stream = {utterance: data["speech"] for utterance, data in IterableESPnetDataset(arguments)}
    table = ESPnetDataset(arguments)
    for utterance in stream:
        np.testing.assert_array_equal(table[utterance][1]["speech"], stream[utterance])
    return stream


def test_features_and_codes(tmp_path: Path):
    arrays = {"a": np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32), "b": np.arange(6).reshape(3, 2)}
    write_table(tmp_path / "x.scp", write_archive(tmp_path / "x.ark", tmp_path / "x.ark", arrays.items()))
    found = loaded(tmp_path / "x.scp")
    assert found.keys() == arrays.keys()
    for utterance, array in arrays.items():
        np.testing.assert_array_equal(found[utterance], array)


def test_neither_commands_nor_pickles(tmp_path: Path):
    kaldiio.save_ark(str(tmp_path / "x.ark"), {"a": {}}, write_function="pickle")
    for value in (f"touch {tmp_path}/made |", f"{tmp_path}/x.ark:2"):
        (tmp_path / "x.scp").write_text(f"a {value}\n")
        with pytest.raises(UserError):
            loaded(tmp_path / "x.scp")
    assert not (tmp_path / "made").exists()
