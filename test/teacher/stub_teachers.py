# Copyright 2026 The hasrd authors
# Apache-2.0
"""Teachers as a user's own module has them: what they say follows from the input alone, and they note each call."""

from __future__ import annotations

import hashlib
import os

import numpy as np
import torch

SIZE = 4


def vector(text: str) -> np.ndarray:
    """What `Texts` says of a text."""
    return np.frombuffer(hashlib.sha256(text.encode()).digest()[:SIZE], np.uint8).astype(np.float32)


def _note(line: str) -> None:
    with open(os.environ["STUB_LOG"], "a", encoding="utf-8") as file:
        file.write(line + "\n")


class Texts:
    """A text teacher. Args: scale of its vectors; bad: a text that it fails on."""

    size = SIZE
    model_hash = "none"

    def __init__(self, scale: float = 1.0, bad: str = "") -> None:
        self.scale = scale
        self.bad = bad

    def ready(self, device):
        return self

    def embed(self, texts):
        if self.bad in texts:
            raise KeyboardInterrupt
        for text in texts:
            _note(text)
        return np.array([vector(text) * self.scale for text in texts], np.float32)


class Waves(torch.nn.Module):
    """A speech teacher: mean and largest value of pieces of 100 samples. Args: bad: number of samples it fails on."""

    size, sample_rate, frame_shift, first_centre, model_hash = 2, 16000, 100 / 16000, 50 / 16000, "none"

    def __init__(self, bad: int = -1) -> None:
        super().__init__()
        self.bad = bad

    def num_frames(self, num_samples):
        return num_samples // 100

    def ready(self, device):
        return self

    def forward(self, waves, lengths):
        if self.bad in lengths.tolist():
            raise KeyboardInterrupt
        _note(" ".join(map(str, sorted(lengths.tolist()))))
        pieces = waves[:, : waves.shape[1] // 100 * 100].unflatten(1, (-1, 100))
        return torch.stack([pieces.mean(2), pieces.amax(2)], 2), lengths // 100
