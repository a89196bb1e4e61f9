# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codec training on stage 3's encoder: it stays as it is, is in no checkpoint, and can't be swapped."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
import yaml
from children import codec_options, fails, trains, weights

from hasrd.codec.build import build_speech_encoder
from hasrd.jobs.digest import sha256
from hasrd.models.checkpoint import load_encoder, save_encoder
from hasrd.models.load import load_codec


def options(corpus: Path, out: Path, encoder: Path, kmeans: Path, max_epoch: int) -> list[str]:
    argv = codec_options(corpus, out, max_epoch)
    at = argv.index("--encoder")
    del argv[at : at + 4]  # --encoder and --encoder_conf: these come from the file
    return [*argv, "--quantizer", "hasrd", "--encoder_file", str(encoder), "--kmeans_file", str(kmeans)]


def test_codec_training_on_a_frozen_encoder(tasks, corpus, encoder_file, kmeans_file, tmp_path):
    task, _ = tasks["codec"]
    encoder, kmeans = tmp_path / "encoder.safetensors", tmp_path / "kmeans.npz"
    shutil.copy(encoder_file, encoder)
    shutil.copy(kmeans_file, kmeans)
    exp, log = tmp_path / "exp", tmp_path / "log"
    trains(task, options(corpus, exp, encoder, kmeans, 2), log)

    # The file is as it was, and the config says which it was.
    assert sha256(encoder) == sha256(encoder_file)
    config = yaml.safe_load((exp / "config.yaml").read_text())
    assert config["encoder_sha256"] == sha256(encoder)
    assert config["encoder"] == "cnn_conformer" and config["quantizer_conf"]["semantic_layer"] == 1

    # No tensor of the encoder in any checkpoint, and the optimiser never saw one.
    _, front = load_encoder(encoder)
    saved = weights(exp)
    assert not [name for name in saved if name.startswith(("codec.encoder", "codec.normalize"))]
    trained = sum(value.numel() for name, value in saved.items() if name.startswith("codec."))
    states = torch.load(exp / "checkpoint.pth", weights_only=False)
    stepped = sum(state["exp_avg"].numel() for state in states["optimizers"][0]["state"].values())
    assert 0 < stepped <= trained < stepped + 5000

    # The trained codec's encoder is the file's, bit by bit; its decoder has learned.
    codec = load_codec(exp)
    loaded = codec.encoder.module.state_dict()
    for name, value in front.encoder.state_dict().items():
        assert torch.equal(loaded[name], value), name
    first, second = weights(exp, "1epoch.pth"), weights(exp, "2epoch.pth")
    assert not torch.equal(first["codec.quantizer.layer_logits"], second["codec.quantizer.layer_logits"])
    assert torch.equal(first["codec.quantizer.centroids"], second["codec.quantizer.centroids"])
    for length in (500, 784, 20011):
        tokens = codec.encode(0.1 * torch.randn(1, length), torch.tensor([length]))
        assert codec.decode(tokens).shape == (1, length)
        assert tokens.loudness is not None, "trained at a level"

    # Another encoder under the same name: neither a longer training nor a use goes on with it.
    torch.manual_seed(5)
    save_encoder(encoder, config, build_speech_encoder(config))
    assert "trained on another encoder" in fails(task, options(corpus, exp, encoder, kmeans, 3), log)
    assert (exp / "checkpoint.pth").is_file() and not (exp / "3epoch.pth").exists()
