# Copyright 2026 The hasrd authors
# Apache-2.0
"""What stage 1 warns of, and what it does not take for odd."""

from __future__ import annotations

import numpy as np
import pytest

from hasrd.data.audio import read_audio
from hasrd.data.oddities import CASE, CLIPPED, OFFSET, SIGNS, SILENT, audio_oddities, text_oddities

RATE = 16000
SPEECH = (0.3 * np.random.default_rng(0).standard_normal(2 * RATE)).clip(-0.99, 0.99).astype(np.float32)
SPEECH /= 1.001 * np.abs(SPEECH).max()
SPEECH -= SPEECH.mean()


def as_16_bit(wave: np.ndarray) -> np.ndarray:
    return (np.round(wave * 32768).clip(-32768, 32767) / 32768).astype(np.float32)


@pytest.mark.parametrize(
    "wave, found",
    [
        (SPEECH, ()),
        (as_16_bit(0.05 * SPEECH), ()),
        (as_16_bit(SPEECH * 20), (CLIPPED,)),
        # Clipped, and the level brought down afterwards; what is far from any converter's limit may be of the speech.
        (as_16_bit((SPEECH * 20).clip(-1, 1) * 0.7), (CLIPPED,)),
        (as_16_bit((SPEECH * 20).clip(-1, 1) * 0.4), ()),
        (np.concatenate([SPEECH, np.zeros(RATE - 1, np.float32)]), ()),
        (np.concatenate([SPEECH, np.zeros(RATE, np.float32)]), (SILENT,)),
        (np.zeros(800, np.float32), (SILENT,)),
        (as_16_bit(0.5 * SPEECH + 0.02), (OFFSET,)),
        (as_16_bit(0.5 * SPEECH - 0.02), (OFFSET,)),
        (as_16_bit(0.5 * SPEECH + 0.005), ()),
        (np.full(800, 0.7, np.float32), (CLIPPED, OFFSET)),
    ],
)
def test_audio(wave: np.ndarray, found: tuple[str, ...]):
    assert audio_oddities(wave, RATE) == found


@pytest.mark.parametrize(
    "texts, case, signs",
    [
        ("DON'T GO|NEW-YORK|ÉTÉ", "", ""),
        ("A B|C|d", "2", ""),
        ("a b|c|D|Bcd|", "2 3", ""),
        ("Hello there|All mixed", "0 1", ""),
        ("A, B|C 1|WHAT?|字。|<unk>", "4", "0 2 3 4"),
        ("字|い|1", "", ""),
    ],
)
def test_texts(texts: str, case: str, signs: str):
    table = {str(index): text for index, text in enumerate(texts.split("|"))}
    assert text_oddities(table) == {CASE: case.split(), SIGNS: signs.split()}


def test_most_real_speech_is_not_odd(librispeech):
    paths = sorted((librispeech / "test-other").glob("*/*/*.flac"))
    odd = [found for found in (audio_oddities(read_audio(path, RATE), RATE) for path in paths) if found]
    assert len(paths) > 50 and len(odd) <= 0.05 * len(paths)
