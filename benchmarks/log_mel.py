# Copyright 2026 The hasrd authors
# Apache-2.0
"""Compare our log-mel with torchaudio's on one core: python benchmarks/log_mel.py [seconds]."""

from __future__ import annotations

import sys

import torch
from torchaudio.compliance import kaldi

from hasrd.bench.timing import measure
from hasrd.frontend.log_mel import LogMel


def main() -> None:
    """Print audio-seconds a second of both, and the ratio."""
    torch.set_num_threads(1)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 15.0
    wave = torch.randn(1, int(seconds * 16000)) * 0.1
    lengths = torch.tensor([wave.shape[1]])
    ours = LogMel()
    times = measure(
        {
            "torchaudio": lambda: kaldi.fbank(wave, frame_shift=8.0, dither=0.0, num_mel_bins=80),
            "hasrd": lambda: ours(wave, lengths),
        }
    )
    for name, time in times.items():
        print(f"{name}: {seconds / time:.0f} audio-seconds a second")
    print(f"ratio: {times['torchaudio'] / times['hasrd']:.2f}")


if __name__ == "__main__":
    main()
