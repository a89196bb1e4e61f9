# Copyright 2026 The hasrd authors
# Apache-2.0
"""Long speech: CPU time of encoding against its length, in windows and whole; and how many tokens are the same.

python benchmarks/long_speech.py time hasrd:small:3600:600 hasrd:full:600:180 --figure docs/img/long_speech.svg
python benchmarks/long_speech.py agreement exp/codec_a exp/codec_b --seconds 20 35

Of `time`: model of the recipes, size, seconds of the longest speech in windows, and of the longest that is encoded
whole. Speech and utterances come from the folder LIBRISPEECH; those of `agreement` are joined from successive ones.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import Iterator

import numpy as np
import torch

import hasrd
from hasrd.bench.agreement import code_agreement
from hasrd.bench.audio import SAMPLE_RATE, make_audio
from hasrd.bench.ours import build_codec, find_config, read_config
from hasrd.codec.inference import prepare
from hasrd.codec.tokenizer import Tokenizer
from hasrd.data.audio import read_audio

LENGTHS = (1, 3, 10, 30, 60, 180, 600, 1800, 3600)
WINDOWS = (10, 15, 20, 30)


def cpu_seconds(model: Tokenizer, wave: torch.Tensor, window: float | None) -> float:
    """Median CPU time of encoding; of a minute or less of three calls."""
    times = []
    for _ in range(3 if len(wave) <= 60 * SAMPLE_RATE else 1):
        start = time.process_time()
        model.encode(wave, SAMPLE_RATE, window=window)
        times.append(time.process_time() - start)
    return statistics.median(times)


def measure(cases: list[str], figure: Path | None) -> None:
    """Print a table of CPU seconds a second of speech, and the slopes from the length of a window on."""
    curves: dict[str, dict[int, float]] = {}
    for case in cases:
        name, size, longest, whole = case.split(":")
        torch.manual_seed(0)
        model = Tokenizer(prepare(build_codec(read_config(find_config(name, size)))))
        wave, text = make_audio((), max(int(longest), int(whole)), 1)
        model.encode(wave[0, : 5 * SAMPLE_RATE], SAMPLE_RATE)
        for way, window, most in (
            (f"windows of {model.codec.window:g} s", model.codec.window, longest),
            ("whole", None, whole),
        ):
            curve = curves[f"{name}, {size}, {way}"] = {}
            for seconds in LENGTHS:
                if seconds <= int(most):
                    curve[seconds] = cpu_seconds(model, wave[0, : seconds * SAMPLE_RATE], window)
    print(f"CPU seconds a second of {text}, one thread, torch {torch.__version__}\n")
    print("| | " + " | ".join(f"{seconds} s" for seconds in LENGTHS) + " | slope from 30 s on |")
    print("|---|" + "---|" * (len(LENGTHS) + 1))
    for name, curve in curves.items():
        cells = [f"{curve[seconds] / seconds:.4f}" if seconds in curve else "" for seconds in LENGTHS]
        long = [seconds for seconds in curve if seconds >= 30]
        slope = np.polyfit(np.log(long), np.log([curve[seconds] for seconds in long]), 1)[0]
        print(f"| {name} | " + " | ".join(cells) + f" | {slope:.2f} |")
    if figure is not None:
        draw(curves, figure)


def draw(curves: dict[str, dict[int, float]], path: Path) -> None:
    """Write time against length, both in logarithms."""
    from matplotlib import pyplot

    axes = pyplot.figure(figsize=(6.4, 4), layout="constrained").add_subplot()
    for name, curve in curves.items():
        axes.loglog(curve.keys(), curve.values(), "o--" if "whole" in name else "o-", label=name)
    axes.set(xlabel="speech, s", ylabel="CPU time of encoding, s", xticks=LENGTHS, xticklabels=map(str, LENGTHS))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    pyplot.savefig(path, metadata={"Date": None})


def joined(shortest: float, longest: float) -> Iterator[np.ndarray]:
    """Yield successive utterances of a chapter as one wave of so many seconds, of all test sets."""
    for chapter in sorted({path.parent for path in Path(os.environ["LIBRISPEECH"]).glob("test-*/*/*/*.flac")}):
        waves: list[np.ndarray] = []
        for path in sorted(chapter.glob("*.flac")):
            waves.append(read_audio(path, SAMPLE_RATE))
            samples = sum(map(len, waves))
            if samples >= shortest * SAMPLE_RATE:
                if samples <= longest * SAMPLE_RATE:
                    yield np.concatenate(waves)
                waves = []


def compare(models: list[str], shortest: float, longest: float, count: int) -> None:
    """Print which part of the tokens in windows are those of the whole."""
    found = list(joined(shortest, longest))
    found = found[:: max(1, len(found) // count)][:count]
    print(f"{len(found)} waves of {sum(map(len, found)) / len(found) / SAMPLE_RATE:.1f} s on average\n")
    print("| | window | waves | semantic | first acoustic | all |\n|---|---|---|---|---|---|")
    for folder in models:
        model = hasrd.load(folder)
        whole = [model.encode(wave, SAMPLE_RATE, window=None).codes[0] for wave in found]
        for window in WINDOWS:
            pairs = [
                (model.encode(wave, SAMPLE_RATE, window=window).codes[0], codes)
                for wave, codes in zip(found, whole)
                if len(wave) > window * SAMPLE_RATE
            ]
            if pairs:
                one, other = (torch.cat(codes).T for codes in zip(*pairs))
                books = [[model.stream_names.index(name)] for name in ("semantic", "acoustic")] + [range(len(one))]
                parts = [f"{100 * code_agreement([one[m] for m in b], [other[m] for m in b]):.1f} %" for b in books]
                print(f"| {Path(folder).name} | {window} s | {len(pairs)} | " + " | ".join(parts) + " |", flush=True)


def main() -> None:
    """Do what the first word says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("time", "agreement"))
    parser.add_argument("models", nargs="+")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--seconds", nargs=2, type=float, default=(20, 35), metavar=("SHORTEST", "LONGEST"))
    parser.add_argument("--count", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.what == "time":
        measure(args.models, args.figure)
    else:
        compare(args.models, *args.seconds, args.count)


if __name__ == "__main__":
    main()
