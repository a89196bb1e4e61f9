# Copyright 2026 The hasrd authors
# Apache-2.0
"""Crop agreement: how often a crop of an utterance, encoded alone, gets the tokens that it has within the utterance.

A codec trains on crops, and normalises each over its own frames; in use it sees whole utterances. Ours: the paper does
not report it.
"""

from __future__ import annotations

import numpy as np

SOURCE = (
    "ours: share of the tokens of one random crop an utterance, encoded alone, that the same frames have in the whole "
    "utterance; the crops begin where a token does"
)


def agreement(crop: np.ndarray, places: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Say which tokens of a crop are those of the whole utterance.

    Args:
        crop: (T', M) codes of the crop.
        places: (T',) index in the utterance of each of its frames.
        whole: (T, M) codes of the utterance.

    Returns:
        (T', M) bool.

    Raises:
        ValueError: Not as many codebooks or places, or a place outside of the utterance.
    """
    if crop.ndim != 2 or whole.ndim != 2 or crop.shape[1] != whole.shape[1] or places.shape != crop.shape[:1]:
        raise ValueError(f"a crop {crop.shape} at {places.shape} places of an utterance {whole.shape}")
    if len(places) and not 0 <= places.min() <= places.max() < len(whole):
        raise ValueError(f"places {places.min()} to {places.max()} of {len(whole)} tokens")
    return crop == whole[places]


def inner(number: int, margin: int | None) -> np.ndarray:
    """Say which of a crop's tokens count as inner ones.

    Args:
        number: T', tokens of the crop.
        margin: tokens at either end that the surroundings of the crop would change; None where all are: then the
            middle half is inner.

    Returns:
        (T',) bool.
    """
    margin = number // 4 if margin is None else margin
    index = np.arange(number)
    return (index >= margin) & (index < number - margin)


def chance(codes: np.ndarray, size: int) -> float:
    """Agreement of two tokens drawn at random: the sum of the squared shares of the codes (n,)."""
    share = np.bincount(codes, minlength=size) / max(len(codes), 1)
    return float((share**2).sum())
