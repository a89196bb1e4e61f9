# Copyright 2026 The hasrd authors
# Apache-2.0
"""The start of a training: what is done is said before ESPnet is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from hasrd.bin import probe
from hasrd.errors import UserError
from hasrd.jobs.lock import exclusive
from hasrd.train import entry


def test_a_finished_training_is_skipped(trained, tmp_path, capsys):
    argv = ["--output_dir", str(tmp_path), "--max_epoch", "3", "--encoder_conf", "a=1"]
    entry.train("x:Y", argv)
    assert trained == [argv], "never ended: trains"
    (tmp_path / "finished.json").write_text(json.dumps({"epochs": 3, "max_epoch": 3}))
    entry.train("x:Y", argv)
    assert len(trained) == 1 and "already trained for 3 epochs" in capsys.readouterr().err
    for more in (["--max_epoch", "4"], ["--collect_stats", "true"]):
        entry.train("x:Y", [*argv, *more])
    assert len(trained) == 3, "more epochs, or statistics: goes on"


def test_epochs_of_the_configuration(trained, tmp_path):
    (tmp_path / "finished.json").write_text(json.dumps({"epochs": 2, "max_epoch": 5}))
    (tmp_path / "a.yaml").write_text("max_epoch: 5\n")
    argv = ["--output_dir", str(tmp_path), "--config", str(tmp_path / "a.yaml")]
    entry.train("x:Y", argv)
    assert not trained, "ended early, as asked"
    entry.train("x:Y", [*argv, "--max_epoch", "6"])
    assert len(trained) == 1
    with pytest.raises(UserError, match="b.yaml: no such file"):
        entry.train("x:Y", ["--output_dir", str(tmp_path), "--config", str(tmp_path / "b.yaml")])


@pytest.mark.parametrize("content", ["", "{}", "[", '{"max_epoch": null}', "[1]"])
def test_a_damaged_note_counts_as_not_finished(content, tmp_path):
    (tmp_path / "finished.json").write_text(content)
    assert entry.finished_epochs(tmp_path) == 0


def test_tasks_load_in_silence():
    names = [f"hasrd.tasks.{name}" for name in ("asr:ASRTask", "codec:CodecTask", "ssl:SSLTask")]
    code = f"from hasrd.train.entry import load_task; [load_task(name) for name in {names}]"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (output.returncode, output.stdout, output.stderr) == (0, "", "")


def test_tasks_load_without_type_checks():
    import typeguard

    before = typeguard.typechecked
    assert entry.load_task("hasrd.tasks.ssl:SSLTask").__name__ == "SSLTask"
    assert typeguard.typechecked is before


def test_two_trainings_in_one_folder(trained, tmp_path):
    """The second one ends before it imports anything, and says who holds the first."""
    with exclusive(tmp_path):
        with pytest.raises(UserError, match=f"{tmp_path}: process {os.getpid()} on .* is writing there"):
            entry.train("x:Y", ["--output_dir", str(tmp_path), "--max_epoch", "3"])
    assert not trained
    entry.train("x:Y", ["--output_dir", str(tmp_path / "new"), "--max_epoch", "3"])
    assert len(trained) == 1
    left = [path.name for path in (tmp_path / "new").iterdir()]
    assert left == [".origin.json"], "the lock is gone with the training"


@pytest.mark.parametrize(
    "options, variables, locks",
    [
        (["--dist_rank", "0"], {}, True),
        (["--dist_rank", "1"], {}, False),
        ([], {"RANK": "1", "WORLD_SIZE": "2"}, False),
        ([], {"RANK": "1"}, True),
        (["--dist_launcher", "slurm"], {"SLURM_NODEID": "0"}, True),
        (["--dist_launcher", "slurm"], {"SLURM_NODEID": "1"}, False),
    ],
)
def test_the_first_of_several_nodes_holds_the_lock(trained, tmp_path, monkeypatch, options, variables, locks):
    pytest.importorskip("espnet2")
    step = {"SLURM_STEP_NUM_NODES": "2", "SLURM_NTASKS": "2", "SLURM_STEP_NODELIST": "a,b", "SLURM_PROCID": "0"}
    for name, value in {**step, **variables}.items():
        monkeypatch.setenv(name, value)
    argv = ["--output_dir", str(tmp_path), "--max_epoch", "3", *options]
    with exclusive(tmp_path):
        if locks:
            with pytest.raises(UserError, match="is writing there"):
                entry.train("x:Y", argv)
        else:
            entry.train("x:Y", argv)
    assert len(trained) == (0 if locks else 1)


def test_a_probe_decodes_under_the_lock_of_its_training(trained, tmp_path, monkeypatch):
    locked = []

    def decode(argv):
        with pytest.raises(UserError, match="is writing there"), exclusive(tmp_path):
            pass
        locked.append(argv)

    monkeypatch.setattr(probe.asr_decode, "main", decode)
    monkeypatch.setattr(sys, "argv", ["probe", "--beam_size", "1", "--", "--output_dir", str(tmp_path)])
    probe.main()
    assert locked == [["--beam_size", "1"]] and trained == [["--output_dir", str(tmp_path)]]


@pytest.mark.parametrize("text", ["a: [1\n", "- 1\n", "a: &a [*a]\n", "\x00", "a: " + "[" * 500])
def test_a_configuration_that_is_none_is_one_line(trained, tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match="a.yaml"):
        entry.train("x:Y", ["--output_dir", str(tmp_path), "--config", str(tmp_path / "a.yaml")])
    assert not trained


def test_numbers_that_espnets_reader_takes_for_text(tmp_path, monkeypatch):
    """In the configuration and on the command line, with ESPnet's own parser."""
    task, found = entry.load_task("hasrd.tasks.ssl:SSLTask"), []
    monkeypatch.setattr(task, "main", lambda args: found.append(args))
    (tmp_path / "a.yaml").write_text("optim: adamw\noptim_conf:\n  lr: 2e-3\n  betas: [9e-1, 0.98]\nmax_epoch: 3\n")
    argv = ["--output_dir", str(tmp_path), "--config", str(tmp_path / "a.yaml")]
    entry.train("hasrd.tasks.ssl:SSLTask", [*argv, "--optim_conf", "weight_decay=1e-2", "--encoder_conf", "{a: 1E2}"])
    assert found[0].optim_conf == {"lr": 2e-3, "betas": [0.9, 0.98], "weight_decay": 0.01}
    assert found[0].encoder_conf == {"a": 100.0} and entry.numbers({"a": "e3", "b": "2e"}) == {"a": "e3", "b": "2e"}
