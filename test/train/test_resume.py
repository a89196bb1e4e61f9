# Copyright 2026 The hasrd authors
# Apache-2.0
"""Trainings that are killed, also while they save, and go on to bit-identical weights; and two processes."""

from __future__ import annotations

import json

import pytest
import torch
from children import die_in_save, fails, same, start, train_in_two, trains, weights


@pytest.mark.parametrize("kind", ["ssl", "codec"])
def test_killed_while_saving_goes_on_to_identical_weights(kind, tasks, corpus, tmp_path):
    task, small = tasks[kind]

    def options(corpus, out):
        own = ["--scheduler2", "exponentialupdatelr"] if kind == "codec" else []
        return [*small(corpus, out), "--scheduler", "warmupcosinelr", "--weight_average", "0.9", *own]

    whole = tmp_path / "whole"
    trains(task, options(corpus, whole), tmp_path / "log")
    # Two files an epoch: weights, then checkpoint. The first one of epoch 2, then checkpoint of the epoch after.
    killed = tmp_path / "killed"
    for number in (3, 4):
        process = start(task, options(corpus, killed), tmp_path / "log", before=die_in_save(number))
        process.join(240)
        assert process.exitcode == -9, (tmp_path / "log").read_text()[-3000:]
        assert not (killed / "finished.json").exists()
    trains(task, options(corpus, killed), tmp_path / "log")
    assert "going on after epoch" in (tmp_path / "log").read_text()
    assert same(weights(whole), weights(killed))
    assert not list(killed.glob(".tmp-*")), "half files are left"
    history = json.loads((killed / "history.json").read_text())["epochs"]
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3]
    assert sorted(path.name for path in whole.glob("*.pth")) == sorted(path.name for path in killed.glob("*.pth"))
    # What is saved for use is the average, what the training goes on with are the weights.
    states = [torch.load(folder / "checkpoint.pth", weights_only=False) for folder in (whole, killed)]
    assert same(states[0]["model"], states[1]["model"]) and not same(states[0]["model"], weights(whole))
    assert states[0]["schedulers"][0]["total"] == 6 and states[0]["schedulers"][0]["last_epoch"] == 6
    # Without the average it is another training.
    assert "this checkpoint does not fit" in fails(task, small(corpus, killed, 4), tmp_path / "log")


def test_a_longer_training_says_that_its_rates_change(tasks, corpus, tmp_path):
    task, options = tasks["ssl"]
    for max_epoch, said in ((1, False), (3, True)):
        argv = [*options(corpus, tmp_path / "a", max_epoch), "--scheduler", "warmupcosinelr"]
        trains(task, argv, tmp_path / "log")
        note = "was planned for 2 updates and now is for 6: it goes on as a training of that length at update 3"
        assert (note in (tmp_path / "log").read_text()) == said


def test_longer_training_goes_on(tasks, corpus, tmp_path):
    task, options = tasks["ssl"]
    for max_epoch in (1, 3):
        trains(task, options(corpus, tmp_path / "a", max_epoch), tmp_path / "log")
    trains(task, options(corpus, tmp_path / "b", 3), tmp_path / "log")
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_another_configuration_in_the_same_folder_is_refused(tasks, corpus, tmp_path):
    task, options = tasks["ssl"]
    trains(task, options(corpus, tmp_path / "a", 1), tmp_path / "log")
    before = weights(tmp_path / "a")
    other = [*options(corpus, tmp_path / "a", 2), "--encoder_conf", "num_blocks=2"]
    assert "this checkpoint does not fit" in fails(task, other, tmp_path / "log")
    assert same(before, weights(tmp_path / "a"))


@pytest.mark.parametrize("kind", ["ssl", "codec"])
def test_two_processes_share_the_work(kind, tasks, corpus, tmp_path):
    """gloo on CPUs: both processes end with the same weights, and training learns from both halves of a batch."""
    task, options = tasks[kind]
    accum_grad = 2 if kind == "ssl" else 1
    argv = [*options(corpus, tmp_path / "exp", 2), "--accum_grad", str(accum_grad), "--batch_size", "2"]
    first, second = train_in_two(task, argv, tmp_path)
    history = json.loads((tmp_path / "exp" / "history.json").read_text())["epochs"]
    assert len(history) == 2
    assert same(first, second) and same(first, weights(tmp_path / "exp"))
    assert all(torch.isfinite(value).all() for value in first.values() if value.is_floating_point())
    if kind == "codec":
        draws = [(tmp_path / f"draws{rank}").read_text().splitlines() for rank in range(2)]
        assert len(draws[0]) == len(draws[1]) > 0 and not set(draws[0]) & set(draws[1]), "each process draws its own"
    assert f"a process x 2 processes x accum_grad {accum_grad}" in (tmp_path / "log0").read_text()
    # Alone, each process would have learned something else.
    trains(task, options(corpus, tmp_path / "alone", 2), tmp_path / "log")
    assert not same(first, weights(tmp_path / "alone"))
