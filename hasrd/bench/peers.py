# Copyright 2026 The hasrd authors
# Apache-2.0
"""The codecs of others, out of their own packages, as shipped: full size, random weights, nothing downloaded."""

from __future__ import annotations

from typing import Any, Callable, Mapping

import torch
from torch import Tensor, nn

from hasrd.bench.subject import MODES, Subject
from hasrd.peers.dac import DAC as DACPeer
from hasrd.peers.hugging_face import DEFAULT_CODEBOOKS, HuggingFace
from hasrd.peers.peer import Peer, package
from hasrd.peers.snac import SNAC as SNACPeer
from hasrd.peers.speechtokenizer import SpeechTokenizer as SpeechTokenizerPeer

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


def official_dac(mode: str = "float32", device: str = "cpu", **sizes: Any) -> Subject:
    """DAC (Kumar et al. 2023) of the package descript-audio-codec; in bf16 all but its quantizer."""
    peer = DACPeer(package("dac", "descript-audio-codec").DAC(**{**DAC, **sizes}).to(device))
    dtype, compiled = MODES[mode]
    for name in ("encoder", "decoder"):
        part = getattr(peer.model, name)
        if dtype != torch.float32:
            part = _Cast(part, dtype)
        setattr(peer.model, name, torch.compile(part) if compiled else part)
    return _subject("official-dac", peer, mode)


def encodec(device: str = "cpu", **sizes: Any) -> Subject:
    """EnCodec (Défossez et al. 2022) of 24 kHz and 6 kbps, of the package transformers."""
    transformers = package("transformers")
    model = transformers.EncodecModel(transformers.EncodecConfig(**sizes)).to(device)
    _draw_codebooks(model, "embed")
    return _subject("encodec", HuggingFace(model).keep(DEFAULT_CODEBOOKS["encodec"]))


def mimi(device: str = "cpu", **sizes: Any) -> Subject:
    """Mimi (Défossez et al. 2024) with 8 codebooks, 1.1 kbps, of the package transformers."""
    transformers = package("transformers")
    model = transformers.MimiModel(transformers.MimiConfig(**sizes)).to(device)
    _draw_codebooks(model, "embed_sum")
    return _subject("mimi", HuggingFace(model).keep(DEFAULT_CODEBOOKS["mimi"]))


def official_speechtokenizer(device: str = "cpu", **sizes: Any) -> Subject:
    """SpeechTokenizer (Zhang et al. 2024) of the package speechtokenizer."""
    model = package("speechtokenizer").SpeechTokenizer({**SPEECHTOKENIZER, **sizes}).to(device)
    _draw_codebooks(model, "embed")
    return _subject("official-speechtokenizer", SpeechTokenizerPeer(model))


def snac(device: str = "cpu", **sizes: Any) -> Subject:
    """SNAC (Siuzdak et al. 2024) of 24 kHz, of the package snac."""
    return _subject("snac", SNACPeer(package("snac").SNAC(**{**SNAC, **sizes}).to(device)))


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


def _subject(name: str, peer: Peer, mode: str = "float32") -> Subject:
    parameters = sum(parameter.numel() for parameter in peer.parameters())
    return Subject(
        name, mode, peer.sample_rate, parameters, peer.model,
        lambda wave: peer.encode(wave)[0], peer.decode, lambda books: books,
    )  # fmt: skip


def _draw_codebooks(model: nn.Module, name: str) -> None:
    """Fill codebooks that are zero until they are trained or loaded, so that every look-up finds another entry."""
    for key, buffer in model.named_buffers():
        if key.rpartition(".")[2] == name:
            buffer.normal_()
