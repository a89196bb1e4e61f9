# Copyright 2026 The hasrd authors
# Apache-2.0
"""Features of a waveform, and their normalisation.

A frontend is built from its own configuration and has the attributes `frame_shift` and `window`
(samples), `output_size` and `sample_rate`, `num_frames(num_samples)`, and
`forward(wave (B, N), lengths (B,)) -> feats (B, T, F), lengths (B,)` with zeros on padding. A
normalisation maps (feats, lengths) to (feats, lengths) and keeps the padding zero.
"""

from __future__ import annotations

CHOICES = {
    "log_mel": "hasrd.frontend.log_mel:LogMel",
    "raw": "hasrd.frontend.raw:RawWave",
    "whisper_log_mel": "hasrd.frontend.whisper_log_mel:WhisperLogMel",
}

NORMALIZE_CHOICES = {
    "utterance": "hasrd.frontend.normalize:UtteranceNorm",
    "global": "hasrd.frontend.normalize:GlobalNorm",
}
