# Copyright 2026 The hasrd authors
# Apache-2.0
"""The audio that is encoded and decoded: real speech where there is some, else noise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator, Sequence

import numpy as np
import soxr
import torch
from torch import Tensor

from hasrd.data.audio import audio_info, read_audio
from hasrd.data.walk import walk_files
from hasrd.errors import UserError

SAMPLE_RATE = 16000


def make_audio(files: Sequence[str], seconds: float, batch_size: int) -> tuple[Tensor, str]:
    """Return waves (B, N) at 16 kHz in [-1, 1], and what they are in a few words.

    The files are joined, cut into clips of `seconds`, and begun again where they are too short.

    Args:
        files: Audio files; without any, the first ones below the folder that LIBRISPEECH names; else noise.
        seconds: Length of a clip.
        batch_size: Number of clips.

    Raises:
        UserError: A file that can't be used, or less than one sample.
    """
    samples = round(seconds * SAMPLE_RATE)
    if samples < 1:
        raise UserError(f"--seconds {seconds:g}: must be at least one sample")
    needed = samples * batch_size
    source = "given files"
    if not files and os.environ.get("LIBRISPEECH"):
        files, source = list(_flacs(Path(os.environ["LIBRISPEECH"]), needed)), "LibriSpeech"
    if files:
        wave = np.concatenate([read_audio(path, SAMPLE_RATE) for path in files])
        wave = np.resize(wave, needed)
        text = f"speech ({source})"
    else:
        wave = 0.1 * np.random.default_rng(0).standard_normal(needed, dtype=np.float32)
        text = "noise, no speech"
    return torch.from_numpy(wave).view(batch_size, samples), text


def _flacs(root: Path, samples: int) -> Iterator[str]:
    """Yield the first FLAC files below a folder until they have so many samples together."""
    for path in walk_files(root):
        if path.suffix == ".flac":
            yield str(path)
            samples -= audio_info(path).num_samples
            if samples <= 0:
                return


def resample(wave: Tensor, sample_rate: int) -> Tensor:
    """The wave (B, N) at 16 kHz, at another rate."""
    if sample_rate == SAMPLE_RATE:
        return wave
    changed = soxr.resample(wave.cpu().numpy().T, SAMPLE_RATE, sample_rate)
    return torch.from_numpy(np.ascontiguousarray(changed.T)).to(wave.device)
