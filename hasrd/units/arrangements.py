# Copyright 2026 The hasrd authors
# Apache-2.0
"""Ways to arrange the codes of an utterance for a language model, each with its exact inverse.

Codes (T, M) are integers: M codebooks, a row a frame. A codebook of stride s has a code every s frames, at frames 0, s,
2s, ..., which is repeated for the frames after it (`hasrd.codec.tokens.Tokens.codebook_strides`). What a language model
sees has it once.
"""

from __future__ import annotations

from typing import Sequence

import numpy as np


def deduplicate(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes (T,) without repetitions (R,), and how long each lasts (R,), at least 1."""
    starts = np.flatnonzero(np.diff(codes, prepend=codes[:1] - 1))
    return codes[starts], np.diff(starts, append=len(codes))


def repeat(units: np.ndarray, durations: np.ndarray) -> np.ndarray:
    """Return the codes (T,) that `deduplicate` was given.

    Raises:
        ValueError: Not one duration of at least 1 for each unit.
    """
    if units.shape != durations.shape or (durations < 1).any():
        raise ValueError(f"{len(durations)} durations for {len(units)} units: one of at least 1 is needed for each")
    return np.repeat(units, durations)


def once(codes: np.ndarray, stride: int) -> np.ndarray:
    """Return the codes (T,) of a codebook without those that its stride repeats: (ceil(T / stride),).

    Raises:
        ValueError: A code changes within its stride, so that it would be lost.
    """
    kept = codes[::stride]
    if not np.array_equal(held(kept, stride, len(codes)), codes):
        raise ValueError(f"codes change within their stride of {stride} frames")
    return kept


def held(codes: np.ndarray, stride: int, frames: int) -> np.ndarray:
    """Return the codes (frames,) that `once` was given.

    Raises:
        ValueError: Not as many codes as so many frames have.
    """
    if len(codes) != -(-frames // stride):
        raise ValueError(f"{len(codes)} codes of {stride} frames each for {frames} frames")
    return np.repeat(codes, min(stride, max(frames, 1)))[:frames]


def first_ids(sizes: Sequence[int], first: int = 0) -> tuple[int, ...]:
    """Return the id of code 0 of each codebook (M,), where each follows on the one before and `first` ids are taken."""
    return tuple(int(number) for number in first + np.cumsum([0, *sizes])[:-1])


def flatten(codes: np.ndarray, strides: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes (T, M) of all codebooks one after the other, and the codebook of each: (L,) and (L,).

    Frame by frame, and within a frame codebook by codebook. A slow codebook has a code where its stride begins, and
    none in the other frames: L is the sum of ceil(T / stride).

    Raises:
        ValueError: A code changes within its stride.
    """
    order = _order(len(codes), strides)
    columns = [once(codes[:, book], stride) for book, stride in enumerate(strides)]
    books = np.repeat(np.arange(len(strides)), [len(column) for column in columns])
    return np.concatenate(columns)[order], books[order]


def unflatten(codes: np.ndarray, frames: int, strides: Sequence[int]) -> np.ndarray:
    """Return the codes (frames, M) that `flatten` was given.

    Raises:
        ValueError: Not as many codes as so many frames have.
    """
    numbers = [-(-frames // stride) for stride in strides]
    if len(codes) != sum(numbers):
        raise ValueError(f"{len(codes)} codes for {frames} frames, which have {sum(numbers)}")
    columns = np.empty_like(codes)
    columns[_order(frames, strides)] = codes
    parts = np.split(columns, np.cumsum(numbers)[:-1])
    held_columns = [held(part, stride, frames) for part, stride in zip(parts, strides)]
    return np.stack(held_columns, axis=1)


def _order(frames: int, strides: Sequence[int]) -> np.ndarray:
    """Return the places in the codebooks' joined codes, in the order of frames."""
    places = [np.arange(0, frames, stride) * len(strides) + book for book, stride in enumerate(strides)]
    return np.argsort(np.concatenate(places), kind="stable")


def delay(codes: np.ndarray, strides: Sequence[int], delays: Sequence[int], fill: int) -> np.ndarray:
    """Return the codes (T, M) with each codebook so many frames later: (T + max(delays), M).

    Source: the delay pattern of MusicGen (Copet et al., 2023, section 2.2), where codebook m is delayed by m. Where a
    codebook has no code there is `fill`: before its first, after its last, and in the frames of a slow codebook that
    repeat a code.

    Raises:
        ValueError: A code changes within its stride.
    """
    rows = np.full((len(codes) + max(delays), len(strides)), fill, dtype=codes.dtype)
    for book, (stride, late) in enumerate(zip(strides, delays)):
        rows[late : late + len(codes) : stride, book] = once(codes[:, book], stride)
    return rows


def undelay(rows: np.ndarray, strides: Sequence[int], delays: Sequence[int]) -> np.ndarray:
    """Return the codes (T, M) that `delay` was given.

    Raises:
        ValueError: Fewer rows than delays.
    """
    frames = len(rows) - max(delays)
    if frames < 0:
        raise ValueError(f"{len(rows)} rows for delays of up to {max(delays)} frames")
    columns = [
        held(rows[late : late + frames : stride, book], stride, frames)
        for book, (stride, late) in enumerate(zip(strides, delays))
    ]
    return np.stack(columns, axis=1)
