# Copyright 2026 The hasrd authors
# Apache-2.0
"""A training goes on only with the data and the options that it began with, or where that is meant."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from data_changes import HARMFUL, HARMLESS

from hasrd.data.archive import write_archive
from hasrd.data.kaldi import read_table, write_table
from hasrd.errors import UserError
from hasrd.jobs.origin import read_record
from hasrd.train import entry


@pytest.fixture
def calls(trained) -> list[list[str]]:
    """The command lines that reached the task."""
    return trained


@pytest.fixture
def data(make_data_dir) -> Path:
    return make_data_dir("train", (3000, 2000, 2500))


@pytest.fixture
def options(data, make_data_dir, tmp_path) -> list[str]:
    """The options of a training that names all kinds of files."""
    valid = make_data_dir("valid", (2000,))
    archive = tmp_path / "feats.ark"
    features = [(utt, np.full((3, 2), i, np.float32)) for i, utt in enumerate(read_table(data / "wav.scp"))]
    write_table(tmp_path / "feats.scp", write_archive(archive, archive, features))
    targets = tmp_path / "targets"
    targets.mkdir()
    for name in ("teacher.json", "embeddings.npy", "units.npy", "utt2units", "stats.npz"):
        (targets / name).write_text(f"{name} 1")
    (tmp_path / "tokens.txt").write_text("<blank>\n")
    (tmp_path / "encoder.safetensors").write_bytes(b"encoder")
    (tmp_path / "base.yaml").write_text("encoder_conf: {num_blocks: 2, linear_units: 8}\nmax_epoch: 3\n")
    return [
        "--config", str(tmp_path / "base.yaml"), "--output_dir", str(tmp_path / "exp"), "--ngpu", "0",
        "--train_data_path_and_name_and_type", f"{data}/wav.scp,speech,sound",
        "--train_data_path_and_name_and_type", f"{tmp_path}/feats.scp,feats,kaldi_ark",
        "--train_data_path_and_name_and_type", f"{data}/text,text,text",
        "--valid_data_path_and_name_and_type", f"{valid}/wav.scp,speech,sound",
        "--token_list", str(tmp_path / "tokens.txt"), "--frontend_conf", f"encoder_file={tmp_path}/encoder.safetensors",
        "--distillation", f"lexical.targets=[{targets}]",
    ]  # fmt: skip


@pytest.fixture
def begun(calls, options, tmp_path) -> Path:
    """The folder of a training that was begun with these options."""
    entry.train("x:Y", options)
    assert len(calls) == 1
    (tmp_path / "exp/checkpoint.pth").write_bytes(b"")
    return tmp_path / "exp"


@pytest.mark.parametrize("change", HARMLESS)
def test_what_changes_nothing_is_not_refused(change, begun, calls, options, data):
    change(data)
    entry.train("x:Y", options)
    assert len(calls) == 2


@pytest.mark.parametrize("change", HARMFUL)
def test_changed_data_is_refused_with_the_ways_out(change, begun, calls, options, data):
    before = read_record(begun)
    change(data)
    with pytest.raises(UserError, match="train's (speech|text) has changed.*another --ssl_tag.*--accept_changes true"):
        entry.train("x:Y", options)
    assert len(calls) == 1 and read_record(begun) == before
    entry.train("x:Y", [*options, "--accept_changes", "true"])
    entry.train("x:Y", options)
    assert len(calls) == 3, "what was accepted is what it goes on with"


def test_a_finished_training_on_other_data_is_not_called_done(begun, calls, options, data, capsys):
    (begun / "finished.json").write_text(json.dumps({"max_epoch": 3}))
    entry.train("x:Y", options)
    assert len(calls) == 1 and "already trained for 3 epochs" in capsys.readouterr().err
    HARMFUL[0](data)
    with pytest.raises(UserError, match="the data of train's speech has changed"):
        entry.train("x:Y", options)
    entry.train("x:Y", [*options, "--accept_changes", "true"])
    said = capsys.readouterr().err
    assert "goes on although the data of train's speech has changed" in said and "already trained" in said


@pytest.mark.parametrize(
    "name, reason",
    [
        ("tokens.txt", "token_list has changed"),
        ("encoder.safetensors", "frontend_conf.encoder_file has changed"),
        ("targets/embeddings.npy", "distillation.lexical.targets.0/embeddings.npy has changed"),
        ("feats.ark", "the data of train's feats has changed"),
        ("data/train/text", "train's text has changed"),
    ],
)
def test_each_file_counts_by_its_content(name, reason, begun, calls, options, tmp_path):
    path = tmp_path / name
    content, status = path.read_bytes(), path.stat()
    path.write_bytes(content[:-2] + bytes(byte ^ 1 for byte in content[-2:-1]) + content[-1:])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(UserError, match=reason):
        entry.train("x:Y", options)
    path.unlink()
    path.write_bytes(content)
    entry.train("x:Y", options)
    assert len(calls) == 2, "made again with the same bytes"


@pytest.mark.parametrize(
    "words, reason",
    [
        (("--encoder_conf", "num_blocks=3"), "encoder_conf.num_blocks was 2 and is 3"),
        (("--seed", "1"), "seed was null and is 1"),
        (("--max_epoch", "9", "--num_workers", "0", "--ngpu", "1", "--log_interval", "5"), ""),
        (("--encoder_conf", "num_blocks=2"), ""),
        (("--resume", "false", "--seed", "1"), ""),
    ],
)
def test_options(words, reason, begun, calls, options):
    if reason:
        with pytest.raises(UserError, match=reason):
            entry.train("x:Y", [*options, *words])
    else:
        entry.train("x:Y", [*options, *words])
        assert len(calls) == 2


def test_a_changed_configuration_file_is_refused_and_a_moved_one_is_not(begun, calls, options, tmp_path):
    shutil.move(tmp_path / "base.yaml", tmp_path / "moved.yaml")
    options[1] = str(tmp_path / "moved.yaml")
    entry.train("x:Y", options)
    assert len(calls) == 2
    (tmp_path / "moved.yaml").write_text("encoder_conf: {num_blocks: 2, linear_units: 16}\nmax_epoch: 3\n")
    with pytest.raises(UserError, match="encoder_conf.linear_units was 8 and is 16"):
        entry.train("x:Y", options)


def test_before_the_first_epoch_nothing_is_refused(calls, options, data, tmp_path):
    entry.train("x:Y", options)
    first = read_record(tmp_path / "exp")
    HARMFUL[0](data)
    entry.train("x:Y", options)
    assert len(calls) == 2 and read_record(tmp_path / "exp") != first


def test_a_training_without_a_record_gets_one_and_that_is_said(begun, calls, options, data, capsys):
    (begun / ".origin.json").unlink()
    entry.train("x:Y", options)
    assert "does not say what it was trained on" in capsys.readouterr().err
    HARMFUL[0](data)
    with pytest.raises(UserError, match="has changed"):
        entry.train("x:Y", options)


def test_the_last_of_several_values_counts(calls, options, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/finished.json").write_text(json.dumps({"max_epoch": 5}))
    entry.train("x:Y", [*options, "--max_epoch", "4", "--max_epoch", "5", "--output_dir", str(tmp_path / "other")])
    assert not calls and not (tmp_path / "exp").exists()


def test_help_reaches_the_task(calls):
    for argv in (["--help"], ["-h"], [], ["--config"]):
        entry.train("x:Y", argv)
    assert len(calls) == 4


def test_data_that_can_only_be_read(begun, calls, options, data, monkeypatch, capsys):
    """Where no facts can be kept it works all the same, and says what it costs."""
    (data / ".wav.scp.facts").unlink()
    (data / ".wav.scp.facts").mkdir()
    entry.train("x:Y", options)
    assert len(calls) == 2 and "are read again the next time" in capsys.readouterr().err
    HARMFUL[0](data)
    with pytest.raises(UserError, match="has changed"):
        entry.train("x:Y", options)


def test_a_finished_training_imports_nothing_slow(begun, options):
    (begun / "finished.json").write_text(json.dumps({"max_epoch": 3}))
    code = (
        "import sys\nfrom hasrd.train.entry import train\ntrain('hasrd.tasks.ssl:SSLTask')\n"
        "sys.exit(bool({'torch', 'espnet2'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code, *options], capture_output=True, text=True)
    assert result.returncode == 0 and "already trained for 3 epochs" in result.stderr, result.stderr


def test_real_training_refuses_other_data_and_goes_on_where_it_is_meant(tasks, corpus, tmp_path):
    """Through the real task: the option is known there, and what was learned is kept."""
    from children import fails, ssl_options, trains, weights

    shutil.copytree(corpus, tmp_path / "corpus")
    for part in ("train", "valid"):
        table = tmp_path / "corpus" / part / "wav.scp"
        table.write_text(table.read_text().replace(str(corpus), str(tmp_path / "corpus")))
    out, log = tmp_path / "exp", tmp_path / "log"

    class Through:
        """The task as an entry point runs it."""

        @staticmethod
        def main(cmd: list[str]) -> None:
            entry.train("hasrd.tasks.ssl:SSLTask", cmd)

    trains(Through, ssl_options(tmp_path / "corpus", out, 1), log)
    path = Path(next(iter(read_table(tmp_path / "corpus/train/wav.scp").values())))
    wave, rate = soundfile.read(path)
    soundfile.write(path, wave[::-1], rate)
    again = ssl_options(tmp_path / "corpus", out, 2)
    assert "the data of train's speech has changed" in fails(Through, again, log)
    trains(Through, [*again, "--accept_changes", "true"], log)
    assert "going on after epoch 1" in log.read_text() and weights(out, "2epoch.pth")
