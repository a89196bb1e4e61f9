# Copyright 2026 The hasrd authors
# Apache-2.0
"""k-means: against a plain reference, within its memory, the same after a kill, and on too little data."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hasrd.bin import kmeans
from hasrd.codec import semantic
from hasrd.codec.semantic import COPIES, train
from hasrd.errors import UserError
from hasrd.models.kmeans import load_kmeans


@pytest.fixture
def data_of(make_data_dir):
    """data_of(name, samples of each utterance): a data directory that was validated."""

    def make(name: str, lengths: list[int]) -> Path:
        folder = make_data_dir(name, lengths)
        lines = (f"{name}-{index:04d} {length}\n" for index, length in enumerate(lengths))
        (folder / "utt2num_samples").write_text("".join(lines))
        return folder

    return make


def run(monkeypatch, encoder_file: Path, data: Path, out: Path, *more: str) -> None:
    words = ["--encoder_file", encoder_file, "--data", data, "--layer", "1", "--portion", "1", "--out", out, *more]
    monkeypatch.setattr(sys, "argv", ["kmeans", *map(str, words)])
    kmeans.main()


def test_memory_does_not_grow_with_the_corpus(monkeypatch, encoder_file, data_of, tmp_path, capsys):
    """The bound holds whatever the corpus: 16 dimensions, 40 frames' worth of memory."""
    limit = 40
    bound = 4 * 16 * COPIES * limit / 2**30
    seen = []
    monkeypatch.setattr(semantic, "train", lambda frames, *rest: (seen.append(frames.shape), train(frames, *rest))[1])
    for name, count in (("small", 3), ("large", 40)):
        data = data_of(name, [16000] * count)
        out = tmp_path / name / "kmeans.npz"
        run(monkeypatch, encoder_file, data, out, "--num_clusters", "4", "--max_memory_gb", repr(bound))
        said = capsys.readouterr().err
        assert f"holds {100 * limit / (count * 30):.0f}% of the {count * 30} frames" in said, said
        facts = load_kmeans(out)[1]
        assert facts["frames"] == seen[-1][0] and facts["share_of_frames"] < 1
        # Each utterance rounds its share by chance: the sum varies by a few, whatever the corpus.
        assert abs(facts["frames"] - limit) <= 4 * np.sqrt(count) / 2
    assert seen[1][0] < 1.5 * seen[0][0]


def test_a_second_run_is_skipped_and_a_changed_one_is_not(monkeypatch, encoder_file, data_of, tmp_path, capsys):
    data, out = data_of("train", [8000] * 6), tmp_path / "kmeans.npz"
    run(monkeypatch, encoder_file, data, out, "--num_clusters", "4")
    content = out.read_bytes()
    capsys.readouterr()
    run(monkeypatch, encoder_file, data, out, "--num_clusters", "4")
    assert "skipped" in capsys.readouterr().out and out.read_bytes() == content
    run(monkeypatch, encoder_file, data, out, "--num_clusters", "5")
    assert load_kmeans(out)[0].shape == (5, 16)


def test_bad_input_is_one_line(monkeypatch, encoder_file, data_of, tmp_path):
    data, out = data_of("train", [8000] * 2), tmp_path / "kmeans.npz"
    with pytest.raises(UserError, match="no layer 3: this encoder has layers 0 to 2"):
        run(monkeypatch, encoder_file, data, out, "--layer", "3")
    with pytest.raises(UserError, match="run stage 3"):
        run(monkeypatch, tmp_path / "none", data, out)
    with pytest.raises(UserError, match="frames for 1024 clusters"):
        run(monkeypatch, encoder_file, data, out)
    assert not out.exists()
