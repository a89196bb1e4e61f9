# Copyright 2026 The hasrd authors
# Apache-2.0
"""Other sample rates."""

from __future__ import annotations

import numpy as np

from hasrd.errors import UserError


def resample(wave: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Resample a wave with soxr (its high quality, no delay), to at least one sample.

    Args:
        wave: (N,) float32.
        rate: Its sample rate, in Hz.
        target: The wanted one.

    Raises:
        UserError: soxr is not installed, or refuses a rate.
    """
    if rate == target:
        return wave
    try:
        import soxr
    except ImportError:
        raise UserError("resampling needs the package soxr: pip install soxr") from None
    try:
        wave = soxr.resample(wave, rate, target)
    except (ValueError, TypeError) as error:
        raise UserError(f"a sample rate of {rate} Hz: {error}") from error
    return np.pad(wave, (0, max(0, 1 - len(wave))))
