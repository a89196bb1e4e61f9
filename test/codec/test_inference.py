# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codecs made ready for use: the same tokens and waves, plain weights, bounded memory."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from hasrd.codec.codec import Codec
from hasrd.codec.inference import fold_weight_norm, inference_form, prepare

BASE = {
    "frontend": "log_mel",
    "normalize": "utterance",
    "encoder": "log_mel_cnn",
    "encoder_conf": {"channels": [8, 12, 32], "output_size": 16, "separable": True},
    "quantizer": "residual_vq",
    "quantizer_conf": {"num_codebooks": 3, "codebook_size": 32, "codebook_dim": 4},
    "decoder": "dac",
    "decoder_conf": {"channels": 64, "separable": True},
}
CONFIGS = {
    "sepconv": BASE,
    "fbank": {
        **BASE,
        "encoder_conf": {"channels": [8, 12, 16], "output_size": 16},
        "decoder_conf": {"channels": 32},
    },
    "dac": {**BASE, "frontend": "raw", "normalize": None, "encoder": "dac",
            "encoder_conf": {"channels": 4, "output_size": 16}},
    "conformer_istft": {
        **BASE,
        "encoder": "cnn_conformer",
        "encoder_conf": {
            "cnn_channels": [8, 12, 16],
            "attention_dim": 16,
            "attention_heads": 2,
            "linear_units": 32,
            "num_blocks": 2,
        },
        "decoder": "istft",
        "decoder_conf": {"dim": 16, "num_layers": 2, "intermediate": 24, "token_layers": 1},
    },
}  # fmt: skip


@pytest.fixture(params=CONFIGS)
def codec(request):
    torch.manual_seed(0)
    return Codec.from_config(CONFIGS[request.param]).eval()


def speech(*lengths):
    torch.manual_seed(1)
    wave = 0.2 * torch.rand(len(lengths), max(lengths)) * torch.randn(len(lengths), max(lengths))
    return wave, torch.tensor(lengths)


def no_weight_norm(module):
    return not any("parametrizations" in name for name, _ in module.named_parameters())


def test_prepared_gives_the_same(codec):
    wave, lengths = speech(9000, 160, 4321)
    tokens = codec.encode(wave, lengths)
    decoded = codec.decode(tokens)
    ready = prepare(copy.deepcopy(codec))
    assert no_weight_norm(ready) and not ready.training
    assert not any(p.requires_grad for p in ready.parameters())
    found = ready.encode(wave, lengths)
    assert torch.equal(found.codes, tokens.codes) and torch.equal(found.lengths, tokens.lengths)
    torch.testing.assert_close(ready.decode(tokens), decoded, atol=1e-5, rtol=0)


def test_prepared_twice(codec):
    wave, lengths = speech(4000)
    once, twice = prepare(copy.deepcopy(codec)), prepare(prepare(copy.deepcopy(codec)))
    assert torch.equal(once.encode(wave, lengths).codes, twice.encode(wave, lengths).codes)


def test_bfloat16(codec):
    wave, lengths = speech(6000, 3000)
    tokens = codec.encode(wave, lengths)
    decoded = codec.decode(tokens)
    for ready in (prepare(copy.deepcopy(codec), torch.bfloat16), prepare(prepare(codec), torch.bfloat16)):
        assert {tensor.dtype for tensor in ready.quantizer.parameters()} == {torch.float32}
        found = ready.encode(wave, lengths)
        assert found.codes.shape == tokens.codes.shape and torch.equal(found.lengths, tokens.lengths)
        wave_hat = ready.decode(tokens)
        assert wave_hat.dtype == torch.float32 and wave_hat.shape == decoded.shape
        assert 0 < (wave_hat - decoded).square().sum() < 0.03 * decoded.square().sum()
        half = [*ready.encoder.state_dict().values(), *ready.decoder.state_dict().values()]
        assert torch.bfloat16 in {tensor.dtype for tensor in half}


def test_frozen_encoder_is_prepared_too():
    torch.manual_seed(0)
    plain = Codec.from_config(CONFIGS["conformer_istft"]).eval()
    frozen = Codec(copy.deepcopy(plain.speech_encoder).frozen(), plain.quantizer, plain.decoder)
    wave, lengths = speech(5000)
    expected = plain.encode(wave, lengths)
    ready = prepare(copy.deepcopy(frozen))
    assert no_weight_norm(ready.encoder.module)
    assert torch.equal(ready.encode(wave, lengths).codes, expected.codes)
    half = prepare(frozen, torch.bfloat16)
    assert {p.dtype for p in half.encoder.module.parameters()} == {torch.bfloat16}
    half.encode(wave, lengths)


def test_fold_leaves_plain_weights(codec):
    wave, lengths = speech(4000)
    expected = codec(wave, lengths)
    names = set(codec.state_dict())
    folded = fold_weight_norm(copy.deepcopy(codec))
    torch.testing.assert_close(folded(wave, lengths).wave_hat, expected.wave_hat, atol=1e-5, rtol=0)
    prefix = "parametrizations.weight.original"
    plain = {name for name in names if prefix not in name}
    plain |= {name.replace(prefix + "0", "weight") for name in names if name.endswith(prefix + "0")}
    assert set(folded.state_dict()) == plain
    # What was folded without gradients loads into what was folded with them, and the other way round.
    other = fold_weight_norm(copy.deepcopy(codec).requires_grad_(False))
    assert {name for name, _ in other.named_parameters()} == {name for name, _ in folded.named_parameters()}
    other.load_state_dict(folded.state_dict(), strict=True)
    assert fold_weight_norm(folded) is folded


def test_only_weight_norm_is_folded():
    module = nn.Sequential(weight_norm(nn.Linear(3, 4)), nn.utils.parametrizations.orthogonal(nn.Linear(4, 4)))
    fold_weight_norm(module)
    assert not hasattr(module[0], "parametrizations") and hasattr(module[1], "parametrizations")


def test_a_class_keeps_parts_in_float32():
    class Part(nn.Module):
        float32_parts = ("last", "table")

        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2))
            self.register_buffer("table", torch.full((2,), 1 / 3))
            self.register_buffer("index", torch.arange(2))

    part = inference_form(Part().requires_grad_(False), torch.bfloat16)
    assert part.first.weight.dtype == torch.bfloat16 and part.index.dtype == torch.int64
    assert part.last[0].weight.dtype == torch.float32 and part.table.eq(torch.tensor(1 / 3)).all()


@pytest.mark.slow
def test_compiled():
    torch.manual_seed(0)
    codec = Codec.from_config(BASE).eval()
    wave, lengths = speech(5000)
    tokens = codec.encode(wave, lengths)
    decoded = codec.decode(tokens)
    ready = prepare(codec, compile=True)
    assert torch.equal(ready.encode(wave, lengths).codes, tokens.codes)
    torch.testing.assert_close(ready.decode(tokens), decoded, atol=1e-5, rtol=0)


MEMORY = """
import resource, sys, torch
from hasrd.codec.codec import Codec
from hasrd.codec.inference import prepare
torch.set_num_threads(1)
codec = Codec.from_config({config})
codec = prepare(codec) if {prepared} else codec.eval()
codec.decode(codec.encode(torch.zeros(1, 16000)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seconds = {seconds}
decoded = codec.decode(codec.encode(0.1 * torch.randn(1, 16000 * seconds)))
assert decoded.shape == (1, 16000 * seconds)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.parametrize("name, prepared, most", [("dac", False, 400), ("dac", True, 85), ("sepconv", True, 85)])
def test_memory_does_not_grow_with_activations(name, prepared, most):
    """Two minutes of a small DAC: an activation at the highest rate is 61 MB, the wave itself 8 MB."""
    config = {**CONFIGS[name], "decoder_conf": {"channels": 128, "separable": True}}
    if name == "dac":
        config["encoder_conf"] = {"channels": 8, "output_size": 16}
    code = MEMORY.format(config=config, prepared=prepared, seconds=120)
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=200)
    assert int(result.stdout) < most * 1e6
