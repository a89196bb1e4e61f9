# Copyright 2026 The hasrd authors
# Apache-2.0
"""SEANet's encoder and the layers that its decoder shares."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.encoder import seanet_layers
from hasrd.encoder.seanet import SEANetEncoder
from hasrd.encoder.seanet_layers import ResidualLSTM, reflect


@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    left=st.integers(0, 5),
    right=st.integers(0, 5),
)
@settings(deadline=None, max_examples=100)
def test_reflection_is_each_items_own(lengths, left, right):
    x = torch.randn(len(lengths), 2, 12)
    padded = reflect(x, torch.tensor(lengths), left, right)
    assert padded.shape == (len(lengths), 2, left + 12 + right)
    for item, out, length in zip(x, padded, lengths):
        # torch refuses to reflect what is too short; zeros go before that.
        zeros = max(0, max(left, right) + 1 - length)
        alone = F.pad(F.pad(item[None, :, :length], (0, zeros)), (left, right), "reflect")[0]
        assert torch.equal(out[:, : left + length + right], alone[:, : left + length + right])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_lstm_is_torchs(bidirectional):
    torch.manual_seed(0)
    ours, theirs = ResidualLSTM(6, 2, bidirectional), torch.nn.LSTM(6, 6, 2, True, True, bidirectional=bidirectional)
    with torch.no_grad():
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            a.copy_(b)
    x, lengths = torch.randn(3, 9, 6), [9, 4, 1]
    out = ours(x, torch.tensor(lengths))
    for item, got, length in zip(x, out, lengths):
        alone = theirs(item[None, :length])[0][0] + item[:length].repeat(1, ours.directions)
        torch.testing.assert_close(got[:length], alone, atol=1e-6, rtol=1e-5)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return SEANetEncoder(channels=4, output_size=8).eval()


def test_a_fresh_encoder_hears_its_input():
    """Of noise as quiet as speech, the output varies more than it is offset, and is about as large."""
    torch.manual_seed(0)
    encoder, noise = SEANetEncoder(channels=8, output_size=64), 0.05 * torch.randn(2, 320 * 20, 1)
    last = encoder(noise, torch.tensor([320 * 20] * 2)).last.flatten(0, 1)
    spread, offset = last.std(dim=0).square().mean().sqrt(), last.mean(dim=0).square().mean().sqrt()
    assert spread > 2 * offset and 0.05 < spread < 0.5


def test_tiles_change_nothing(encoder, monkeypatch):
    """Of an utterance that ends in a tile, before it and behind it."""
    monkeypatch.setattr(seanet_layers, "TILE", 4)
    wave, lengths = torch.randn(4, 320 * 17 + 100, 1), torch.tensor([320 * 17 + 100, 320 * 9, 320 * 4, 320])
    whole = encoder(wave, lengths).last
    with torch.no_grad():
        calls = []
        encoder.first.register_forward_hook(lambda *_: calls.append(1))
        tiled = encoder(wave, lengths).last
    assert len(calls) == 5
    scale = whole.std()
    torch.testing.assert_close(tiled, whole, atol=1e-5 * float(scale), rtol=1e-5)


def test_the_context_of_a_tile_is_what_a_token_depends_on(encoder):
    """A token's gradient reaches 3 + 1 (1 + 1) + 2 (1 + 2) + 8 (1 + 3) + 40 (1 + 4) samples before it."""
    wave = torch.randn(1, 1, 320 * 12, requires_grad=True)
    encoder._convolve(wave, torch.tensor([320 * 12]))[..., 6].sum().backward()
    reached = wave.grad[0, 0].nonzero().squeeze(1)
    before, behind = 320 * 6 - int(reached.min()), int(reached.max()) - (320 * 7 - 1)
    assert max(before, behind) == before == 243 and encoder.context == 1


def test_a_tail_is_dropped(encoder):
    wave = torch.randn(1, 320 * 3, 1)
    longer = F.pad(wave, (0, 0, 0, 319), value=1.0)
    for lengths in (960, 1279):
        out = encoder(longer, torch.tensor([lengths]))
        assert out.lengths.tolist() == [3]
        torch.testing.assert_close(out.last, encoder(wave, torch.tensor([960])).last)


def test_autocast_stays_close(encoder):
    wave, lengths = torch.randn(2, 3200, 1), torch.tensor([3200, 1000])
    with torch.no_grad():
        full = encoder(wave, lengths).last
        with torch.autocast("cpu", torch.bfloat16):
            half = encoder(wave, lengths).last
    assert (full - half).square().mean() < 1e-2 * full.square().mean()
