# Copyright 2026 The hasrd authors
# Apache-2.0
"""The codecs of others, out of their own packages, as shipped: full size, random weights, nothing downloaded."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, Callable, Mapping

import torch
from torch import Tensor, nn

from hasrd.bench.subject import MODES, Subject, Unavailable

# The paper's baseline (HASRD section 3): a token is 512 samples, 76,651,890 parameters.
DAC: Mapping[str, Any] = {
    "encoder_rates": [2, 4, 8, 8],
    "decoder_rates": [8, 8, 4, 2],
    "sample_rate": 16000,
    "n_codebooks": 9,
}
# Published with the model of 24 kHz, as the following one with SpeechTokenizer's (HuBERT, average of the layers).
SNAC: Mapping[str, Any] = {
    "sampling_rate": 24000,
    "encoder_dim": 48,
    "encoder_rates": [2, 4, 8, 8],
    "decoder_dim": 1024,
    "decoder_rates": [8, 8, 4, 2],
    "attn_window_size": None,
    "codebook_size": 4096,
    "codebook_dim": 8,
    "vq_strides": [4, 2, 1],
    "noise": True,
    "depthwise": True,
}
SPEECHTOKENIZER: Mapping[str, Any] = {
    "n_filters": 64,
    "strides": [8, 5, 4, 2],
    "dimension": 1024,
    "semantic_dimension": 768,
    "bidirectional": True,
    "dilation_base": 2,
    "residual_kernel_size": 3,
    "n_residual_layers": 1,
    "lstm_layers": 2,
    "activation": "ELU",
    "codebook_size": 1024,
    "n_q": 8,
    "sample_rate": 16000,
}
ENCODEC_KBPS = 6.0  # of 1.5 to 24, the published model's default
MIMI_CODEBOOKS = 8  # of 32, as its authors use it for speech


def official_dac(mode: str = "float32", device: str = "cpu", **sizes: Any) -> Subject:
    """DAC (Kumar et al. 2023) of the package descript-audio-codec; in bf16 all but its quantizer."""
    model = _place(_package("dac", "descript-audio-codec").DAC(**{**DAC, **sizes}), device)
    parameters = _count(model)
    dtype, compiled = MODES[mode]
    for name in ("encoder", "decoder"):
        part = getattr(model, name)
        if dtype != torch.float32:
            part = _Cast(part, dtype)
        setattr(model, name, torch.compile(part) if compiled else part)

    def encode(wave: Tensor) -> Tensor:
        return model.encode(model.preprocess(wave[:, None], model.sample_rate))[1]

    def decode(codes: Tensor) -> Tensor:
        return model.decode(model.quantizer.from_codes(codes)[0])[:, 0]

    return Subject(
        "official-dac", mode, model.sample_rate, parameters, model, encode, decode, lambda codes: codes.unbind(1)
    )


def encodec(device: str = "cpu", **sizes: Any) -> Subject:
    """EnCodec (Défossez et al. 2022) of 24 kHz and 6 kbps, of the package transformers."""
    package = _package("transformers")
    model = _place(package.EncodecModel(package.EncodecConfig(**sizes)), device)
    _draw_codebooks(model, "embed")

    def encode(wave: Tensor) -> Any:
        return model.encode(wave[:, None], bandwidth=ENCODEC_KBPS)

    def decode(output: Any) -> Tensor:
        return model.decode(output.audio_codes, output.audio_scales).audio_values[:, 0]

    def books(output: Any) -> list[Tensor]:
        return list(output.audio_codes[0].unbind(1))

    return Subject(
        "encodec", "float32", model.config.sampling_rate, _count(model), model, encode, decode, books
    )


def mimi(device: str = "cpu", **sizes: Any) -> Subject:
    """Mimi (Défossez et al. 2024) with 8 codebooks, 1.1 kbps, of the package transformers."""
    package = _package("transformers")
    model = _place(package.MimiModel(package.MimiConfig(**sizes)), device)
    _draw_codebooks(model, "embed_sum")

    def encode(wave: Tensor) -> Tensor:
        return model.encode(wave[:, None], num_quantizers=MIMI_CODEBOOKS).audio_codes

    def decode(codes: Tensor) -> Tensor:
        return model.decode(codes).audio_values[:, 0]

    rate = model.config.sampling_rate
    return Subject("mimi", "float32", rate, _count(model), model, encode, decode, lambda codes: codes.unbind(1))


def official_speechtokenizer(device: str = "cpu", **sizes: Any) -> Subject:
    """SpeechTokenizer (Zhang et al. 2024) of the package speechtokenizer."""
    package = _package("speechtokenizer")
    model = _place(package.SpeechTokenizer({**SPEECHTOKENIZER, **sizes}), device)
    _draw_codebooks(model, "embed")

    def encode(wave: Tensor) -> Tensor:
        return model.encode(wave[:, None])

    def decode(codes: Tensor) -> Tensor:
        return model.decode(codes)[:, 0]

    return Subject(
        "official-speechtokenizer", "float32", model.sample_rate, _count(model), model, encode, decode,
        lambda codes: codes.unbind(0),
    )  # fmt: skip


def snac(device: str = "cpu", **sizes: Any) -> Subject:
    """SNAC (Siuzdak et al. 2024) of 24 kHz, of the package snac."""
    model = _place(_package("snac").SNAC(**{**SNAC, **sizes}), device)

    def encode(wave: Tensor) -> list[Tensor]:
        return model.encode(wave[:, None])

    def decode(codes: list[Tensor]) -> Tensor:
        return model.decode(codes)[:, 0]

    return Subject("snac", "float32", model.sampling_rate, _count(model), model, encode, decode, lambda codes: codes)


# The first is the baseline, and the only one that is measured in other modes than the one it is shipped in.
PEERS: dict[str, Callable[..., Subject]] = {
    "official-dac": official_dac,
    "encodec": encodec,
    "mimi": mimi,
    "official-speechtokenizer": official_speechtokenizer,
    "snac": snac,
}


class _Cast(nn.Module):
    """A module in another type that takes and gives float32."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module = module.to(dtype)
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x.to(self.dtype)).float()


def _package(name: str, package: str | None = None) -> ModuleType:
    """Import a package.

    Raises:
        Unavailable: It, or what it needs, is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        reason = f"no module named '{error.name}'" if isinstance(error, ModuleNotFoundError) else str(error)
        raise Unavailable(f"{package or name} is not installed ({reason}): tools/install.sh --extras bench") from error


def _place(model: nn.Module, device: str) -> nn.Module:
    return model.eval().requires_grad_(False).to(device)


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _draw_codebooks(model: nn.Module, name: str) -> None:
    """Fill codebooks that are zero until they are trained or loaded, so that every look-up finds another entry."""
    for key, buffer in model.named_buffers():
        if key.rpartition(".")[2] == name:
            buffer.normal_()
