# Copyright 2026 The hasrd authors
# Apache-2.0
"""The states of a training come back as they were, as tensors and plain data, and nothing else is kept or read."""

from __future__ import annotations

import zipfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from children import fails, trains
from hypothesis import given
from hypothesis import strategies as st

from hasrd.errors import UserError
from hasrd.train.checkpoint import read_training, save_training

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.timedeltas()
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=12,
)
REST = {"model": {}, "optimizers": [], "schedulers": [None], "scaler": None}


@given(VALUES)
def test_plain_data_comes_back(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "plain.pth"
    save_training({**REST, "reporter": value}, path)
    assert read_training(path)["reporter"] == value


def test_numbers_of_numpy_become_pythons(tmp_path):
    """Of the same value: ESPnet's means are numpy's."""
    loss = np.float64(0.1) + np.float64(0.2)
    stats = {1: {"train": {"loss": loss, "n": np.int64(3), "time": timedelta(seconds=1.5)}}}
    save_training({**REST, "reporter": {"stats": stats, "epoch": 1}}, tmp_path / "a.pth")
    found = read_training(tmp_path / "a.pth")["reporter"]
    assert found == {"stats": stats, "epoch": 1}
    assert type(found["stats"][1]["train"]["loss"]) is float and type(found["stats"][1]["train"]["n"]) is int
    with zipfile.ZipFile(tmp_path / "a.pth") as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        pickled = archive.read(name)
    assert b"numpy" not in pickled and b"datetime" not in pickled


@pytest.mark.parametrize("value", [object(), lambda: 1, {1, 2}, Path("a"), 1j, timedelta])
def test_what_is_not_plain_is_not_kept(tmp_path, value):
    with pytest.raises(TypeError, match="cannot be kept"):
        save_training({**REST, "reporter": [{"a": value}]}, tmp_path / "a.pth")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("states", [{}, [], {"model": {}}, {**REST}, torch.zeros(2)])
def test_states_that_are_none(tmp_path, states):
    torch.save(states, tmp_path / "a.pth")
    with pytest.raises(UserError, match="a.pth: no state of a training"):
        read_training(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "make",
    [
        lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 2, 4]),
        lambda optimizer: torch.optim.lr_scheduler.CyclicLR(optimizer, 0.1, 0.2),
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=9),
        lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2),
    ],
)
def test_schedules_go_on_alike(tmp_path, make):
    def steps(scheduler, count: int) -> list[float]:
        rates = []
        for _ in range(count):
            scheduler.optimizer.step()
            scheduler.step()
            rates.append(scheduler.optimizer.param_groups[0]["lr"])
        return rates

    def build():
        return make(torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=0.1, momentum=0.9))

    whole, first, second = build(), build(), build()
    expected = steps(whole, 8)
    assert steps(first, 3) == expected[:3]
    state = {"optimizers": [first.optimizer.state_dict()], "schedulers": [first.state_dict()]}
    save_training({**REST, "reporter": {}, **state}, tmp_path / "a.pth")
    found = read_training(tmp_path / "a.pth")
    second.optimizer.load_state_dict(found["optimizers"][0])
    second.load_state_dict(found["schedulers"][0])
    assert steps(second, 5) == expected[3:]


def test_a_checkpoint_of_espnets_is_one_line(tasks, corpus, tmp_path):
    """It holds classes, as those of older releases do; the training says so and leaves it as it is."""
    task, options = tasks["ssl"]
    exp, log = tmp_path / "exp", tmp_path / "log"
    trains(task, options(corpus, exp, 1), log)
    states = read_training(exp / "checkpoint.pth")
    torch.save(states, exp / "checkpoint.pth")
    before = (exp / "checkpoint.pth").read_bytes()
    error = fails(task, options(corpus, exp, 2), log)
    assert "checkpoint.pth: not a complete file of weights" in error and "an older release" in error
    assert (exp / "checkpoint.pth").read_bytes() == before
