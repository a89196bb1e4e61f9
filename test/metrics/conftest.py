# Copyright 2026 The hasrd authors
# Apache-2.0
"""Signals that the measures of quality are tried on."""

from __future__ import annotations

import numpy as np
import pytest


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
