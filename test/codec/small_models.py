# Copyright 2026 The hasrd authors
# Apache-2.0
"""Configurations of the small encoder and codecs that most tests build."""

from __future__ import annotations

ENCODER = {
    "frontend": "log_mel",
    "normalize": "utterance",
    "encoder": "cnn_conformer",
    "encoder_conf": {
        "cnn_channels": [8, 8, 16],
        "attention_dim": 16,
        "attention_heads": 2,
        "linear_units": 32,
        "num_blocks": 2,
    },
}
CODEC = {
    **ENCODER,
    "quantizer": "hasrd",
    "quantizer_conf": {"num_codebooks": 2, "codebook_size": 16, "codebook_dim": 4},
    "decoder": "istft",
    "decoder_conf": {"dim": 16, "num_layers": 1, "intermediate": 32, "token_layers": 1},
    "loudness": -16.0,
}
HAC = {
    "frontend": "raw",
    "normalize": None,
    "encoder": "dac",
    "encoder_conf": {"channels": 4, "strides": [4, 8, 16], "output_size": 16},
    "quantizer": "hac",
    "quantizer_conf": {
        "levels": ["phonetic", "lexical"],
        "num_codebooks": 2,
        "codebook_size": 16,
        "codebook_dim": 4,
        "attention_dim": 8,
        "attention_heads": 2,
        "linear_units": 16,
        "num_blocks": 1,
    },
    "decoder": "dac",
    "decoder_conf": {"channels": 16, "strides": [16, 8, 4]},
}
