# Copyright 2026 The hasrd authors
# Apache-2.0
"""Small models of transformers, and what importing damaged ones must say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, Mapping

import pytest
import torch
from torch import Tensor

from hasrd.models.importing import load_source

BLOCKS = {"hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 40, "num_hidden_layers": 2}
WAVE = {**BLOCKS, "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
# By the model_type of what is not as wav2vec 2.0.
SIZES = {
    "data2vec-audio": {**WAVE, "num_conv_pos_embeddings": 5},
    "wav2vec2-bert": {
        **BLOCKS, "num_hidden_layers": 3, "conv_depthwise_kernel_size": 5,
        "left_max_position_embeddings": 6, "right_max_position_embeddings": 3,
    },
    "whisper": {
        "d_model": 32, "encoder_layers": 3, "encoder_attention_heads": 4, "encoder_ffn_dim": 128, "decoder_layers": 1,
        "decoder_attention_heads": 4, "decoder_ffn_dim": 32, "vocab_size": 60, "num_mel_bins": 80, "pad_token_id": 0,
        "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3,
    },
}  # fmt: skip


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Any]:
    """make_model(folder, class of transformers, **changes) -> its model there, in which every tensor counts."""
    transformers = pytest.importorskip("transformers")

    def make(folder: Path, name: str, **changes: Any) -> Any:
        cls = getattr(transformers, name)
        torch.manual_seed(0)
        model = cls(cls.config_class(**{**SIZES.get(cls.config_class.model_type, WAVE), **changes})).eval()
        with torch.no_grad():
            for tensor, parameter in model.named_parameters():
                # But for Whisper's positions, which are the same in all of its models.
                if "embed_positions" not in tensor:
                    parameter.add_(0.1 * torch.randn_like(parameter))
        model.save_pretrained(folder)
        return model

    return make


@pytest.fixture(scope="session")
def is_refused(refused) -> Callable[..., None]:
    """is_refused(folder, tensors, message): with these, importing a model is refused; the line names their file."""

    def check(folder: Path, tensors: Mapping[str, Tensor], message: str) -> None:
        (folder / "model.safetensors").unlink()
        torch.save(tensors, folder / "pytorch_model.bin")
        text = refused(load_source, str(folder), "")
        assert re.search(message, text) and "pytorch_model.bin" in text

    return check
