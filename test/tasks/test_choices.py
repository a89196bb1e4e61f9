# Copyright 2026 The hasrd authors
# Apache-2.0
"""The three tasks: classes by import path, a clear line for an unknown one, and `--print_config`."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from children import codec_options, error_of, finish, ssl_options, start, weights, write_corpus

from hasrd.data.features import dump_features
from hasrd.espnet.layer_choice import LOGITS, layer_weights
from hasrd.frontend.normalize import GlobalNorm
from hasrd.train.entry import load_task

TASKS = {"ssl": "hasrd.tasks.ssl:SSLTask", "codec": "hasrd.tasks.codec:CodecTask", "asr": "hasrd.tasks.asr:ASRTask"}
CNN = "{channels: [8, 8, 16], output_size: 16}"
MODELS = """
from hasrd.encoder.cnn import LogMelCNN

class Mine(LogMelCNN):
    pass
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    write_corpus(root, {"train": 4, "valid": 2})
    (root / "tokens.txt").write_text("<blank>\n<unk>\n<space>\nA\nB\n<sos/eos>\n")
    return root


@pytest.fixture
def mine(tmp_path: Path, monkeypatch) -> str:
    """Import path of an encoder that lies outside the package."""
    (tmp_path / "models_of_my_own.py").write_text(MODELS)
    monkeypatch.syspath_prepend(tmp_path)
    return "models_of_my_own:Mine"


def ssl_with(corpus: Path, out: Path, encoder: str) -> tuple[type, list[str]]:
    argv = ssl_options(corpus, out, 1)
    while "--encoder_conf" in argv:
        at = argv.index("--encoder_conf")
        del argv[at : at + 2]
    return load_task(TASKS["ssl"]), [*argv, "--encoder", encoder, "--encoder_conf", CNN]


def codec_with(corpus: Path, out: Path, encoder: str) -> tuple[type, list[str]]:
    return load_task(TASKS["codec"]), [*codec_options(corpus, out, 1), "--encoder", encoder]


def asr_options(corpus: Path, out: Path, encoder_file: Path) -> list[str]:
    """A CTC probe on the learned mix of a frozen encoder's layers."""
    argv = [
        "--output_dir", str(out), "--max_epoch", "1", "--num_workers", "0", "--use_tensorboard", "false",
        "--use_matplotlib", "false", "--num_att_plot", "0", "--keep_nbest_models", "1",
        "--token_type", "char", "--token_list", str(corpus / "tokens.txt"), "--normalize", "none",
        "--frontend", "upstream", "--frontend_conf", f"encoder_file={encoder_file}",
        "--model_conf", "{ctc_weight: 1.0, extract_feats_in_collect_stats: false}",
        "--batch_type", "unsorted", "--batch_size", "4", "--optim", "adam",
        "--best_model_criterion", "['valid', 'loss', 'min']",
    ]  # fmt: skip
    for part in ("train", "valid"):
        argv += [
            f"--{part}_data_path_and_name_and_type", f"{corpus}/{part}/wav.scp,speech,sound",
            f"--{part}_data_path_and_name_and_type", f"{corpus}/{part}/text,text,text",
            f"--{part}_shape_file", f"{corpus}/{part}/utt2num_samples",
        ]  # fmt: skip
    return argv


def asr_with(corpus: Path, out: Path, encoder: str, encoder_file: Path) -> tuple[type, list[str]]:
    return load_task(TASKS["asr"]), [
        *asr_options(corpus, out, encoder_file), "--encoder", encoder, "--encoder_conf", CNN,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", TASKS)
def test_an_encoder_by_its_import_path(kind, corpus, mine, encoder_file, tmp_path):
    out, log = tmp_path / "exp", tmp_path / "log"
    task, argv = {
        "ssl": lambda: ssl_with(corpus, out, mine),
        "codec": lambda: codec_with(corpus, out, mine),
        "asr": lambda: asr_with(corpus, out, mine, encoder_file),
    }[kind]()
    finish(start(task, argv, log), log)
    assert "Mine" in log.read_text(), "the log shows the model"
    assert yaml.safe_load((out / "config.yaml").read_text())["encoder"] == mine
    assert any("encoder" in name and "snake" not in name for name in weights(out))


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize(
    "name, message",
    [
        ("no_such", "unknown class 'no_such': choose one of .*cnn_conformer"),
        ("no_such_module:Mine", "no module named 'no_such_module'"),
        ("models_of_my_own:Yours", "has no class 'Yours'"),
    ],
)
def test_an_unknown_class_is_one_line(kind, name, message, corpus, mine, encoder_file, tmp_path):
    out, log = tmp_path / "exp", tmp_path / "log"
    task, argv = {
        "ssl": lambda: ssl_with(corpus, out, name),
        "codec": lambda: codec_with(corpus, out, name),
        "asr": lambda: asr_with(corpus, out, name, encoder_file),
    }[kind]()
    process = start(task, argv, log)
    process.join(240)
    assert process.exitcode == 1, log.read_text()[-2000:]
    assert re.search(message, error_of(log)), error_of(log)


def test_segments_that_could_not_be_brought_to_the_level_are_refused(corpus, tmp_path):
    log = tmp_path / "log"
    task, argv = codec_with(corpus, tmp_path / "exp", "log_mel_cnn")
    process = start(task, [*argv, "--iterator_type", "chunk", "--chunk_length", "8000"], log)
    process.join(240)
    assert process.exitcode == 1 and "not with iterator_type: chunk" in error_of(log), log.read_text()[-2000:]


@pytest.mark.parametrize("kind", TASKS)
def test_print_config(kind):
    out = io.StringIO()
    load_task(TASKS[kind]).print_config(out)
    config = yaml.safe_load(out.getvalue())
    assert config["max_epoch"] and config["resume"] is True
    assert {"encoder", "encoder_conf", "optim", "batch_type"} <= set(config)


def test_layer_weights_of_a_probe(corpus, encoder_file, tmp_path):
    """The probe of stage 4: a learned mix over frozen layers, from which choose_layer reads."""
    out, log = tmp_path / "exp", tmp_path / "log"
    argv = asr_options(corpus, out, encoder_file) + [
        "--encoder", "blstm_probe", "--encoder_conf", "{projection_size: 8, hidden_size: 8, num_layers: 1}",
    ]  # fmt: skip
    finish(start(load_task(TASKS["asr"]), argv, log), log)
    saved = weights(out)
    assert not [name for name in saved if name.startswith("frontend.") and name != LOGITS], "the encoder stays outside"
    assert saved[LOGITS].abs().sum() > 0, "the mix is learned"
    values = layer_weights(out, "latest.pth")
    assert len(values) == 3 and sum(values) == pytest.approx(1)


def test_global_statistics_are_those_of_the_dump(tmp_path):
    """ESPnet's statistics collection and stage 2 give the same; `--normalize global` takes both."""
    root, log = tmp_path / "data", tmp_path / "log"
    write_corpus(root, {"train": 4, "valid": 2})
    for part in ("train", "valid"):
        names = [line.split()[0] for line in (root / part / "wav.scp").read_text().splitlines()]
        (root / part / "utt2spk").write_text("".join(f"{name} {part}\n" for name in names))
    argv = ssl_options(root, tmp_path / "stats", 1) + ["--collect_stats", "true"]
    finish(start(load_task(TASKS["ssl"]), argv, log), log)
    dump_features(root / "train", tmp_path / "dump")
    theirs, ours = (np.load(path) for path in (tmp_path / "stats/train/feats_stats.npz", tmp_path / "dump/cmvn.npz"))
    assert int(theirs["count"]) == int(ours["count"])
    for key in ("sum", "sum_square"):
        np.testing.assert_allclose(theirs[key], ours[key], rtol=1e-4)
    first = GlobalNorm.from_stats(tmp_path / "stats/train/feats_stats.npz")
    second = GlobalNorm.from_stats(tmp_path / "dump/cmvn.npz")
    np.testing.assert_allclose(first.mean, second.mean, atol=1e-3)
    np.testing.assert_allclose(first.std, second.std, atol=1e-3)
