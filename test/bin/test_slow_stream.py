# Copyright 2026 The hasrd authors
# Apache-2.0
"""A codec whose acoustic codes stand for several frames: its tokens through commands, files and scores."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import torch
import yaml

import hasrd
from hasrd.bin import encode, info, pack, score, tokenize
from hasrd.codec.convert import exchange, word_centroids
from hasrd.codec.token_file import read_token_file
from hasrd.codec.versions import shuffle_acoustic
from hasrd.metrics.scores import read_score

STRIDE = 3
# At 31.25 frames a second: 3 bits of k-means (8 clusters) a frame, 2 x 4 bits for three frames.
KBPS = 31.25 * (3 + 2 * 4 / STRIDE) / 1000


def run(monkeypatch, module, *words) -> None:
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, words)])
    module.main()


@pytest.fixture
def slow_dir(codec_dir, tmp_path) -> Path:
    folder = tmp_path / "slow"
    shutil.copytree(codec_dir, folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["quantizer_conf"]["acoustic_stride"] = STRIDE
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def held(codes: np.ndarray) -> bool:
    """Whether the acoustic codes of (T, 3) change only where a group begins."""
    first = codes[np.arange(len(codes)) // STRIDE * STRIDE]
    return np.array_equal(codes[:, 1:], first[:, 1:])


def test_tokens_of_a_set_and_their_bitrate(monkeypatch, slow_dir, make_data_dir, tmp_path):
    data, out, scores = make_data_dir("test", (16000, 9000, 784)), tmp_path / "tokens", tmp_path / "scores"
    run(monkeypatch, tokenize, "--exp_dir", slow_dir, "--data", data, "--out", out, "--crop_seconds", "0.4")
    assert json.loads((out / "codes.json").read_text())["codebook_strides"] == [1, STRIDE, STRIDE]
    codes = kaldiio.load_scp(str(out / "codes.scp"))
    assert all(held(array) for array in codes.values()) and not held(codes["test-0000"][:, [1, 0, 0]])
    places = [int(array[0, 0]) for array in kaldiio.load_scp(str(out / "crops.scp")).values()]
    assert places and all(place % STRIDE == 0 for place in places), "crops begin with tokens of all streams"
    words = ["--test_set", "test", "--system", "combined", "--codes", str(out / "codes.scp"), "--out", str(scores)]
    score.main(["bitrate,codebook", *words, "--tokens_info", str(out / "codes.json")])
    bitrate, used = (read_score(scores / f"{name}.json") for name in ("bitrate", "codebook"))
    assert bitrate.mean == pytest.approx(KBPS)
    semantic = 31.25 * 3 / 1000
    assert bitrate.details["streams"] == pytest.approx({"semantic": semantic, "acoustic": KBPS - semantic})
    assert used.mean == pytest.approx(sum(book["effective_bitrate"] for book in used.details["codebooks"]) / 1000)
    assert used.mean <= bitrate.mean


def test_files_of_tokens_and_packages(monkeypatch, slow_dir, make_data_dir, tmp_path, capsys):
    data = make_data_dir("test", (16000,))
    run(monkeypatch, pack, slow_dir, tmp_path / "packed")
    assert "each for 3 frames" in (tmp_path / "packed/README.md").read_text()
    run(monkeypatch, encode, tmp_path / "packed", data / "wav.scp", tmp_path / "encoded", "--kaldi")
    file = read_token_file(tmp_path / "encoded/test-0000.npz")
    assert file.codebook_strides == (1, STRIDE, STRIDE) and held(file.codes)
    said = json.loads((tmp_path / "encoded/codes.json").read_text())
    assert said["codebook_strides"] == [1, STRIDE, STRIDE]
    tokenizer = hasrd.load(tmp_path / "packed")
    tokens = tokenizer.load_tokens(tmp_path / "encoded/test-0000.npz")
    assert tokens.bitrate == pytest.approx(1000 * KBPS)
    assert tokens.select(["acoustic"]).codebook_strides == (STRIDE, STRIDE)
    assert tokens.first(2).bitrate == pytest.approx(31.25 * (3 + 4 / STRIDE))
    assert tokenizer.as_tokens(tokens.codes).bitrate == tokens.bitrate
    assert tokenizer.decode(tokens).shape[1] == 16000
    capsys.readouterr()
    info.main([str(tmp_path / "packed"), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said["codebook_strides"] == [1, STRIDE, STRIDE] and said["bitrate_bps"] == pytest.approx(1000 * KBPS)


def test_controls_keep_groups_together(slow_dir):
    """Shuffled and exchanged acoustic tokens still stand for as many frames."""
    tokenizer = hasrd.load(slow_dir)
    wave = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0)) / 10
    tokens = tokenizer.encode(wave, 16000)
    shuffled = shuffle_acoustic(tokens, "utt")
    assert held(shuffled.codes[0].numpy()) and not torch.equal(shuffled.codes, tokens.codes)
    before, after = (sorted(map(tuple, x.codes[0, ::STRIDE, 1:].tolist())) for x in (tokens, shuffled))
    assert tokens.codes.shape[1] % STRIDE == 0 and before == after, "every group is there once"
    other = tokenizer.encode(wave.flip(1)[:, :9000], 16000)
    for method in ("cycle", "match"):
        mixed = exchange(tokens, other, method, word_centroids(tokenizer.codec))
        assert held(mixed.codes[0].numpy()) and torch.equal(mixed.codes[..., 0], tokens.codes[..., 0])
        assert {*map(tuple, mixed.codes[0, :, 1:].tolist())} <= {*map(tuple, other.codes[0, :, 1:].tolist())}


def test_a_stride_that_does_not_fit_is_refused(slow_dir):
    tokens = hasrd.load(slow_dir).encode(torch.zeros(1, 4000), 16000)
    for strides in ((1, 3), (1, 0, 3)):
        with pytest.raises(ValueError, match="codebook_strides"):
            type(tokens)(tokens.codes, tokens.lengths, tokens.num_samples, 31.25, tokens.stream_names,
                         tokens.codebook_sizes, tokens.loudness, strides)  # fmt: skip
