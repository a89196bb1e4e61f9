# Copyright 2026 The hasrd authors
# Apache-2.0
"""Small trainings of probes, in children of the test (see test/train/children.py)."""

from __future__ import annotations

from pathlib import Path

from children import error_of, finish, start, write_corpus

from hasrd.train.entry import load_task

TOKENS = ("<blank>", "<unk>", "<space>", "A", "B", "<sos/eos>")


def write_probe_corpus(root: Path, train_size: int) -> Path:
    """Write data directories train and valid of modulated noise, with the probe's tokens."""
    write_corpus(root, {"train": train_size, "valid": 2})
    (root / "tokens.txt").write_text("".join(f"{token}\n" for token in TOKENS))
    return root


def options(corpus: Path, out: Path, *words: str, scp: str = "wav.scp", kind: str = "sound") -> list[str]:
    """Options of a CTC probe of two steps an epoch; `scp` lies in the folder of each set."""
    argv = [
        "--output_dir", str(out), "--max_epoch", "2", "--num_workers", "0", "--use_tensorboard", "false",
        "--use_matplotlib", "false", "--num_att_plot", "0", "--keep_nbest_models", "1",
        "--token_type", "char", "--token_list", str(corpus / "tokens.txt"), "--normalize", "none",
        "--model_conf", "{ctc_weight: 1.0, extract_feats_in_collect_stats: false}",
        "--encoder", "blstm_probe", "--encoder_conf", "{projection_size: 8, hidden_size: 8, num_layers: 1}",
        "--batch_type", "sorted", "--batch_size", "4", "--optim", "adam", "--optim_conf", "lr=0.01",
        "--best_model_criterion", "['valid', 'loss', 'min']", *map(str, words),
    ]  # fmt: skip
    for part in ("train", "valid"):
        argv += [
            f"--{part}_data_path_and_name_and_type", f"{corpus}/{part}/{scp},speech,{kind}",
            f"--{part}_data_path_and_name_and_type", f"{corpus}/{part}/text,text,text",
            f"--{part}_shape_file", f"{corpus}/{part}/utt2num_samples",
        ]  # fmt: skip
    return argv


def train(argv: list[str], log: Path) -> str:
    """Train a probe; what it printed."""
    finish(start(load_task("hasrd.tasks.asr:ASRTask"), argv, log), log)
    return log.read_text()


def fail(argv: list[str], log: Path) -> str:
    """Train what can't be trained; the one line that says why."""
    process = start(load_task("hasrd.tasks.asr:ASRTask"), argv, log)
    process.join(240)
    assert process.exitcode == 1, log.read_text()[-2000:]
    return error_of(log)
