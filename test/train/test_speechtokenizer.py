# Copyright 2026 The hasrd authors
# Apache-2.0
"""A small SpeechTokenizer trains from noise: k-means, running means, resuming, two processes."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import torch
from children import codec_options, finish, note_weights, same, start, weights


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
    finish(start(task, options(corpus, whole, 6), log), log)
    for max_epoch in (1, 6):
        finish(start(task, options(corpus, parts, max_epoch), log), log)
    saved = weights(whole)
    assert same(saved, weights(parts)), "a resumed training does not start its codebooks anew"
    assert torch.isfinite(saved["codec.quantizer.codebooks"]).all()
    assert saved["codec.quantizer.counts"].sum() > 0
    epochs = json.loads((whole / "history.json").read_text())["epochs"]
    assert epochs[-1]["valid"]["mel_distance"] < 0.95 * epochs[0]["valid"]["mel_distance"]
    assert all(epoch["train"]["used_0"] > 2 and epoch["train"]["codebook_loss"] == 0 for epoch in epochs)


@pytest.mark.parametrize("world_size", [2])
def test_processes_have_equal_codebooks(world_size, tasks, corpus, tmp_path):
    """gloo on CPUs; DistributedDataParallel averages gradients, but not these."""
    task, _ = tasks["codec"]
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    processes = []
    for rank in range(world_size):
        argv = options(corpus, tmp_path / "exp", 2) + [
            "--dist_backend", "gloo", "--dist_world_size", str(world_size), "--dist_rank", str(rank),
            "--dist_master_addr", "localhost", "--dist_master_port", str(port), "--multiprocessing_distributed", "true",
        ]  # fmt: skip
        note = note_weights(task, tmp_path / f"weights{rank}.pth")
        processes.append(start(task, argv, tmp_path / f"log{rank}", before=note))
    for rank, process in enumerate(processes):
        finish(process, tmp_path / f"log{rank}")
    first, second = weights(tmp_path, "weights0.pth"), weights(tmp_path, "weights1.pth")
    assert same(first, second) and torch.isfinite(first["codec.quantizer.codebooks"]).all()
    # As many vectors as both processes have: each 4 crops of 25 tokens a step, and a step has the frames of all.
    # An entry that is replaced gets the average count in addition.
    assert all(195 < total < 300 for total in first["codec.quantizer.counts"].sum(1).tolist())
