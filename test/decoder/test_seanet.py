# Copyright 2026 The hasrd authors
# Apache-2.0
"""SEANet's decoder: lengths, tiles."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.decoder.seanet import SEANetDecoder
from hasrd.encoder import seanet_layers


@given(strides=st.lists(st.integers(2, 6), min_size=1, max_size=3), tokens=st.integers(1, 9))
@settings(deadline=None, max_examples=30)
def test_hop_samples_a_token(strides, tokens):
    decoder = SEANetDecoder(3, channels=2, strides=strides)
    assert decoder.hop == math.prod(strides)
    assert decoder(torch.randn(2, tokens, 3)).shape == (2, tokens * decoder.hop)


def test_strides_that_do_not_work():
    with pytest.raises(ValueError, match="at least 2"):
        SEANetDecoder(3, strides=(4, 1))


def test_tiles_change_nothing(monkeypatch):
    torch.manual_seed(0)
    decoder = SEANetDecoder(8, channels=4)
    latent = torch.randn(2, 17, 8)
    whole = decoder(latent).detach()
    monkeypatch.setattr(seanet_layers, "TILE", 4)
    calls = []
    decoder.last.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        tiled = decoder(latent)
    assert len(calls) == 5
    torch.testing.assert_close(tiled, whole, atol=1e-5 * float(whole.std()), rtol=1e-5)


def test_the_context_of_a_tile_is_what_a_sample_depends_on():
    torch.manual_seed(0)
    decoder = SEANetDecoder(8, channels=4)
    x = torch.randn(1, 64, 12, requires_grad=True)
    decoder._upsample(x, torch.tensor([12]))[..., 320 * 6 : 320 * 7].sum().backward()
    reached = x.grad.abs().sum(1)[0].nonzero().squeeze(1)
    assert 6 - decoder.context <= int(reached.min()) < 6 < int(reached.max()) <= 6 + decoder.context
    assert decoder.context == 2


def test_autocast():
    decoder = SEANetDecoder(8, channels=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wave = decoder(torch.randn(1, 4, 8))
    assert wave.dtype == torch.float32
    wave.sum().backward()
