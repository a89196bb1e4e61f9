# Copyright 2026 The hasrd authors
# Apache-2.0
"""Our encoder as the frontend of ESPnet's own programs, called as a stock recipe calls them."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from children import write_corpus

ROOT = Path(__file__).parents[2]
# The beginning of asr.sh's `${python}`.
PYTHON = [sys.executable, "-m", "hasrd.espnet"]
CONFIG = {
    "frontend": "upstream",
    "encoder": "rnn",
    "encoder_conf": {"num_layers": 1, "hidden_size": 8, "output_size": 8, "bidirectional": False},
    "decoder": "rnn",
    "decoder_conf": {"num_layers": 1, "hidden_size": 8},
    "model_conf": {"ctc_weight": 0.5, "extract_feats_in_collect_stats": False},
    "normalize": None,
    "optim": "adam",
    "optim_conf": {"lr": 0.01},
    "batch_type": "unsorted",
    "batch_size": 2,
    "max_epoch": 1,
    "num_workers": 0,
    "num_att_plot": 0,
    "use_matplotlib": False,
    "use_tensorboard": False,
    "keep_nbest_models": 1,
    "best_model_criterion": [["valid", "loss", "min"]],
}  # fmt: skip


def write_speech(root: Path) -> None:
    """Data directories train and valid: two utterances each, of LibriSpeech where that is at hand."""
    folder = Path(os.environ.get("LIBRISPEECH", "none"), "test-clean")
    speech = sorted(folder.glob("*/*/*.flac"), key=lambda path: path.stat().st_size)[:4]
    if len(speech) < 4:
        write_corpus(root, {"train": 2, "valid": 2})
        return
    for name, paths in (("train", speech[:2]), ("valid", speech[2:])):
        (root / name).mkdir(parents=True)
        texts = {}
        for path in paths:
            chapter = "-".join(path.stem.split("-")[:2])
            lines = path.with_name(f"{chapter}.trans.txt").read_text().splitlines()
            texts |= dict(line.split(" ", 1) for line in lines)
        tables = {
            "wav.scp": {path.stem: path for path in paths},
            "text": {path.stem: texts[path.stem] for path in paths},
        }
        for table, rows in tables.items():
            (root / name / table).write_text("".join(f"{utterance} {rows[utterance]}\n" for utterance in sorted(rows)))


def run(*words: object) -> str:
    """Run a program as a recipe does; what it printed."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*PYTHON, *map(str, words)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


def data(root: Path, part: str) -> list[str]:
    files = (f"{root}/{part}/wav.scp,speech,sound", f"{root}/{part}/text,text,text")
    options = [word for file in files for word in (f"--{part}_data_path_and_name_and_type", file)]
    return [*options, f"--{part}_shape_file", f"{root}/{part}/wav.scp"]


def test_asr_train_and_asr_inference(encoder_file, tmp_path):
    """ESPnet trains on the mix of our layers, saves its weights but not our encoder, and decodes with them."""
    write_speech(tmp_path)
    exp = tmp_path / "exp"
    tokens = ["<blank>", "<unk>", "<space>", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'", "<sos/eos>"]
    (tmp_path / "tokens.txt").write_text("".join(f"{token}\n" for token in tokens))
    (tmp_path / "train.yaml").write_text(
        yaml.safe_dump({**CONFIG, "frontend_conf": {"encoder_file": str(encoder_file)}})
    )
    run(
        "-m", "espnet2.bin.asr_train", "--config", tmp_path / "train.yaml", "--frontend_conf", "fs=16k",
        "--token_type", "char", "--token_list", tmp_path / "tokens.txt", "--output_dir", exp,
        *data(tmp_path, "train"), *data(tmp_path, "valid"),
    )  # fmt: skip
    saved = torch.load(exp / "latest.pth", weights_only=True)
    assert [name for name in saved if name.startswith("frontend.")] == ["frontend.layer_logits"]
    assert saved["frontend.layer_logits"].abs().sum() > 0, "the mix has learned"
    run(
        "-m", "espnet2.bin.asr_inference", "--asr_train_config", exp / "config.yaml",
        "--asr_model_file", exp / "latest.pth", "--output_dir", tmp_path / "decoded", "--beam_size", 2,
        "--maxlenratio", -5, "--data_path_and_name_and_type", f"{tmp_path}/valid/wav.scp,speech,sound",
    )  # fmt: skip
    heard = (tmp_path / "decoded/1best_recog/text").read_text().splitlines()
    wanted = (tmp_path / "valid/wav.scp").read_text().splitlines()
    assert [line.split()[0] for line in heard] == [line.split()[0] for line in wanted]


def test_what_is_no_asr_program_is_handed_on(tmp_path):
    """A recipe calls its Python also for scripts and for other modules."""
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint(sys.argv[1:], 'hasrd.tasks.asr' in sys.modules)\n")
    assert run(script, "-m", "a").splitlines()[-1] == "['-m', 'a'] False"
    assert run("-c", "print(2 + 3)").strip() == "5"


def test_a_process_that_espnet_spawns_knows_the_names():
    """multiprocessing runs the main module again there, under this name."""
    asr = pytest.importorskip("espnet2.tasks.asr")
    runpy.run_module("hasrd.espnet.__main__", run_name="__mp_main__")
    for choices, names in (
        (asr.frontend_choices, ("upstream", "layer_mix")), (asr.encoder_choices, ("cnn_conformer", "blstm_probe")),
    ):  # fmt: skip
        for name in names:
            assert issubclass(choices.get_class(name), choices.base_type)
    assert asr.encoder_choices.get_class("whisper").__module__.startswith("espnet2."), "ESPnet's own stay"
