# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codecs from configs: errors that a user can act on, and the published sizes."""

from __future__ import annotations

import pytest

from hasrd.codec.build import build_modules
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
