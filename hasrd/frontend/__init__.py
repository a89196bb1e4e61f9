# Copyright 2026 The hasrd authors
# Apache-2.0
"""Features of a waveform, and their normalisation.

A frontend is built from its own configuration and has the attributes `frame_shift` and `window`
(samples), `output_size` and `sample_rate`, `num_frames(num_samples)`, and
`forward(wave (B, N), lengths (B,)) -> feats (B, T, F), lengths (B,)` with zeros on padding. A
normalisation maps (feats, lengths) to (feats, lengths) and keeps the padding zero. Where the features
of a part depend on the whole utterance, `of_whole(parts)` gives the frontend or normalisation that does
with parts, of which it is given all in order (samples (1, N), features (1, T, F)), as with the whole.
"""

from __future__ import annotations

CHOICES = {
    "log_mel": "hasrd.frontend.log_mel:LogMel",
    "mfcc": "hasrd.frontend.mfcc:MFCC",
    "raw": "hasrd.frontend.raw:RawWave",
    "whisper_log_mel": "hasrd.frontend.whisper_log_mel:WhisperLogMel",
}

NORMALIZE_CHOICES = {
    "utterance": "hasrd.frontend.normalize:UtteranceNorm",
    "global": "hasrd.frontend.normalize:GlobalNorm",
}
