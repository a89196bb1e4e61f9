# Copyright 2026 The hasrd authors
# Apache-2.0
"""Which streams the codecs of a report have, and what speech and probes of them are called."""

from __future__ import annotations

import re
from typing import Any, Sequence

from hasrd.codec.streams import ACOUSTIC, is_split
from hasrd.report.collect import MEAN_SPECTRUM, Results

# Where nothing says what streams there are, what is missing is shown as HASRD's.
HASRD_STREAMS = ("semantic", ACOUSTIC)
# Those of HAC, each with a teacher of its own.
LEVELS = ("phonetic", "lexical")
_PROBES = {
    "log_mel": "Log-mel",
    "latent": "Latents",
    "latent_shuffled": "Latents shuffled in time",
    "mix": "Learned mix of all layers",
}
_FIRST_CODEBOOKS = re.compile(r"books_(\d+)")


def streams_of(results: Results, test_set: str, experiment: str) -> list[str]:
    """Return the names of a codec's streams, the acoustic one last; empty where no bitrate says them."""
    found = results.find("bitrate", test_set, experiment=experiment)
    return _acoustic_last(found[0].score.details["streams"]) if found else []


def split_streams(results: Results) -> list[str]:
    """Return the streams of all codecs that have several, the acoustic one last; those of HASRD where there is none."""
    several = [streams for streams in _all_streams(results) if len(streams) > 1]
    return _acoustic_last(dict.fromkeys(name for streams in several for name in streams) or HASRD_STREAMS)


def has_levels(results: Results) -> bool:
    """Say whether a codec has a stream of HAC's."""
    return any(set(LEVELS) & set(streams) for streams in _all_streams(results))


def _all_streams(results: Results) -> list[Sequence[str]]:
    return [item.score.details["streams"] for item in results.scores if item.score.measure == "bitrate"]


def _acoustic_last(streams: Sequence[str]) -> list[str]:
    return sorted(streams, key=ACOUSTIC.__eq__)


def decoded_from(results: Results, test_set: str, experiment: str) -> dict[str, str]:
    """Return system to label, in the order of the rows, of what a codec's speech is decoded from; one of a single
    stream has no other than the combined one.
    """
    streams = streams_of(results, test_set, experiment) or HASRD_STREAMS
    rows = {"combined": "Combined: all streams"}
    if len(streams) > 1:
        rows |= {name: f"{name.capitalize()} stream{'s' if name == ACOUSTIC else ''} only" for name in streams}
        if is_split(streams):
            rows["shuffled"] = "Combined, acoustic tokens shuffled in time"
    return {**rows, MEAN_SPECTRUM: "Constant mean spectrum"}


def codebooks_of(system: str) -> int | None:
    """Return how many of the first codebooks alone the speech of a system is decoded from; None: it is another one."""
    match = _FIRST_CODEBOOKS.fullmatch(system)
    return int(match[1]) if match else None


def book_label(book: dict[str, Any]) -> str:
    """Return what a codebook is called, counted from 1."""
    return f"{book['codebook'] + 1}: {book['stream']}"


def probe_rows(results: Results) -> dict[str, str]:
    """Return system to label, in the order of the rows, of what is probed as a rule."""
    tokens = (f"tokens_{stream}" for stream in (*split_streams(results), "all"))
    return {system: probe_label(system) for system in ("log_mel", "latent", "latent_shuffled", *tokens)}


def probe_label(system: str) -> str:
    """Return what a probe reads, for people."""
    if system in _PROBES:
        return _PROBES[system]
    if system.startswith("tokens_"):
        return f"{system.removeprefix('tokens_').capitalize()} tokens"
    for prefix, label in (("layer_", "Layer"), ("frontend_", "Frontend")):
        if system.startswith(prefix):
            return f"{label} {system.removeprefix(prefix)}"
    return system
