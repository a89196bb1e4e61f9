# Copyright 2026 The hasrd authors
# Apache-2.0
"""Disk and time of the LibriSpeech recipe's stages, computed from what was measured for a second of speech.

`python -m hasrd.bench.scale` prints the tables of docs/scale.md. Sizes follow from the configurations, times from the
rates below. No GPU was at hand: a training's operations are counted, and its hours are those of a rate that is assumed
(`--tflops`).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

import torch
import yaml

from hasrd.codec.describe import Description, describe
from hasrd.errors import run_main
from hasrd.espnet.probe import BLSTMProbe

CONFIGS = Path(__file__).resolve().parents[2] / "egs2/librispeech/hasrd1/conf"
# Hours of speech of the recipe's sets.
HOURS = {"train-clean-100": 100.6, "train": 960.9, "dev-clean": 5.4, "test-clean": 5.4}
TEST_SETS = ("dev-clean", "test-clean")

# Seconds of one CPU core for a second of speech (docs/speed.md: two threads, float32, so twice its figures).
ENCODE, DECODE = 2 * 0.0544, 2 * 0.1814
# The same for reading FLAC, log-mel, and writing features to an archive.
READ, LOG_MEL, WRITE = 1 / 6900, 1 / 5107, 0.064 / 3600
# Seconds of one core that faiss takes for a frame of 768 numbers, 1024 clusters and one iteration.
KMEANS = 2 * 30 / (200_000 * 20)
# Bytes of a second of FLAC (16 bit, 16 kHz), the corpus's and what is decoded: LibriSpeech's 960 h take 60 GB.
FLAC = 60e9 / (960.9 * 3600)
# Operations of a training step for a second of speech, forward and backward, as torch's FlopCounterMode counts them: of
# pre-training on clips of 2 s (attention adds more for longer ones), of a codec with its discriminators.
SSL_OPERATIONS, CODEC_OPERATIONS = 35.2e9, 311e9

FLOAT32, FLOAT16 = 4, 2
GPUS = 8  # of the paper's pre-training; the codec's batch is one GPU's
ADAM = 3  # a weight and its two moments
PROBES = 6  # hasrd.sh's --probes auto


@dataclass(frozen=True)
class Row:
    """What one stage leaves on the disk and takes of the machine.

    Attributes:
        stage: Its number.
        what: It makes.
        size: In bytes.
        core_seconds: Of a CPU, as far as it was measured; None where it was not.
        operations: Of a training, floating-point.
    """

    stage: int
    what: str
    size: float = 0.0
    core_seconds: float | None = None
    operations: float | None = None


def rows(
    train_set: str,
    ssl: Mapping[str, Any],
    codec: Mapping[str, Any],
    portion: float = 0.1,
    probe_cache_gb: float = 20,
    latent_cache_gb: float = 20,
) -> list[Row]:
    """Return the rows of all stages of the recipe.

    Args:
        train_set: "train" (960 h) or "train-clean-100"; k-means and probes always take train-clean-100.
        ssl: Configuration of the pre-training.
        codec: Configuration of the codec on its encoder.
        portion: Of train-clean-100, for k-means.
        probe_cache_gb: hasrd.sh's `--probe_cache_gb`.
        latent_cache_gb: Its `--latent_cache_gb`.
    """
    small = HOURS["train-clean-100"] * 3600
    train, test = HOURS[train_set] * 3600, sum(HOURS[name] for name in TEST_SETS) * 3600
    every = train + test  # train-clean-100 is a part of the 960 h
    encoder, tokenizer = describe(ssl), describe(codec)
    dim, layers = codec["encoder_conf"]["attention_dim"], codec["encoder_conf"]["num_blocks"] + 1
    tokens = tokenizer.frame_rate
    frames = portion * small * tokens
    iterations = 30  # of hasrd.bin.kmeans
    stored, whole = (seconds * tokens * layers * dim * FLOAT16 for seconds in (small, train))
    codes = tokens * tokenizer.num_codebooks * FLOAT32
    with torch.device("meta"):
        probe = sum(parameter.numel() for parameter in BLSTMProbe(dim).parameters())
    fits, kept = stored <= probe_cache_gb * 1e9, whole <= latent_cache_gb * 1e9
    versions = 2 + len(tokenizer.streams) + 4  # all, shuffled, each stream, 1, 2, 4 and 8 codebooks
    ssl_seconds = GPUS * steps_of(ssl) * ssl["batch_bins"] / (features() / FLOAT32)
    codec_seconds = steps_of(codec) * codec["batch_size"] * codec["segment"] / tokenizer.sample_rate
    return [
        Row(1, "speech, FLAC (the corpus); to read all of it", every * FLAC, every * READ),
        Row(2, "log-mel, float32 (`--feats_type raw`: none)", every * features(), every * (READ + LOG_MEL + WRITE)),
        Row(3, "checkpoints of the pre-training", checkpoints(encoder), None, ssl_seconds * SSL_OPERATIONS),
        Row(4, f"layers for the layer probe: {size_of(stored)} GB, {'stored' if fits else 'computed in each step'}",
            stored * fits, small * ENCODE if fits else None),
        Row(4, f"frames for k-means, {100 * portion:.0f}% of train-clean-100", frames * dim * FLOAT32,
            portion * small * ENCODE + frames * iterations * KMEANS),
        Row(5, f"latents for the codec's training: {size_of(whole)} GB, "
            f"{'stored' if kept else 'computed in each step'}",
            whole * kept, train * ENCODE if kept else None),
        Row(5, "checkpoints of the codec", checkpoints(tokenizer), None, codec_seconds * CODEC_OPERATIONS),
        Row(6, f"codes of the test sets, decoded in {versions} versions", test * (codes + versions * FLAC),
            test * (ENCODE + versions * DECODE)),
        Row(6, "codes of the training set, if it has word alignments", train * codes, train * ENCODE),
        Row(7, "latents and codes of train-clean-100 and the test sets",
            (small + test) * (tokens * dim * FLOAT32 + codes), (small + test) * ENCODE),
        Row(7, f"checkpoints of {PROBES} probes", PROBES * saved_bytes(probe)),
    ]  # fmt: skip


def features() -> float:
    """Bytes of a second of log-mel features: 125 frames of 80 numbers."""
    return 125 * 80 * FLOAT32


def steps_of(config: Mapping[str, Any]) -> int:
    """Batches of one process in a whole training."""
    return config["max_epoch"] * config["num_iters_per_epoch"]


def checkpoints(model: Description) -> float:
    """Bytes of what a training of a model keeps; a frozen encoder is in no checkpoint, a discriminator is."""
    frozen = model.parameters["encoder"] if model.frozen_encoder else 0
    return saved_bytes(model.parameters["total"] - frozen + (model.parameters.get("discriminator") or 0))


def saved_bytes(parameters: int) -> float:
    """Bytes of `checkpoint.pth` (weights and Adam's moments) and of the weights of the last and of the best epoch."""
    return FLOAT32 * parameters * (ADAM + 2)


def size_of(value: float) -> str:
    """Gigabytes of 10^9 bytes."""
    return f"{value / 1e9:.1f}" if value < 1e11 else f"{value / 1e9:.0f}"


def hours_of(seconds: float | None) -> str:
    """Hours; what was not measured is a dash."""
    if seconds is None:
        return "-"
    return f"{seconds / 3600:.1f}" if seconds < 360_000 else f"{seconds / 3600:.0f}"


def table(found: list[Row], tflops: float) -> str:
    """The rows as a Markdown table; `tflops` is what one GPU is assumed to reach in training."""
    lines = ["| stage | makes | disk, GB | CPU core hours | GPU hours |", "|---|---|---|---|---|"]
    for row in found:
        gpu = "" if row.operations is None else hours_of(row.operations / (tflops * 1e12))
        cpu = "" if row.core_seconds is None else hours_of(row.core_seconds)
        lines.append(f"| {row.stage} | {row.what} | {size_of(row.size)} | {cpu} | {gpu} |")
    total = sum(row.size for row in found)
    cpu = sum(row.core_seconds or 0.0 for row in found)
    gpu = sum(row.operations or 0.0 for row in found) / (tflops * 1e12)
    lines.append(f"| | all | {size_of(total)} | {hours_of(cpu)} | {hours_of(gpu)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables of both training sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tflops", type=float, default=100.0, help="10^12 operations a second that a GPU trains with")
    args = parser.parse_args()
    ssl, codec = (
        yaml.safe_load((CONFIGS / f"train_{name}.yaml").read_text(encoding="utf-8")) for name in ("ssl", "codec")
    )
    for name in ("train-clean-100", "train"):
        print(f"`--train_set {name}` ({HOURS[name]:.0f} h):\n")
        print(table(rows(name, ssl, codec), args.tflops) + "\n")


if __name__ == "__main__":
    run_main(main)
