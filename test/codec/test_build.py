# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codecs from configs: errors that a user can act on, and the published sizes."""

from __future__ import annotations

import sys

import pytest
import torch

from hasrd.codec.build import build_modules, check_encoder
from hasrd.codec.codec import Codec
from hasrd.decoder.decoder import Decoder
from hasrd.errors import UserError
from hasrd.quantizer.quantizer import Quantizer

DAC = {"frontend": "raw", "encoder": "dac", "quantizer": "residual_vq", "decoder": "dac"}
FBANK = {**DAC, "frontend": "log_mel", "normalize": "utterance", "encoder": "log_mel_cnn"}
SEPARABLE = {**FBANK, "encoder_conf": {"separable": True}, "decoder_conf": {"separable": True}}


@pytest.mark.parametrize(
    "config, parameters",
    [(DAC, 76_651_890), (FBANK, 68_017_138), (SEPARABLE, 48_078_034)],
    ids=["DAC", "DAC+fbank", "DAC+fbank+SepConv"],
)
def test_published_sizes(config, parameters):
    # HASRD, table 1: 76.6, 68.0 and 48.0 M.
    codec = Codec.from_config(config)
    assert sum(p.numel() for p in codec.parameters()) == parameters
    assert codec.frame_shift == 512


@pytest.mark.parametrize(
    "change, message",
    [
        ({"encoder": None}, "encoder not given"),
        ({"encoder": "no_such"}, "no_such"),
        ({"decoder_conf": {"chanels": 3}}, "decoder_conf: .*chanels.*DACDecoder"),
        ({"quantizer": "hasrd"}, "quantizer_conf: .*semantic_layer"),
        (
            {"quantizer": "hasrd", "quantizer_conf": {"semantic_layer": 0, "residual_loss_weight": 1.0}},
            "quantizer_conf: .*residual_loss_weight.*HASRDQuantizer",
        ),
    ],
)
def test_errors(change, message):
    with pytest.raises(UserError, match=message):
        build_modules({**DAC, **change})


class Bare(torch.nn.Module):
    """A decoder by its methods, but not by its base."""

    hop = 512

    def forward(self, latent):
        return latent.flatten(1)


class WithoutForward(Decoder):
    hop = 512


class WithoutHop(Decoder):
    def __init__(self, input_size):
        super().__init__()

    def forward(self, latent):
        return latent.flatten(1)


class OnlyLooksUp(Quantizer):
    def look_up(self, layers, mask):
        return layers[-1].argmax(dim=-1, keepdim=True)


@pytest.mark.parametrize(
    "part, name, message",
    [
        (
            "decoder",
            "Bare",
            "decoder: 'own_parts:Bare' does not inherit from hasrd.decoder.decoder.Decoder: .*encoder.md",
        ),
        ("encoder", "make_bare", "encoder: 'own_parts:make_bare' does not inherit from hasrd.encoder.encoder.Encoder"),
        ("decoder", "WithoutForward", "decoder: 'own_parts:WithoutForward' has no forward: write"),
        ("decoder", "WithoutHop", "decoder: WithoutHop does not set hop: do so in its __init__"),
        ("quantizer", "OnlyLooksUp", "quantizer: 'own_parts:OnlyLooksUp' has no quantize, vectors: write"),
    ],
)
def test_what_a_part_of_ones_own_lacks_is_said_in_one_line(monkeypatch, part, name, message):
    monkeypatch.setitem(sys.modules, "own_parts", sys.modules[__name__])
    with pytest.raises(UserError, match=message) as error:
        build_modules({**DAC, part: f"own_parts:{name}", f"{part}_conf": {}}, allow_import=True)
    assert "\n" not in str(error.value)


def make_bare():
    return Bare()


def test_import_path():
    config = {**FBANK, "decoder": "hasrd.decoder.istft:ISTFTDecoder"}
    config["decoder_conf"] = {"dim": 8, "num_layers": 2, "token_layers": 1, "intermediate": 8}
    assert type(build_modules(config)["decoder"]).__name__ == "ISTFTDecoder"


ENCODER = {
    "frontend": "log_mel",
    "normalize": "utterance",
    "encoder": "cnn_conformer",
    "encoder_conf": {"cnn_channels": [8, 8, 16], "num_blocks": 2},
}


@pytest.mark.parametrize(
    "change",
    [
        {"encoder_conf": {"cnn_channels": (8, 8, 16), "num_blocks": 2, "attention_dim": 768, "dropout_rate": 0.1}},
        {"encoder": "hasrd.encoder.cnn_conformer:CNNConformer", "normalize_conf": {}},
        {"frontend": "hasrd.frontend.log_mel.LogMel", "frontend_conf": {"num_mels": 80}},
        {"decoder": "dac", "frontend_conf": None},
    ],
    ids=["defaults", "import path", "other parts stated", "other keys"],
)
def test_equal_encoders(change):
    check_encoder(ENCODER, {**ENCODER, **change}, "file")
    check_encoder({**ENCODER, **change}, ENCODER, "file")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"encoder": "log_mel_cnn"}, "file: encoder is log_mel_cnn, but .* says cnn_conformer"),
        ({"normalize": None}, "file: normalize is None, but .* says utterance"),
        ({"frontend_conf": {"num_mels": 40}}, "file: frontend_conf: num_mels is 40, but .* says 80"),
        ({"encoder_conf": {"cnn_channels": [8, 8, 8], "num_blocks": 2}}, r"cnn_channels is \[8, 8, 8\], .*8, 8, 16"),
        ({"encoder_conf": {"cnn_channels": [8, 8, 16]}}, "num_blocks is 12, but .* says 2"),
    ],
)
def test_different_encoders(change, message):
    with pytest.raises(UserError, match=message):
        check_encoder(ENCODER, {**ENCODER, **change}, "file")


def test_statistics_come_from_the_data():
    found = {**ENCODER, "normalize": "global", "normalize_conf": {"mean": [1.0], "std": [2.0]}}
    check_encoder({**ENCODER, "normalize": "global"}, found, "file")
    with pytest.raises(UserError, match=r"normalize_conf: mean is \[1.0\], but .* says \[3.0\]"):
        check_encoder({**found, "normalize_conf": {"mean": [3.0], "std": [2.0]}}, found, "file")
