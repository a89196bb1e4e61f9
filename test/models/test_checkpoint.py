# Copyright 2026 The hasrd authors
# Apache-2.0
"""Encoder files, k-means files and codecs from experiment folders: what fits is loaded, all else is one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from hasrd.codec.build import build_speech_encoder
from hasrd.jobs.digest import sha256
from hasrd.models.checkpoint import load_encoder, save_encoder
from hasrd.models.kmeans import load_kmeans, save_kmeans
from hasrd.models.load import load_codec


def test_an_encoder_comes_back_bit_by_bit(encoder_file: Path, tmp_path: Path):
    config, front = load_encoder(encoder_file, sha256(encoder_file))
    assert config["encoder"] == "cnn_conformer" and not front.training
    again = tmp_path / "again.safetensors"
    assert save_encoder(again, config, front) == sha256(encoder_file)


def test_another_encoder_is_refused(encoder_file: Path, refused):
    assert "not the encoder that this codec was trained with" in refused(load_encoder, encoder_file, "0" * 64)


def test_damaged_encoder_files(encoder_file: Path, tmp_path: Path, refused):
    assert "no such file: run stage 3" in refused(load_encoder, tmp_path / "none")
    content = encoder_file.read_bytes()
    for bad in (b"", content[:100], content[: len(content) // 2], b"\x00" * 1000):
        (tmp_path / "bad").write_bytes(bad)
        assert "not a complete file of weights" in refused(load_encoder, tmp_path / "bad")


def test_tensors_must_fit_the_configuration(encoder_file: Path, tmp_path: Path, refused):
    config, front = load_encoder(encoder_file)
    smaller = {**config, "encoder_conf": {**config["encoder_conf"], "num_blocks": 1}}
    save_encoder(tmp_path / "a", smaller, front)
    text = refused(load_encoder, tmp_path / "a")
    assert "don't fit" in text and "Unexpected" in text
    save_encoder(tmp_path / "b", config, build_speech_encoder(smaller))
    assert "Missing" in refused(load_encoder, tmp_path / "b")


def test_kmeans_file(tmp_path: Path, refused):
    centroids = np.random.default_rng(0).standard_normal((5, 3))
    save_kmeans(tmp_path / "k.npz", centroids, {"layer": 2, "encoder_sha256": "x"})
    loaded, facts = load_kmeans(tmp_path / "k.npz", "x")
    assert torch.equal(loaded, torch.from_numpy(centroids.astype(np.float32)))
    assert facts == {"layer": 2, "encoder_sha256": "x"}
    assert "another encoder" in refused(load_kmeans, tmp_path / "k.npz", "y")
    assert "no such k-means file" in refused(load_kmeans, tmp_path / "none.npz")
    content = (tmp_path / "k.npz").read_bytes()
    for bad in (b"", content[:50], content[:-30], b"text"):
        (tmp_path / "bad.npz").write_bytes(bad)
        assert "not a k-means file" in refused(load_kmeans, tmp_path / "bad.npz")


@pytest.mark.parametrize("lengths", [[784], [1], [12345, 700, 8000]])
def test_a_codec_gives_exact_lengths(codec_dir: Path, lengths: list[int]):
    codec = load_codec(codec_dir)
    assert not codec.training and not any(p.requires_grad for p in codec.parameters())
    wave = 0.1 * torch.randn(len(lengths), max(lengths))
    tokens = codec.encode(wave, torch.tensor(lengths))
    assert codec.decode(tokens).shape == (len(lengths), max(lengths))
    for row, length in enumerate(lengths):
        assert codec.decode(tokens.item(row)).shape == (1, length)


def test_an_experiment_whose_encoder_changed_is_refused(codec_dir: Path, encoder_file: Path, tmp_path: Path, refused):
    shutil.copytree(codec_dir, tmp_path / "exp")
    other = tmp_path / "encoder.safetensors"
    config, front = load_encoder(encoder_file)
    with torch.no_grad():
        next(front.parameters()).add_(1e-6)
    save_encoder(other, config, front)
    text = (codec_dir / "config.yaml").read_text()
    (tmp_path / "exp/config.yaml").write_text(text.replace(str(encoder_file), str(other)))
    assert "not the encoder" in refused(load_codec, tmp_path / "exp")


def test_experiments_that_are_not_complete(codec_dir: Path, tmp_path: Path, refused, one_line):
    one_line("config.yaml: no such file: give a packed model", load_codec, tmp_path)
    one_line("train the codec first", load_codec, codec_dir, "valid.mel_distance.best.pth")
    shutil.copytree(codec_dir, tmp_path / "exp")
    config = yaml.safe_load((codec_dir / "config.yaml").read_text())
    config["decoder_conf"]["dim"] = 24
    (tmp_path / "exp/config.yaml").write_text(yaml.safe_dump(config))
    text = refused(load_codec, tmp_path / "exp")
    assert "don't fit" in text and "latest.pth" in text


def test_the_encoder_is_found_from_anywhere(codec_dir: Path, encoder_file: Path, tmp_path: Path, monkeypatch, refused):
    """Its name in config.yaml is relative to the recipe's folder."""
    recipe = tmp_path / "recipe"
    (recipe / "exp/ssl_x").mkdir(parents=True)
    exp = shutil.copytree(codec_dir, recipe / "exp/codec_x")
    shutil.copy(encoder_file, recipe / "exp/ssl_x/encoder.safetensors")
    config = yaml.safe_load((codec_dir / "config.yaml").read_text())
    (exp / "config.yaml").write_text(yaml.safe_dump(config | {"encoder_file": "exp/ssl_x/encoder.safetensors"}))
    wave = 0.1 * torch.randn(1, 5000)
    expected = load_codec(codec_dir).encode(wave).codes

    def check(folder: str) -> None:
        assert torch.equal(load_codec(folder).encode(wave).codes, expected)

    monkeypatch.chdir(recipe)
    check("exp/codec_x")
    monkeypatch.chdir(exp)
    check(".")
    # Another encoder of that name near the place where one works: the hash decides.
    other = tmp_path / "elsewhere"
    (other / "exp/ssl_x").mkdir(parents=True)
    save_encoder(other / "exp/ssl_x/encoder.safetensors", config, build_speech_encoder(config))
    monkeypatch.chdir(other)
    check(str(exp))
    # The experiments' folder as a whole under another name.
    (recipe / "exp").rename(tmp_path / "kept")
    monkeypatch.chdir(tmp_path)
    check("kept/codec_x")
    shutil.rmtree("kept/ssl_x")
    text = refused(load_codec, "kept/codec_x")
    assert "no such encoder file" in text and "hasrd pack" in text


def test_configurations_that_are_no_codecs(tmp_path: Path, refused):
    damaged = {"a: [": "not valid YAML", "encoder: dac": "neither a packed model", "x": "expected names"}
    for text, words in damaged.items():
        (tmp_path / "config.yaml").write_text(text)
        text = refused(load_codec, tmp_path)
        assert words in text and "config.yaml" in text
