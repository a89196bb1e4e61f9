# Copyright 2026 The hasrd authors
# Apache-2.0
"""The directories of asr2: read back, and trained on by ESPnet."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.units.export import read_export

DEDUP = ("--streams", "semantic", "--dedup")


def export(run_export, sets, out, *words):
    folders, data, _ = sets
    run_export(*folders, "--data", *data, "--format", "asr2", "--out", out, *words)


@pytest.mark.parametrize("words", [DEDUP, (*DEDUP, "--bpe", "60"), ()], ids=["rm", "bpe", "all streams"])
def test_the_codes_come_back(run_export, filled, assert_restored, tmp_path, words):
    export(run_export, filled, tmp_path / "out", *words)
    assert_restored(tmp_path / "out", filled[2], [0] if words else slice(None))
    case = "rm" if words else "ts"
    train = tmp_path / "out/data/train"
    text = read_table(train / f"text.{case}.hasrd")
    if words:
        # As the recipe's awk writes them.
        codes = filled[2]["train"]["train-0.a"][:, 0]
        kept = [codes[0], *(b for a, b in zip(codes, codes[1:]) if a != b)]
        assert text["train-0.a"] == "".join(chr(0x4E00 + code) for code in kept)
    assert read_table(train / "text.ts.en") == read_table(train / "text")
    assert read_table(train / "utt2spk")["train-2.a"] == "speaker2"
    source = (tmp_path / "out/token_list/src.txt").read_text().splitlines()
    assert source[:2] == ["<blank>", "<unk>"] and source[-1] == "<sos/eos>"
    assert set("".join(text.values())) <= set("".join(source))


def test_what_it_needs(run_export, token_sets, tmp_path):
    folders, data, _ = token_sets
    with pytest.raises(UserError, match="no units, which ESPnet"):
        export(run_export, token_sets, tmp_path / "out", *DEDUP)
    with pytest.raises(UserError, match="--data"):
        run_export(*folders, "--format", "asr2", "--out", tmp_path / "out")
    with pytest.raises(UserError, match="takes --kind flat, not delay"):
        export(run_export, token_sets, tmp_path / "out", "--kind", "delay")
    with pytest.raises(UserError, match="cannot be the name of a file"):
        export(run_export, token_sets, tmp_path / "out", "--lang", "../x")
    (data[1] / "utt2spk").unlink()
    with pytest.raises(UserError, match="utt2spk"):
        export(run_export, token_sets, tmp_path / "out")


def test_unknown_characters_are_refused(run_export, filled, tmp_path):
    export(run_export, filled, tmp_path / "out", *DEDUP)
    path = tmp_path / "out/data/train/text.rm.hasrd"
    path.write_text(path.read_text().replace("\u4e01", "x"))
    with pytest.raises(UserError, match="text.rm.hasrd:.*stands for no unit"):
        list(read_export(tmp_path / "out"))


@pytest.mark.timeout(180)
def test_espnet_trains_on_it(run_export, filled, tmp_path):
    out, exp = tmp_path / "out", tmp_path / "exp"
    export(run_export, filled, out, *DEDUP, "--bpe", "60")
    small = "output_size=16 attention_heads=2 linear_units=16 num_blocks=1".split()
    command = [sys.executable, "-m", "espnet2.bin.mt_train", "--output_dir", exp, "--ngpu", "0", "--num_workers", "0"]
    command += ["--token_type", "char", "--token_list", out / "token_list/tgt.txt", "--src_token_type", "bpe"]
    command += [
        "--src_bpemodel",
        out / "bpe.model",
        "--src_token_list",
        out / "token_list/src.txt",
        "--model",
        "discrete_asr",
        "--frontend",
        "embed",
    ]
    command += ["--model_conf", "share_decoder_input_output_embed=false", "--model_conf", "ctc_weight=0.3"]
    command += ["--model_conf", "share_encoder_decoder_input_embed=false", "--frontend_conf", "embed_dim=16"]
    command += ["--encoder", "transformer", "--encoder_conf", "input_layer=linear", "--decoder", "transformer"]
    for word in small:
        command += ["--encoder_conf", word]
    command += ["--decoder_conf", "num_blocks=1", "--decoder_conf", "linear_units=16"]
    command += ["--max_epoch", "1", "--batch_type", "unsorted", "--batch_size", "3", "--use_tensorboard", "false"]
    command += ["--use_matplotlib", "false", "--optim", "adam"]
    for part, name in (("train", "train"), ("valid", "test-clean")):
        data = out / "data" / name
        for table, key in (("text.ts.en", "text"), ("text.rm.hasrd", "src_text")):
            command += [f"--{part}_data_path_and_name_and_type", f"{data / table},{key},text"]
        command += [f"--{part}_shape_file", data / "text"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    weights = torch.load(exp / "1epoch.pth", map_location="cpu", weights_only=True)
    count = len((out / "token_list/src.txt").read_text().splitlines())
    assert count in [value.shape[0] for name, value in weights.items() if "frontend" in name]
    assert all(np.isfinite(value.numpy()).all() for value in weights.values())
