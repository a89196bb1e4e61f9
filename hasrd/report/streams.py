# Copyright 2026 The hasrd authors
# Apache-2.0
"""Which streams the codecs of a report have, and what speech and probes of them are called."""

from __future__ import annotations

from typing import Sequence

from hasrd.codec.streams import VOICE, is_split
from hasrd.report.collect import Results

# Where nothing says what streams there are, what is missing is shown as HASRD's.
DEFAULT = ("semantic", VOICE)
# Those of HAC, each taught by a teacher of its own.
LEVELS = ("phonetic", "lexical")


def streams_of(results: Results, test_set: str, experiment: str) -> list[str]:
    """Return the names of a codec's streams, the acoustic one last; empty where no bitrate says them."""
    found = results.find("bitrate", test_set, experiment=experiment)
    return voice_last(found[0].score.details["streams"]) if found else []


def voice_last(streams: Sequence[str]) -> list[str]:
    """Return the same streams, with the acoustic one at the end."""
    return sorted(streams, key=VOICE.__eq__)


def split_streams(results: Results) -> list[str]:
    """Return the streams of all codecs that have several, the acoustic one last; those of HASRD where there is none."""
    rates = [item.score.details["streams"] for item in results.scores if item.score.measure == "bitrate"]
    return voice_last(dict.fromkeys(name for streams in rates if len(streams) > 1 for name in streams) or DEFAULT)


def decoded_from(results: Results, test_set: str, experiment: str) -> dict[str, str]:
    """Return system to label, in the order of the rows, of what a codec's speech is decoded from; one of a single
    stream has no other than the combined one.
    """
    streams = streams_of(results, test_set, experiment) or DEFAULT
    rows = {"combined": "Combined: all streams"}
    if len(streams) > 1:
        rows |= {name: stream_label(name) for name in streams}
        if is_split(streams):
            rows["shuffled"] = "Combined, acoustic tokens shuffled in time"
    return {**rows, "mean_spectrum": "Constant mean spectrum"}


def stream_label(stream: str) -> str:
    """Return what speech of one stream alone is called."""
    return f"{stream.capitalize()} stream{'s' if stream == VOICE else ''} only"


def probe_rows(results: Results) -> dict[str, str]:
    """Return system to label, in the order of the rows, of what is probed as a rule."""
    tokens = (f"tokens_{stream}" for stream in (*split_streams(results), "all"))
    return {system: probe_label(system) for system in ("log_mel", "latent", "latent_shuffled", *tokens)}


_PROBES = {
    "log_mel": "Log-mel",
    "latent": "Latents",
    "latent_shuffled": "Latents shuffled in time",
    "mix": "Learned mix of all layers",
}


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
