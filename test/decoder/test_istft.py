# Copyright 2026 The hasrd authors
# Apache-2.0
"""The inverse STFT and its decoder."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.decoder.istft import ISTFT, ISTFTDecoder

SIZES = [(512, 128), (1024, 256), (64, 32), (48, 16)]


def stft(wave, n_fft, hop):
    """The transform that ISTFT inverts, frame by frame."""
    padding = (n_fft - hop) // 2
    padded = torch.nn.functional.pad(wave, (padding, padding))
    window = torch.hann_window(n_fft, dtype=wave.dtype)
    return torch.fft.rfft(padded.unfold(1, n_fft, hop) * window)


@pytest.mark.parametrize("n_fft, hop", SIZES)
@pytest.mark.parametrize("frames", [1, 2, 3, 17])
def test_perfect_reconstruction(n_fft, hop, frames):
    wave = torch.randn(2, frames * hop)
    spectrum = stft(wave, n_fft, hop)
    assert spectrum.shape[1] == frames
    assert torch.allclose(ISTFT(n_fft, hop)(spectrum), wave, atol=1e-5)


def test_inconsistent_spectrum_is_the_least_squares_signal():
    # Griffin & Lim: among all signals none has an STFT nearer to the given one.
    n_fft, hop = 64, 16
    spectrum = torch.randn(1, 9, 33, dtype=torch.complex128)
    spectrum[..., [0, -1]] = spectrum[..., [0, -1]].real + 0j
    module = ISTFT(n_fft, hop).double()
    wave = module(spectrum).requires_grad_()
    frames = torch.fft.irfft(spectrum, n=n_fft)
    padding = (n_fft - hop) // 2
    padded = torch.nn.functional.pad(wave, (padding, padding)).unfold(1, n_fft, hop)
    (padded * torch.hann_window(n_fft).double() - frames).square().sum().backward()
    assert wave.grad.abs().max() < 1e-6


def test_gradients():
    module = ISTFT(16, 4).double()
    spectrum = torch.randn(1, 5, 9, dtype=torch.complex128)
    spectrum[..., [0, -1]] = spectrum[..., [0, -1]].real + 0j
    real = torch.view_as_real(spectrum).requires_grad_()
    torch.autograd.gradcheck(lambda x: module(torch.view_as_complex(x)), (real,))


@pytest.mark.parametrize("n_fft, hop", [(512, 512), (500, 128), (45, 15), (6, 1)])
def test_sizes_that_do_not_work(n_fft, hop):
    if (n_fft - hop) % 2 or n_fft % hop or n_fft < 2 * hop:
        with pytest.raises(ValueError, match="n_fft"):
            ISTFT(n_fft, hop)
    else:
        ISTFT(n_fft, hop)


def small(**conf):
    torch.manual_seed(0)
    return ISTFTDecoder(6, **{"dim": 16, "num_layers": 2, "token_layers": 1, "intermediate": 24, **conf})


@given(tokens=st.integers(1, 12), upsample=st.integers(1, 5))
@settings(deadline=None, max_examples=20)
def test_hop_samples_a_token(tokens, upsample):
    decoder = small(upsample=upsample, n_fft=64, hop_length=16)
    assert decoder.hop == 16 * upsample
    assert decoder(torch.randn(2, tokens, 6)).shape == (2, tokens * decoder.hop)


@pytest.mark.parametrize("token_layers", [0, 2])
def test_blocks_are_shared_between_the_rates(token_layers):
    decoder = small(token_layers=token_layers)
    assert len(decoder.token_blocks) == token_layers
    assert decoder(torch.randn(1, 3, 6)).shape == (1, 3 * 512)
    with pytest.raises(ValueError, match="token_layers 3"):
        small(token_layers=3)


def test_default_is_one_token_of_512_samples():
    assert small().hop == 512


def test_magnitude_is_bounded():
    decoder = small()
    with torch.no_grad():
        decoder.spectrum.bias[:257] = 100.0
    wave = decoder(torch.randn(1, 3, 6))
    assert torch.isfinite(wave).all() and wave.abs().max() < 1e3


def test_autocast_and_training():
    decoder = small()
    latent = torch.randn(2, 5, 6, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wave = decoder(latent)
    assert wave.dtype == torch.float32
    wave.square().mean().backward()
    assert latent.grad.abs().sum() > 0
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in decoder.parameters())
    assert torch.allclose(wave, decoder(latent), atol=0.1)
