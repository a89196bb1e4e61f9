# Copyright 2026 The hasrd authors
# Apache-2.0
"""Small codecs of other packages with random weights, saved as their authors publish them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import pytest

from hasrd.bench import peers

ENCODEC = {"num_filters": 2, "hidden_size": 16, "codebook_dim": 16}
MIMI = {
    "num_filters": 2, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
    "head_dim": 16, "intermediate_size": 32, "codebook_dim": 16, "vector_quantization_hidden_dimension": 16,
    "upsample_groups": 32,
}  # fmt: skip
SPEECHTOKENIZER = {**peers.SPEECHTOKENIZER, "n_filters": 2, "dimension": 24, "semantic_dimension": 8}
SNAC = {**peers.SNAC, "encoder_dim": 4, "decoder_dim": 32}
HUBERT = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
    "conv_dim": [8] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Published:
    """A model as it is published.

    Attributes:
        kind: For `--kind`.
        path: For `--model`.
        model: What its own package loads from there.
        weights: The file of its weights.
    """

    kind: str
    path: Path
    model: Any
    weights: Path


def _draw(model, name: str, latent=None) -> None:
    """Fill codebooks, zero until they are trained, so that look-ups differ: near what the encoder gives for noise.

    Args:
        name: Of their buffers, in order.
        latent: (1, D, T) that the first one looks up; None: what is small.
    """
    books = [buffer for key, buffer in model.named_buffers() if key.rpartition(".")[2] == name]
    for index, book in enumerate(books):
        book.normal_(std=0.2)
        if latent is not None:
            book.mul_(5 * latent[0].std(1)).add_(latent[0].mean(1) if index == 0 else 0)


def _dac(folder: Path) -> Published:
    dac = pytest.importorskip("dac", reason="descript-audio-codec comes with the extra bench")
    model = dac.DAC(encoder_dim=4, decoder_dim=32, sample_rate=16000, n_codebooks=12)
    path = folder / "weights_16khz.pth"
    model.save(path, package=False)
    return Published("dac", path, dac.DAC.load(path).eval(), path)


def _raise(encoder) -> None:
    """Let an encoder answer loudly, so that one code more or less is heard."""
    named = [(name, value) for name, value in encoder.named_parameters() if name.endswith(("original0", "weight_g"))]
    named[-1][1].mul_(100)


def _noise():
    import torch

    return 0.1 * torch.randn(1, 1, 24000)


def _transformers(kind: str, build: Callable[[Any], Any]) -> Callable[[Path], Published]:
    def make(folder: Path) -> Published:
        transformers = pytest.importorskip("transformers", reason="transformers comes with the extra bench")
        model = build(transformers)
        model.save_pretrained(folder)
        if model.config.model_type == "xcodec2":
            transformers.Xcodec2FeatureExtractor().save_pretrained(folder)
        return Published(kind, folder, type(model).from_pretrained(folder).eval(), folder / "model.safetensors")

    return make


def _encodec(transformers) -> Any:
    model = transformers.EncodecModel(transformers.EncodecConfig(**ENCODEC)).requires_grad_(False)
    _raise(model.encoder)
    _draw(model, "embed", model.encoder(_noise()))
    return model


def _mimi(transformers) -> Any:
    model = transformers.MimiModel(transformers.MimiConfig(**MIMI))
    _draw(model, "embed_sum")
    return model


def _xcodec(transformers) -> Any:
    acoustic = {
        "encoder_hidden_size": 4, "downsampling_ratios": [8, 5, 4, 2], "decoder_hidden_size": 32,
        "upsampling_ratios": [8, 5, 4, 2], "hidden_size": 16, "model_type": "dac",
    }  # fmt: skip
    config = transformers.XcodecConfig(
        acoustic_model_config=acoustic, semantic_model_config={**HUBERT, "model_type": "hubert"}
    )
    model = transformers.XcodecModel(config)
    _draw(model, "embed")
    return model


def _xcodec2(transformers) -> Any:
    semantic = {
        "model_type": "wav2vec2-bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16, "feature_projection_input_dim": 160,
    }  # fmt: skip
    config = transformers.Xcodec2Config(
        hidden_size=32, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        head_dim=16, encoder_hidden_size=4, quantization_dim=48, semantic_model_config=semantic,
    )  # fmt: skip
    model = transformers.Xcodec2Model(config).requires_grad_(False)
    for linear in (model.fc_encoder, model.quantizer.project_in):
        linear.weight.mul_(500)
    return model


def _speechtokenizer(folder: Path) -> Published:
    package = pytest.importorskip("speechtokenizer", reason="speechtokenizer comes with the extra bench")
    import torch

    model = package.SpeechTokenizer(SPEECHTOKENIZER).requires_grad_(False)
    _raise(model.encoder)
    _draw(model, "embed", model.encoder(_noise()))
    (folder / "config.json").write_text(json.dumps(SPEECHTOKENIZER))
    path = folder / "SpeechTokenizer.pt"
    torch.save(model.state_dict(), path)
    loaded = package.SpeechTokenizer.load_from_checkpoint(str(folder / "config.json"), str(path)).eval()
    return Published("speechtokenizer", folder, loaded, path)


def _snac(folder: Path) -> Published:
    package = pytest.importorskip("snac", reason="snac comes with the extra bench")
    import torch

    (folder / "config.json").write_text(json.dumps(SNAC))
    path = folder / "pytorch_model.bin"
    torch.save(package.SNAC(**SNAC).state_dict(), path)
    return Published("snac", folder, package.SNAC.from_pretrained(str(folder)), path)


MAKERS: dict[str, Callable[[Path], Published]] = {
    "dac": _dac,
    "encodec": _transformers("encodec", _encodec),
    "mimi": _transformers("mimi", _mimi),
    "speechtokenizer": _speechtokenizer,
    "snac": _snac,
    "dac_hf": _transformers(
        "huggingface", lambda hf: hf.DacModel(hf.DacConfig(encoder_hidden_size=4, decoder_hidden_size=32))
    ),
    "xcodec": _transformers("huggingface", _xcodec),
    "xcodec2": _transformers("huggingface", _xcodec2),
}


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Callable[[str], Published]:
    """published(name) -> one of MAKERS; skips where its package is not installed."""
    torch = pytest.importorskip("torch")
    made: dict[str, Published] = {}

    def get(name: str) -> Published:
        if name not in made:
            torch.manual_seed(0)
            made[name] = MAKERS[name](tmp_path_factory.mktemp(name))
        return made[name]

    return get
