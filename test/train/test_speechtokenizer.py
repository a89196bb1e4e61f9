# Copyright 2026 The hasrd authors
# Apache-2.0
"""A small SpeechTokenizer trains from noise: k-means, running means, resuming, two processes."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from children import codec_options, same, train_in_two, trains, weights


def options(corpus: Path, out: Path, max_epoch: int) -> list[str]:
    """Those of the small codec, with other parts."""
    argv = codec_options(corpus, out, max_epoch)
    for part in ("encoder", "quantizer", "decoder"):
        while f"--{part}_conf" in argv:
            at = argv.index(f"--{part}_conf")
            del argv[at : at + 2]
    return argv + [
        "--frontend", "raw", "--encoder", "seanet", "--encoder_conf", "{channels: 4, output_size: 16}",
        "--quantizer", "euclidean_rvq", "--quantizer_conf", "{num_codebooks: 2, codebook_size: 16}",
        "--decoder", "seanet", "--decoder_conf", "channels=4",
    ]  # fmt: skip


def test_it_learns_and_goes_on_exactly(tasks, corpus, tmp_path):
    task, _ = tasks["codec"]
    whole, parts, log = tmp_path / "whole", tmp_path / "parts", tmp_path / "log"
    trains(task, options(corpus, whole, 6), log)
    for max_epoch in (1, 6):
        trains(task, options(corpus, parts, max_epoch), log)
    saved = weights(whole)
    assert same(saved, weights(parts)), "a resumed training does not start its codebooks anew"
    assert torch.isfinite(saved["codec.quantizer.codebooks"]).all()
    assert saved["codec.quantizer.counts"].sum() > 0
    epochs = json.loads((whole / "history.json").read_text())["epochs"]
    assert epochs[-1]["valid"]["mel_distance"] < 0.95 * epochs[0]["valid"]["mel_distance"]
    assert all(epoch["train"]["used_0"] > 2 and epoch["train"]["codebook_loss"] == 0 for epoch in epochs)


def test_processes_have_equal_codebooks(tasks, corpus, tmp_path):
    """DistributedDataParallel averages gradients, but not these."""
    task, _ = tasks["codec"]
    first, second = train_in_two(task, options(corpus, tmp_path / "exp", 2), tmp_path)
    assert same(first, second) and torch.isfinite(first["codec.quantizer.codebooks"]).all()
    # As many vectors as both processes have: each 4 crops of 25 tokens a step, and a step has the frames of all.
    # An entry that is replaced gets the average count in addition.
    assert all(195 < total < 300 for total in first["codec.quantizer.counts"].sum(1).tolist())
