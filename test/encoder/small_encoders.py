# Copyright 2026 The hasrd authors
# Apache-2.0
"""Small settings of every encoder, on which the tests of what all of them promise run."""

from __future__ import annotations

SMALL = {
    "log_mel_cnn": {"input_size": 10, "channels": (8, 12, 16), "output_size": 14},
    "cnn_conformer": {
        "input_size": 10,
        "cnn_channels": (8, 12, 16),
        "attention_dim": 24,
        "attention_heads": 3,
        "linear_units": 32,
        "num_blocks": 2,
    },
    "conv2d_conformer": {
        "input_size": 10,
        "cnn_channels": (6, 4),
        "attention_dim": 24,
        "attention_heads": 3,
        "linear_units": 32,
        "num_blocks": 2,
    },
    "dac": {"input_size": 1, "channels": 4, "strides": (2, 4, 4), "output_size": 14},
    **dict.fromkeys(
        ("wav2vec2", "hubert", "wavlm", "data2vec"),
        {
            "input_size": 1,
            "conv_layers": ((6, 4, 2), (8, 3, 2)),
            "attention_dim": 16,
            "attention_heads": 2,
            "linear_units": 24,
            "num_blocks": 2,
            "position_kernel": 8,
            "position_groups": 2,
        },
    ),
    "w2v_bert": {
        "input_size": 10,
        "attention_dim": 24,
        "attention_heads": 3,
        "linear_units": 32,
        "num_blocks": 2,
        "cnn_module_kernel": 5,
        "left": 4,
        "right": 2,
    },
    "whisper": {"input_size": 10, "attention_dim": 16, "attention_heads": 2, "num_blocks": 2},
    "seanet": {"input_size": 1, "channels": 4, "strides": (2, 5), "output_size": 14},
}
