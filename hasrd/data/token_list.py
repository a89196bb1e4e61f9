# Copyright 2026 The hasrd authors
# Apache-2.0
"""The list of characters that a model answers with, in ESPnet's format."""

from __future__ import annotations

from pathlib import Path

from hasrd.data.kaldi import read_table
from hasrd.errors import UserError


def token_list(text: str | Path) -> list[str]:
    """Blank and unknown first, then the characters of the transcripts, sorted, then ESPnet's end symbol.

    Raises:
        UserError: No transcript has a character.
    """
    characters = sorted({character for line in read_table(text).values() for character in line})
    if not characters:
        raise UserError(f"{text}: every transcript is empty: probes need text")
    return ["<blank>", "<unk>", *("<space>" if c == " " else c for c in characters), "<sos/eos>"]
