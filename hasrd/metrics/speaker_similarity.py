# Copyright 2026 The hasrd authors
# Apache-2.0
"""Speaker similarity: cosine of the speaker embeddings of a reference and its reconstruction.

Source: GE2E speaker encoder (Wan et al., ICASSP 2018) as Resemblyzer trained and packages it,
weights included, so that it runs offline. Its embeddings have no negative entry: two different
voices reach a cosine of .5 to .7, not 0, and the values are not those of the paper's ECAPA-TDNN.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np

from hasrd.metrics.scoring.audio import AudioMeasure, Pair

SOURCE = (
    "cosine of GE2E embeddings (Resemblyzer), silences trimmed; the entries are never negative: "
    "other voices reach .5 to .7"
)
MISSING = "Resemblyzer is not installed: pip install 'hasrd[eval]'"


class SpeakerSimilarity(AudioMeasure):
    """See the file."""

    name = "speaker_similarity"
    label = "Speaker similarity"
    source = SOURCE
    packages = ("resemblyzer", "torch", "librosa")
    modules = ("resemblyzer",)
    missing = MISSING
    order = 26
    worst = (0.0,)

    def value(self, pair: Pair) -> float:
        return similarity(pair.reference.once(embed), pair.estimate.once(embed))


def embed(wave: np.ndarray) -> np.ndarray | None:
    """Return the unit embedding (256,) of `wave` (N,) at 16 kHz; None for digital silence, which
    has no speaker.

    Silences are trimmed as Resemblyzer does; where its voice detection finds no voice at all (a bad
    reconstruction), the whole signal is embedded.

    Raises:
        UserError: Resemblyzer is not installed.
    """
    if not np.any(wave):
        return None
    encoder, audio = _encoder()
    wave = audio.normalize_volume(wave.astype(np.float32), audio.audio_norm_target_dBFS, increase_only=True)
    # Its 16-bit conversion would wrap around.
    voice = audio.trim_long_silences(np.clip(wave, -1.0, 1.0))
    return encoder.embed_utterance(voice if len(voice) else wave)


def similarity(reference: np.ndarray, estimate: np.ndarray | None) -> float:
    """Return the cosine of two unit embeddings (D,); 0 for a silent estimate, which keeps nothing
    of a voice.
    """
    return 0.0 if estimate is None else float(np.dot(reference, estimate))


@lru_cache(maxsize=None)
def _encoder():
    SpeakerSimilarity.require()
    with warnings.catch_warnings():
        # It imports a name that scipy has moved.
        warnings.simplefilter("ignore", DeprecationWarning)
        from resemblyzer import VoiceEncoder, audio
    return VoiceEncoder("cpu", verbose=False), audio
