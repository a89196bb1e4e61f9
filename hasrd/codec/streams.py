# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the name of a stream says: "acoustic" tokens hold how something was said, those of any other stream what."""

from __future__ import annotations

from typing import Sequence

from hasrd.quantizer.streams import ACOUSTIC


def word_streams(stream_names: Sequence[str]) -> list[str]:
    """Return the streams that are not acoustic, in their order: "semantic" of HASRD, "phonetic", "lexical" of HAC."""
    return [name for name in dict.fromkeys(stream_names) if name != ACOUSTIC]


def is_split(stream_names: Sequence[str]) -> bool:
    """Say whether words and voice are in streams of their own, so that either can be exchanged."""
    return ACOUSTIC in stream_names and bool(word_streams(stream_names))
