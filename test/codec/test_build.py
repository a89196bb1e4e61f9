# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codecs from configs: errors that a user can act on, and the published sizes."""

from __future__ import annotations

import pytest

from hasrd.codec.build import build_modules, check_front
from hasrd.codec.codec import Codec
from hasrd.errors import UserError

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
    ],
)
def test_errors(change, message):
    with pytest.raises(UserError, match=message):
        build_modules({**DAC, **change})


def test_import_path():
    config = {**FBANK, "decoder": "hasrd.decoder.istft:ISTFTDecoder"}
    config["decoder_conf"] = {"dim": 8, "num_layers": 2, "token_layers": 1, "intermediate": 8}
    assert type(build_modules(config)["decoder"]).__name__ == "ISTFTDecoder"


FRONT = {
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
    check_front(FRONT, {**FRONT, **change}, "file")
    check_front({**FRONT, **change}, FRONT, "file")


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
        check_front(FRONT, {**FRONT, **change}, "file")


def test_statistics_come_from_the_data():
    found = {**FRONT, "normalize": "global", "normalize_conf": {"mean": [1.0], "std": [2.0]}}
    check_front({**FRONT, "normalize": "global"}, found, "file")
    with pytest.raises(UserError, match=r"normalize_conf: mean is \[1.0\], but .* says \[3.0\]"):
        check_front({**found, "normalize_conf": {"mean": [3.0], "std": [2.0]}}, found, "file")
