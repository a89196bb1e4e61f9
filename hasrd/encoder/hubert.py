# Copyright 2026 The hasrd authors
# Apache-2.0
"""HuBERT ("HuBERT: Self-Supervised Speech Representation Learning", Hsu et al. 2021), to be used frozen."""

from __future__ import annotations

from hasrd.encoder.wav2vec2 import Wav2Vec2


class HuBERT(Wav2Vec2):
    """The network of wav2vec 2.0, trained to predict clusters of masked frames."""
