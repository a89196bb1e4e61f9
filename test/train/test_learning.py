# Copyright 2026 The hasrd authors
# Apache-2.0
"""Trainings learn: ten steps on one batch; in bf16 too where the CPU has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from children import trains, weights

from hasrd.train import precision


def curve(folder: Path, key: str) -> list[float]:
    epochs = json.loads((folder / "history.json").read_text())["epochs"]
    return [epoch["train"][key] for epoch in epochs]


@pytest.mark.parametrize("kind, key, share", [("ssl", "loss", 0.9), ("codec", "mel_distance", 0.8)])
def test_ten_steps_on_one_batch(kind, key, share, tasks, corpus, tmp_path):
    task, options = tasks[kind]
    one_batch = ["--batch_size", "8", "--optim_conf", "lr=0.01"]
    if kind == "ssl":
        one_batch += ["--scheduler", "none"]
    trains(task, options(corpus, tmp_path / "exp", 10) + one_batch, tmp_path / "log")
    values = curve(tmp_path / "exp", key)
    assert len(values) == 10
    assert sum(values[-3:]) / 3 < share * values[0], values


@pytest.mark.parametrize("kind", ["ssl", "codec"])
def test_bf16_on_this_cpu(kind, tasks, corpus, tmp_path):
    if not precision.has_bf16("cpu"):
        pytest.skip("this CPU does not compute in bf16")
    task, options = tasks[kind]
    for amp in ("true", "false"):
        argv = options(corpus, tmp_path / amp, 2) + ["--use_amp", amp]
        trains(task, argv, tmp_path / "log")
    half, full = weights(tmp_path / "true"), weights(tmp_path / "false")
    assert all(value.dtype != torch.bfloat16 for value in half.values()), "weights stay in float32"
    assert all(torch.isfinite(value).all() for value in half.values())
    assert any(not torch.equal(half[key], full[key]) for key in full), "bf16 was not used"
    key = "loss" if kind == "ssl" else "mel_distance"
    for one, other in zip(curve(tmp_path / "true", key), curve(tmp_path / "false", key)):
        assert one == pytest.approx(other, rel=0.05)


def test_autocast_is_the_innermost_context():
    """Also inside of one that switches autocast off, as ESPnet's loops do where there is no gradient scaler."""
    model = precision.Autocast(torch.nn.Linear(4, 4), "cpu", torch.bfloat16)
    with torch.autocast("cpu", enabled=False):
        assert model(torch.ones(1, 4)).dtype == torch.bfloat16
    model = precision.Autocast(torch.nn.Linear(4, 4), "cpu", None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(torch.ones(1, 4)).dtype == torch.float32


def test_the_type_that_amp_means(monkeypatch, caplog):
    monkeypatch.setattr(precision, "has_bf16", lambda device: device == "cpu")
    assert precision.autocast_dtype(False, "cpu") is None
    assert precision.autocast_dtype(True, "cpu") == torch.bfloat16
    assert precision.autocast_dtype(True, "cuda") == torch.float16
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)
    assert precision.autocast_dtype(True, "cpu") is None and "no bf16" in caplog.text
