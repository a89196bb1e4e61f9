# Copyright 2026 The hasrd authors
# Apache-2.0
"""DAC's decoder: the official one on equal weights, sizes and lengths."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.decoder.dac import DACDecoder
from hasrd.decoder.seanet import SEANetDecoder


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_number_of_parameters():
    assert count(DACDecoder(1024)) == 54_104_162


def test_equals_dac():
    official_module = pytest.importorskip(
        "dac.model.dac", reason="the official DAC is not installed: it comes with the extra dev"
    )
    torch.manual_seed(0)
    official = official_module.Decoder(24, 64, [8, 8, 4, 2])
    ours = DACDecoder(24, channels=64)
    theirs, mine = list(official.parameters()), list(ours.parameters())
    assert len(theirs) == len(mine)
    with torch.no_grad():
        for a, b in zip(mine, theirs):
            a.copy_(b.reshape(a.shape) + 0.01 * torch.randn(a.shape))
            b.copy_(a.reshape(b.shape))
    latent = torch.randn(2, 11, 24)
    wave = ours(latent)
    assert wave.abs().max() > 1e-3
    assert torch.allclose(wave, official(latent.mT).squeeze(1), atol=1e-5)


@given(
    strides=st.lists(st.integers(2, 6), min_size=1, max_size=3),
    tokens=st.integers(1, 9),
    separable=st.booleans(),
)
@settings(deadline=None, max_examples=30)
def test_hop_samples_a_token(strides, tokens, separable):
    decoder = DACDecoder(3, channels=16, strides=strides, separable=separable)
    assert decoder.hop == math.prod(strides)
    assert decoder(torch.randn(2, tokens, 3)).shape == (2, tokens * decoder.hop)


def test_strides_that_do_not_work():
    with pytest.raises(ValueError, match="at least 2"):
        DACDecoder(3, strides=(4, 1))


@pytest.mark.parametrize(
    "make", [lambda: DACDecoder(8, channels=32, separable=True), lambda: SEANetDecoder(8, channels=4, lstm_layers=1)]
)
def test_autocast_makes_samples_in_float32(make):
    torch.manual_seed(0)
    decoder = make()
    latent = torch.randn(1, 4, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wave = decoder(latent)
    assert wave.dtype == torch.float32 and wave.abs().max() <= 1
    assert not torch.equal(wave, wave.bfloat16().float()), "more than the 8 bits of bfloat16"
    wave.sum().backward()
    assert all(parameter.grad is not None for parameter in decoder.parameters())
