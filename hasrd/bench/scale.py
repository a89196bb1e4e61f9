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

# Parameters of what was measured: HASRD at full size, its pre-training with the head, the encoder, the codec in all.
MEASURED_SSL, MEASURED_ENCODER, MEASURED_CODEC = 108_774_656, 102_475_008, 141_317_583

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


@dataclass(frozen=True)
class Speech:
    """Seconds of speech that the stages of a recipe read, and the names of sets.

    Attributes:
        every: Of all sets, each once.
        train: The codec's training set.
        kmeans: The set of k-means and of the layer probe.
        probes: The sets that probes are trained and decoded on, each once.
        test: The test sets.
        kmeans_set, probe_set: The names of two training sets.
    """

    every: float
    train: float
    kmeans: float
    probes: float
    test: float
    kmeans_set: str = "train"
    probe_set: str = "train"


def rows(
    train_set: str,
    ssl: Mapping[str, Any],
    codec: Mapping[str, Any],
    portion: float = 0.1,
    probe_cache_gb: float = 20,
    latent_cache_gb: float = 20,
) -> list[Row]:
    """Return the rows of all stages of the LibriSpeech recipe.

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
    # train-clean-100 is a part of the 960 h.
    speech = Speech(train + test, train, small, small + test, test, "train-clean-100", "train-clean-100")
    conf = codec["encoder_conf"]
    width, layers = conf["attention_dim"], conf["num_blocks"] + 1
    encoder, tokenizer = describe(ssl), describe(codec)
    return [
        *first_rows(speech),
        *encoder_rows(speech, ssl, encoder, gpus=GPUS),
        *kmeans_rows(speech, encoder, width, layers, portion, probe_cache_gb),
        *latent_rows(speech, tokenizer, width, layers, latent_cache_gb),
        *codec_rows(speech, codec, tokenizer),
        *probe_rows(speech, tokenizer, width, PROBES),
    ]


def first_rows(speech: Speech, stored: bool = True) -> list[Row]:
    """Return the rows of stages 1 and 2; `stored`: whether log-mel features are."""
    found = [Row(1, "speech, FLAC (the corpus); to read all of it", speech.every * FLAC, speech.every * READ)]
    if stored:
        seconds = speech.every * (READ + LOG_MEL + WRITE)
        found.append(Row(2, "log-mel, float32 (`--feats_type raw`: none)", speech.every * features(), seconds))
    return found


def encoder_rows(
    speech: Speech, config: Mapping[str, Any], model: Description, gpus: int = 1, values_a_second: float | None = None
) -> list[Row]:
    """Return the row of stage 3.

    Args:
        speech: What is read.
        config: Configuration of the pre-training.
        model: What it builds; operations are counted for the size that they were measured of alone.
        gpus: That train together.
        values_a_second: Of `batch_bins`; None: log-mel.
    """
    operations = None
    if model.parameters["total"] == MEASURED_SSL and _are_counts(config, "num_iters_per_epoch", "batch_bins"):
        seconds = config["batch_bins"] / (values_a_second or features() / FLOAT32)
        operations = gpus * steps_of(config) * seconds * SSL_OPERATIONS
    return [Row(3, "checkpoints of the pre-training", checkpoints(model), None, operations)]


def kmeans_rows(
    speech: Speech,
    encoder: Description,
    width: int,
    layers: int,
    portion: float,
    probe_cache_gb: float,
    clusters: int = 1024,
    layer_probe: bool = True,
) -> list[Row]:
    """Return the rows of stage 4.

    Args:
        speech: What is read.
        encoder: The frozen one.
        width: Numbers of a latent.
        layers: How many the encoder has.
        portion: Of the set of k-means.
        probe_cache_gb: hasrd.sh's `--probe_cache_gb`.
        clusters: Of k-means; times were measured for 1024.
        layer_probe: Whether a probe chooses the layer.
    """
    measured = encoder.parameters["encoder"] == MEASURED_ENCODER
    found = []
    if layer_probe:
        found.append(_cached(4, "layers for the layer probe", speech.kmeans, encoder, width * layers, probe_cache_gb))
    frames = portion * speech.kmeans * encoder.frame_rate
    iterations = 30  # of hasrd.bin.kmeans
    seconds = portion * speech.kmeans * ENCODE + frames * iterations * KMEANS
    what = f"frames for k-means, {100 * portion:.0f}% of {speech.kmeans_set}"
    found.append(Row(4, what, frames * width * FLOAT32, seconds if measured and clusters == 1024 else None))
    return found


def latent_rows(speech: Speech, model: Description, width: int, layers: int, latent_cache_gb: float) -> list[Row]:
    """Return the row of what a codec is trained on that stands on a frozen encoder.

    Args:
        speech: What is read.
        model: The codec.
        width: Numbers of a latent.
        layers: How many the encoder has.
        latent_cache_gb: hasrd.sh's `--latent_cache_gb`.
    """
    return [_cached(5, "latents for the codec's training", speech.train, model, width * layers, latent_cache_gb)]


def _cached(stage: int, what: str, seconds: float, model: Description, values: int, most_gb: float) -> Row:
    """The row of a cache, of so many values a token for so many seconds; one that would be larger is not written."""
    stored = seconds * model.frame_rate * values * FLOAT16
    fits = stored <= most_gb * 1e9
    measured = model.parameters["encoder"] == MEASURED_ENCODER
    what = f"{what}: {size_of(stored)} GB, {'stored' if fits else 'computed in each step'}"
    return Row(stage, what, stored * fits, seconds * ENCODE if fits and measured else None)


def _are_counts(config: Mapping[str, Any], *names: str) -> bool:
    """Whether a configuration states these numbers, of which the speech of a step follows."""
    return all(isinstance(config.get(name), int) for name in names)


def codec_rows(
    speech: Speech, config: Mapping[str, Any], model: Description, versions: int | None = None, aligned: bool = True
) -> list[Row]:
    """Return the rows of stages 5 and 6.

    Args:
        speech: What is read.
        config: Configuration of the codec.
        model: What it builds; times and operations are those of the size that they were measured of alone.
        versions: How often the test sets are decoded; None: from all tokens, shuffled ones, each stream, and 1, 2, 4
            and 8 codebooks.
        aligned: Whether the training set has word alignments, or may have.
    """
    measured = model.parameters["total"] == MEASURED_CODEC
    codes = code_bytes(model)
    if versions is None:
        versions = 2 + len(model.streams) + 4
    operations = None
    if measured and _are_counts(config, "num_iters_per_epoch", "batch_size", "segment"):
        seconds = steps_of(config) * config["batch_size"] * config["segment"] / model.sample_rate
        operations = seconds * CODEC_OPERATIONS
    found = [
        Row(5, "checkpoints of the codec", checkpoints(model), None, operations),
        Row(6, f"codes of the test sets, decoded in {versions} versions", speech.test * (codes + versions * FLAC),
            speech.test * (ENCODE + versions * DECODE) if measured else None),
    ]  # fmt: skip
    if aligned:
        what = "codes of the training set, if it has word alignments"
        found.append(Row(6, what, speech.train * codes, speech.train * ENCODE if measured else None))
    return found


def probe_rows(speech: Speech, model: Description, width: int, probes: int) -> list[Row]:
    """Return the rows of stage 7.

    Args:
        speech: What is read.
        model: The codec, or, without one, the encoder.
        width: Numbers of a latent.
        probes: How many are trained.
    """
    from hasrd.espnet.probe import BLSTMProbe

    with torch.device("meta"):
        probe = sum(parameter.numel() for parameter in BLSTMProbe(width).parameters())
    size = speech.probes * (model.frame_rate * width * FLOAT32 + code_bytes(model))
    seconds = speech.probes * ENCODE if model.parameters["encoder"] == MEASURED_ENCODER else None
    return [
        Row(7, f"latents and codes of {speech.probe_set} and the test sets", size, seconds),
        Row(7, f"checkpoints of {probes} probes", probes * saved_bytes(probe)),
    ]


def code_bytes(model: Description) -> float:
    """Bytes of a second's codes; an encoder alone has those of its k-means."""
    return model.frame_rate * (model.num_codebooks or 1) * FLOAT32


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
