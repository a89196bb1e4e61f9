# Copyright 2026 The hasrd authors
# Apache-2.0
"""A small experiment folder, scored for real: audio, tokens and texts in, score files out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Mapping

import numpy as np
import soundfile

from hasrd.bin.score import main as score
from hasrd.data.archive import write_archive
from hasrd.data.kaldi import write_table

SIZES = (16, 8, 8)
STREAMS = ("semantic", "acoustic", "acoustic")


def tones(count: int = 4, seed: int = 0) -> dict[str, np.ndarray]:
    """Return `count` utterances of syllable-like tones, about 2 to 3 s at 16 kHz."""
    generator = np.random.default_rng(seed)
    waves = {}
    for index in range(count):
        parts = []
        for _ in range(8 + index):
            time = np.arange(int(generator.integers(3000, 5000))) / 16000
            pitch = generator.uniform(110, 220)
            harmonics = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))
            parts.append(0.1 * harmonics * np.sin(np.pi * time / time[-1]) ** 2)
        waves[f"utt{index}"] = np.concatenate(parts).astype(np.float32)
    return waves


def make_exp(
    root: Path, waves: Mapping[str, np.ndarray], texts: Mapping[str, str], test_set: str = "test"
) -> None:
    """Write `root`/data and `root`/exp, scores of every measure but speaker similarity included."""
    generator = np.random.default_rng(1)
    data, codec = root / "data" / test_set, root / "exp" / "codec_small"
    _audio(data, waves)
    write_table(data / "text", texts)
    (root / "data" / "licence").write_text("CC BY 4.0\n")
    versions = {
        "combined": lambda x: x + 1e-4 * generator.standard_normal(len(x)),
        "semantic": lambda x: (
            np.convolve(x, np.ones(9) / 9, "same") + 0.01 * generator.standard_normal(len(x))
        ),
        "acoustic": lambda x: 0.6 * np.roll(x, 4000) + 0.01 * generator.standard_normal(len(x)),
        "shuffled": lambda x: x[::-1] + 0.01 * generator.standard_normal(len(x)),
    }
    systems, hypotheses, outs = [], [], []
    for version, make in versions.items():
        folder = codec / "decode" / test_set / version
        _audio(folder, {utt: make(wave).astype(np.float32) for utt, wave in waves.items()})
        systems.append(version)
        hypotheses.append(str(folder / "wav.scp"))
        outs.append(str(codec / "scores" / test_set / version))
    common = ["--test_set", test_set]
    reference = ["--ref", str(data / "wav.scp")]
    score(
        [
            "mel,stft",
            *common,
            *reference,
            "--system",
            *systems,
            "--hyp",
            *hypotheses,
            "--out",
            *outs,
        ]
    )
    whole = ["--out", str(codec / "scores" / test_set)]
    score(["mean_spectrum", *common, *reference, "--system", "mean_spectrum", *whole])
    codes = {
        utt: np.stack([generator.integers(size, size=len(wave) // 512) for size in SIZES], 1)
        for utt, wave in waves.items()
    }
    score(
        [
            "codebook,bitrate",
            *common,
            "--system",
            "codec",
            *whole,
            "--codes",
            _archive(codec / "tokens" / test_set / "codes", codes),
            "--codebook_sizes",
            ",".join(map(str, SIZES)),
            "--stream_names",
            ",".join(STREAMS),
            "--frame_rate",
            "31.25",
        ]
    )
    # No probe reads the acoustic tokens: a report must show that as missing.
    probes = {
        "log_mel": 0.3,
        "latent": 0.1,
        "latent_shuffled": 0.8,
        "tokens_semantic": 0.15,
        "tokens_all": 0.2,
    }
    for system, errors in probes.items():
        _probe(root / "exp" / f"probe_{system}", system, errors, texts, data, test_set, generator)
    pairs = {
        utt: generator.integers(12, size=(len(wave) // 1024, 2)) for utt, wave in waves.items()
    }
    for array in pairs.values():
        array[::2, 1] = array[::2, 0]
    ssl = root / "exp" / "ssl_small"
    masked = _archive(ssl / "masked" / test_set / "masked", pairs)
    score(
        [
            "masked_accuracy",
            *common,
            "--system",
            "ssl",
            "--masked",
            masked,
            "--out",
            str(ssl / "scores" / test_set),
        ]
    )
    epochs = [
        {
            "epoch": n,
            "train": {"loss": 5 / n, "acc": 1 - 1 / n},
            "valid": {"loss": 6 / n, "acc": 0.9 - 0.9 / n},
        }
        for n in range(1, 9)
    ]
    (ssl / "history.json").write_text(json.dumps({"epochs": epochs}))
    weights = {"asr": [0.05, 0.1, 0.2, 0.4, 0.25], "reconstruction": [0.15, 0.4, 0.25, 0.15, 0.05]}
    (codec / "layer_weights.json").write_text(json.dumps(weights))


def _audio(folder: Path, waves: Mapping[str, np.ndarray]) -> None:
    folder.mkdir(parents=True)
    for utterance, wave in waves.items():
        soundfile.write(folder / f"{utterance}.wav", wave, 16000)
    write_table(
        folder / "wav.scp", {utterance: str(folder / f"{utterance}.wav") for utterance in waves}
    )


def _archive(stem: Path, arrays: Mapping[str, np.ndarray]) -> str:
    stem.parent.mkdir(parents=True)
    ark = stem.with_suffix(".ark")
    write_table(stem.with_suffix(".scp"), write_archive(ark, ark, arrays.items()))
    return str(stem.with_suffix(".scp"))


def _probe(folder, system, errors, texts, data, test_set, generator) -> None:
    decoded = {}
    for utterance, text in texts.items():
        wrong = [letter != " " and generator.random() < errors for letter in text]
        decoded[utterance] = "".join(
            "x" if is_wrong else letter for letter, is_wrong in zip(text, wrong)
        )
    write_table(folder / "decode" / "text", decoded)
    write_table(
        folder / "decode" / "utt2loss",
        {utt: f"{3 * errors * len(text):.4f}" for utt, text in texts.items()},
    )
    common = ["--test_set", test_set, "--system", system, "--ref", str(data / "text")]
    common += ["--out", str(folder / "scores" / test_set)]
    score(["cer,wer", *common, "--hyp", str(folder / "decode" / "text")])
    score(["ctc_loss", *common, "--losses", str(folder / "decode" / "utt2loss")])
