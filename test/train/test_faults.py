# Copyright 2026 The hasrd authors
# Apache-2.0
"""Trainings on bad audio and on a full disk: one line, a non-zero exit, and nothing that was trained is lost."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from children import fails, same, trains, weights, write_corpus

from hasrd.train import checkpoint


@pytest.fixture(scope="module")
def damaged(tmp_path_factory) -> Path:
    """A corpus whose training clips end in NaN."""
    root = tmp_path_factory.mktemp("damaged")
    write_corpus(root, {"train": 4, "valid": 2})
    for path in (root / "train").glob("*.wav"):
        samples = soundfile.info(path).frames
        soundfile.write(path, np.full(samples, np.nan, np.float32), 16000, subtype="FLOAT")
    return root


@pytest.mark.parametrize("kind", ["ssl", "codec"])
def test_gradients_that_are_all_nan_end_the_training(kind, tasks, corpus, damaged, tmp_path):
    task, options = tasks[kind]
    exp, log = tmp_path / "exp", tmp_path / "log"
    trains(task, options(corpus, exp, 1), log)
    before = {path.name: path.read_bytes() for path in exp.glob("*.pth")}
    assert "every gradient of epoch 2 was NaN or infinite" in fails(task, options(damaged, exp, 2), log)
    assert {path.name: path.read_bytes() for path in exp.glob("*.pth")} == before
    # With good audio the same folder goes on, to what an undisturbed training gives.
    trains(task, options(corpus, exp, 2), log)
    trains(task, options(corpus, tmp_path / "whole", 2), log)
    assert same(weights(exp), weights(tmp_path / "whole"))


def full_disk(name: str):
    """Make the child find the disk full when it writes the file of that name."""

    def patch() -> None:
        atomic_path = checkpoint.atomic_path

        @contextmanager
        def full(path):
            with atomic_path(path) as temporary:
                yield Path("/dev/full") if Path(path).stem == name else temporary

        checkpoint.atomic_path = full

    return patch


@pytest.mark.parametrize("half_done", ["2epoch", "checkpoint"])
def test_full_disk_while_saving(half_done, tasks, corpus, tmp_path):
    task, options = tasks["ssl"]
    exp, log = tmp_path / "exp", tmp_path / "log"
    trains(task, options(corpus, exp, 1), log)
    before = (exp / "checkpoint.pth").read_bytes()
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full, on which every write finds the disk full")
    error = fails(task, options(corpus, exp, 2), log, before=full_disk(half_done))
    assert error.startswith("error: the disk is full") and f"{half_done}.pth" in error
    assert (exp / "checkpoint.pth").read_bytes() == before
    trains(task, options(corpus, exp, 2), log)
    assert "going on after epoch 1" in log.read_text()
    trains(task, options(corpus, tmp_path / "whole", 2), log)
    assert same(weights(exp), weights(tmp_path / "whole"))
