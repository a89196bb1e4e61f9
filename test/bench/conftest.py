# Copyright 2026 The hasrd authors
# Apache-2.0
"""Small models for the tests of the bench."""

from __future__ import annotations

import argparse

import pytest
import yaml
from small_models import HAC

DECODER = {"decoder": "istft", "decoder_conf": {"dim": 16, "num_layers": 1, "intermediate": 32, "token_layers": 1}}
CODECS = {
    "dac": {
        "frontend": "log_mel",
        "normalize": "utterance",
        "encoder": "log_mel_cnn",
        "encoder_conf": {"channels": [8, 8, 16], "output_size": 16, "separable": True},
        "quantizer": "residual_vq",
        "quantizer_conf": {"num_codebooks": 2, "codebook_size": 16, "codebook_dim": 4},
        "decoder": "dac",
        "decoder_conf": {"channels": 32, "strides": [8, 8, 4, 2]},
    },
    "hasrd": {
        "frontend": "log_mel",
        "normalize": "utterance",
        "encoder": "cnn_conformer",
        "encoder_conf": {
            "cnn_channels": [8, 8, 16], "attention_dim": 16, "attention_heads": 2, "linear_units": 32, "num_blocks": 2,
        },
        "frozen_encoder": True,
        "quantizer": "hasrd",
        "quantizer_conf": {"num_codebooks": 2, "codebook_size": 16, "codebook_dim": 4, "num_clusters": 8},
        **DECODER,
    },
    "hac": HAC,
}  # fmt: skip
TRAINING = {
    "segment": 8000, "batch_type": "unsorted", "batch_size": 2, "optim": "adamw", "optim_conf": {"lr": 1e-4},
    "use_amp": False, "num_att_plot": 0,
}  # fmt: skip
SSL = {
    **{key: CODECS["hasrd"][key] for key in ("frontend", "normalize", "encoder", "encoder_conf")},
    "loss": "best_rq",
    "loss_conf": {"stack": 4, "codebook_size": 32, "codebook_dim": 4},
    **{key: TRAINING[key] for key in ("optim", "optim_conf", "use_amp", "num_att_plot")},
    "batch_type": "numel",
    "batch_bins": 30000,
}


@pytest.fixture
def config(tmp_path):
    """config(name, key=value, ...) -> the file of a small model."""

    def write(name: str, **changes) -> str:
        if name == "ssl":
            path, conf = tmp_path / "train_ssl.yaml", SSL
        else:
            path, conf = tmp_path / f"train_codec_{name}.yaml", {**CODECS[name], **TRAINING}
        path.write_text(yaml.safe_dump({**conf, **changes}))
        return str(path)

    return write


@pytest.fixture
def arguments(monkeypatch):
    """arguments(key=value, ...) -> what the entry point hands on."""
    monkeypatch.delenv("LIBRISPEECH", raising=False)

    def make(**changes) -> argparse.Namespace:
        given = {
            "models": None, "modes": ["float32"], "size": "small", "device": "cpu", "audio": [], "seconds": 0.5,
            "batch_size": 1, "repeats": 2, "threads": 1, "discriminator": True, "peak_tflops": None,
            "allow_import": False,
        }  # fmt: skip
        return argparse.Namespace(**{**given, **changes})

    return make
