# Copyright 2026 The hasrd authors
# Apache-2.0
"""What lies beside archives of codes (codes.scp), which hold codes alone.

Each is a table with one number an utterance:

    utt2num_samples   samples of the speech (where `hasrd encode --kaldi` wrote the codes)
    utt2loudness      its loudness in LUFS (of codecs with a level: codes.json has `loudness`)
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, TypeVar

import numpy as np

from hasrd.data.kaldi import read_table
from hasrd.errors import UserError

NUM_SAMPLES, LOUDNESS = "utt2num_samples", "utt2loudness"

Number = TypeVar("Number", int, float)


def number_text(value: float) -> str:
    """Return an integer or a float32 as the shortest text that gives it back."""
    return str(value) if isinstance(value, int) else str(np.float32(value))


def read_numbers(path: Path, kind: Callable[[str], Number], needed: bool = False) -> dict[str, Number]:
    """Read such a table: utterance to number; {} where it is not there.

    Args:
        path: The table.
        kind: int or float.
        needed: Refuse that it is not there.

    Raises:
        UserError: It is needed and missing, or something in it is no number; names file and line.
    """
    if not path.is_file() and not needed:
        return {}
    numbers: dict[str, Number] = {}
    for line, (utterance, text) in enumerate(read_table(path).items(), start=1):
        try:
            numbers[utterance] = kind(text)
        except ValueError:
            raise UserError(f"{path}:{line}: '{text}' is no number: make the tokens again") from None
    return numbers
