# Copyright 2026 The hasrd authors
# Apache-2.0
"""Convolutions over a long signal in pieces: exact, and in bounded memory."""

from __future__ import annotations

from typing import Callable

import torch
from torch import Tensor

# Tokens after which a signal is cut, so that memory is bounded: the neighbours cost 4% then.
CHUNK = 512


def whole() -> bool:
    """Whether a model is being exported: its graph knows no length, so that nothing in it is done piece by piece."""
    return getattr(torch.compiler, "is_exporting", lambda: False)()


def in_tiles(
    step: Callable[[int, int], Tensor], frames: int, size: int, halo: int, up: int = 1, down: int = 1
) -> Tensor:
    """Compute a signal tile by tile, each with the neighbours that its outputs look at.

    Args:
        step: first and last (exclusive) input frame to output (..., their number * up // down, D).
        frames: T, of the input.
        size: input frames of a tile, about.
        halo: input frames that an output looks at on either side, at most; rounded up to a multiple of `down`.
        up: output frames of `down` input frames.
        down: see `up`.

    Returns:
        (..., T * up // down, D): what step(0, frames) gives.
    """
    if whole():
        return step(0, frames)
    groups = frames // down
    count = -(-groups // max(1, size // down))
    if count <= 1:
        return step(0, frames)
    halo = -(-halo // down) * down
    bounds = [groups * i // count * down for i in range(count)] + [frames]
    out = None
    for begin, end in zip(bounds, bounds[1:]):
        low, high = max(0, begin - halo), min(frames, end + halo)
        tile = step(low, high)
        if out is None:
            out = tile.new_empty(*tile.shape[:-2], frames * up // down, tile.shape[-1])
        first, last = begin * up // down, end * up // down
        offset = (begin - low) * up // down
        out[..., first:last, :] = tile[..., offset : offset + last - first, :]
        del tile  # or it is there while the next one is made
    return out
