# Copyright 2026 The hasrd authors
# Apache-2.0
"""The windows in which long speech is encoded (`hasrd.codec.windows`): how long they are, and which tokens each gives.

No torch, so that options are read at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hasrd.errors import UserError

# Of a codec that does not say another; encoders are trained on speech up to about this length.
WINDOW_SECONDS = 30.0
# Stands for the length that a codec says itself.
OF_MODEL = "model"
# Below it, a window would have too little to attend to.
SHORTEST_SECONDS = 1.0
# Part of a window that it shares with the next one. More changed no more tokens towards those of the whole utterance
# (docs/decisions.md).
OVERLAP = 0.1


@dataclass(frozen=True)
class Window:
    """Tokens `start` to `stop` of an utterance, which are encoded together; `first` to `last` are kept."""

    start: int
    stop: int
    first: int
    last: int


def plan_windows(num_tokens: int, size: int, overlap: int, step: int = 1) -> list[Window]:
    """Return windows that together keep each token once, from the window whose middle is nearest to it.

    Args:
        num_tokens: Of the utterance.
        size: Tokens of a window; the utterance may have less.
        overlap: Tokens that a window shares with the next one, at least; the last one may share more.
        step: Windows begin, and change over, at multiples of it. `size` and `overlap` are such multiples.
    """
    starts = list(range(0, max(num_tokens - size, 0), size - overlap))
    starts.append(-(-max(num_tokens - size, 0) // step) * step)
    # In the middle of what two windows share.
    borders = [0, *((a + size + b + step) // (2 * step) * step for a, b in zip(starts, starts[1:])), num_tokens]
    return [
        Window(start, min(start + size, num_tokens), first, last)
        for start, first, last in zip(starts, borders, borders[1:])
    ]


def check_window(seconds: float | None) -> None:
    """Raise UserError where this is no length of windows: a number of at least a second, or None for whole speech."""
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if seconds is not None and not (number and SHORTEST_SECONDS <= seconds < math.inf):
        raise UserError(f"window {seconds}: give at least {SHORTEST_SECONDS:g} second, or none for whole utterances")


def parse_window(text: str) -> float | str | None:
    """Read the option `--window`: seconds, `none` for whole utterances or `model` for the model's own length.

    Raises:
        UserError: It is none of these.
    """
    if text in ("none", OF_MODEL):
        return None if text == "none" else text
    try:
        seconds = float(text)
    except ValueError:
        raise UserError(f"--window {text}: give seconds, none or {OF_MODEL}") from None
    check_window(seconds)
    return seconds
