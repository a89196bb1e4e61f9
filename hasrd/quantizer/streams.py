# Copyright 2026 The hasrd authors
# Apache-2.0
"""Names of streams: codebooks of one stream have the same."""

from __future__ import annotations

from typing import Sequence

# The stream that holds how something was said; any other one holds what.
ACOUSTIC = "acoustic"


def select_streams(stream_names: Sequence[str], streams: Sequence[str] | None) -> set[str]:
    """Return the names to decode: all of `stream_names`, or those in `streams`.

    Raises:
        ValueError: `streams` is one string, or has a name that is not in `stream_names`.
    """
    if streams is None:
        return set(stream_names)
    if isinstance(streams, str):
        raise ValueError(f"streams must be a sequence of names, not the string '{streams}'")
    unknown = set(streams) - set(stream_names)
    if unknown:
        known = ", ".join(dict.fromkeys(stream_names))
        raise ValueError(f"no stream named {', '.join(sorted(unknown))}: there are {known}")
    return set(streams)
