# Copyright 2026 The hasrd authors
# Apache-2.0
"""Signals that the measures of quality are tried on."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def speech(librispeech) -> np.ndarray:
    """A real utterance of 3 to 5 s, float32 at 16 kHz."""
    soundfile = pytest.importorskip("soundfile")
    for path in sorted(librispeech.glob("test-*/*/*/*.flac")):
        if 48000 <= soundfile.info(path).frames <= 80000:
            return soundfile.read(path, dtype="float32")[0]
    pytest.skip("no utterance of 3 to 5 s in LIBRISPEECH")


@pytest.fixture(scope="session")
def voice() -> np.ndarray:
    """A voice that nobody has: 3 s of syllables on a gliding pitch, float32 at 16 kHz."""
    time = np.arange(48000) / 16000
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time)) / 16000
    wave = sum(np.sin(k * phase) / k for k in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * 2.5 * time), 0, 1) ** 0.5
    return (0.05 * wave * syllables).astype(np.float32)


def noisy(wave: np.ndarray, snr: float, seed: int = 0) -> np.ndarray:
    """White noise added, `snr` dB below the wave."""
    noise = np.random.default_rng(seed).standard_normal(len(wave))
    noise *= np.sqrt(np.mean(wave**2) / np.mean(noise**2)) * 10 ** (-snr / 20)
    return (wave + noise).astype(np.float32)


@pytest.fixture(params=["speech", "voice"])
def clean(request) -> np.ndarray:
    """Either."""
    return request.getfixturevalue(request.param)


@pytest.fixture(name="noisy", scope="session")
def noisy_fixture():
    """The function `noisy`."""
    return noisy
