# Copyright 2026 The hasrd authors
# Apache-2.0
"""What may be right in speech and its transcripts, but mostly is not: stage 1 warns of it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import Mapping

import numpy as np

CLIPPED = "have clipped peaks (three samples and more at one level): lower the gain of the recording, or leave them out"
SILENT = "have a second or more of digital silence, or nothing else: is the speech missing?"
OFFSET = "have a DC offset of more than 0.01: remove it (for example: sox IN OUT highpass 20)"
CASE = "have letters of another case than most: write all in one, because the probes learn characters as they are"
SIGNS = "have punctuation or other signs: leave them out, because the probes learn them as characters"

# Peaks below it are no recording's limit.
CLIP_LEVEL = 0.5
CLIP_RUN = 3
MAX_OFFSET = 0.01


def audio_oddities(wave: np.ndarray, sample_rate: int) -> tuple[str, ...]:
    """What is odd about the samples (N,) in [-1, 1] of an utterance: some of CLIPPED, SILENT and OFFSET."""
    found = []
    # Converters clip at their positive or negative limit, which differ by one step.
    if any(side.max() >= CLIP_LEVEL and _longest_run(side == side.max()) >= CLIP_RUN for side in (wave, -wave)):
        found.append(CLIPPED)
    zero = wave == 0
    if zero.all() or _longest_run(zero) >= sample_rate:
        found.append(SILENT)
    if abs(float(wave.mean(dtype=np.float64))) > MAX_OFFSET:
        found.append(OFFSET)
    return tuple(found)


def _longest_run(mask: np.ndarray) -> int:
    """The longest run of true values in (N,)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def text_oddities(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """CASE and SIGNS to the utterances that they hold for."""
    cases = {utterance: _case(text) for utterance, text in texts.items()}
    counts = Counter(case for case in cases.values() if case in ("upper", "lower"))
    usual = counts.most_common(1)[0][0] if counts else ""
    return {
        CASE: [utterance for utterance, case in cases.items() if case not in ("", usual)],
        SIGNS: [utterance for utterance, text in texts.items() if any(map(_is_sign, text))],
    }


def _case(text: str) -> str:
    upper, lower = text != text.lower(), text != text.upper()
    return ("mixed" if lower else "upper") if upper else "lower" if lower else ""


def _is_sign(character: str) -> bool:
    # Apostrophes and hyphens are parts of words.
    return unicodedata.category(character)[0] in "PS" and character not in "'’-"
