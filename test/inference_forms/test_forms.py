# Copyright 2026 The hasrd authors
# Apache-2.0
"""The forms for inference on a CPU: the trained module's output, in tiles or not."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.codec.inference import inference_form
from hasrd.decoder.dac import DACDecoder
from hasrd.encoder.cnn import ConvEncoder, LogMelCNN
from hasrd.encoder.depthwise import depthwise_valid
from hasrd.encoder.tiles import in_tiles
from hasrd.inference_forms import FORMS, cnn, dac, form_of, layers

STRIDES = st.lists(st.integers(2, 5), min_size=1, max_size=3)


def random(module):
    """With alphas and biases as a training leaves them: all different, one alpha nearly 0."""
    torch.manual_seed(0)
    for name, parameter in module.named_parameters():
        if name.endswith("alpha"):
            parameter.data.uniform_(0.3, 2.0)
            parameter.data[0, 0] = 1e-9
        elif name.endswith("bias"):
            parameter.data.normal_(0.0, 0.3)
    return module.eval().requires_grad_(False)


def set_tiles(monkeypatch, tile, chunk):
    for module in (cnn, dac):
        monkeypatch.setattr(module, "TILE", tile)
        monkeypatch.setattr(module, "CHUNK", chunk)


@pytest.mark.parametrize("up, down", [(1, 1), (3, 1), (1, 3)])
@given(number=st.integers(1, 60), size=st.integers(1, 20), reach=st.integers(0, 6))
@settings(deadline=None, max_examples=25)
def test_tiles_make_the_whole(up, down, number, size, reach):
    """A sum over neighbours, of every `down`-th frame or `up` times."""
    x = torch.arange(1.0, number + 1)[:, None]
    calls = []

    def step(low, high):
        calls.append(high - low)
        padded = torch.nn.functional.pad(x[low:high], (0, 0, reach, reach))
        total = padded.unfold(0, 2 * reach + 1, 1).sum(-1)
        return total[: (high - low) // down * down : down].repeat_interleave(up, 0)

    tiled = in_tiles(step, number, size, reach, up, down)
    assert max(calls) <= max(size, down) + 2 * (reach + down) + down
    assert torch.equal(tiled, step(0, number))


@pytest.mark.parametrize("dilation", [1, 3, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_depthwise_valid(dilation, dtype):
    torch.manual_seed(0)
    for channels in (5, 32):
        x, weight = torch.randn(70, channels).to(dtype), torch.randn(channels, 1, 7).to(dtype)
        expected = torch.nn.functional.conv1d(x.float().mT, weight.float(), dilation=dilation, groups=channels).mT
        actual = depthwise_valid(x, weight, dilation)
        assert actual.dtype == dtype
        torch.testing.assert_close(actual.float(), expected, atol=0.1 if dtype == torch.bfloat16 else 1e-5, rtol=0.01)


def test_square_sine():
    x = torch.linspace(-50, 50, 100001, dtype=torch.float64)
    assert (layers.square_sine(x) - x.sin().square()).abs().max() < 3e-8
    assert (layers.square_sine(x.float()) - x.float().double().sin().square()).abs().max() < 1e-5
    assert layers.square_sine(torch.zeros(3)).eq(0).all()


@given(
    strides=STRIDES,
    tokens=st.integers(1, 40),
    separable=st.booleans(),
    tile=st.integers(5, 60),
    chunk=st.integers(3, 50),
)
@settings(deadline=None, max_examples=15)
def test_decoder(strides, tokens, separable, tile, chunk):
    decoder = random(DACDecoder(5, channels=24, strides=strides, separable=separable))
    latent = torch.randn(2, tokens, 5)
    form = form_of(decoder)(decoder, torch.float32)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        set_tiles(patch, tile, chunk)
        wave = form(latent)
        expected = decoder(latent)
    assert wave.shape == (2, tokens * math.prod(strides)) and wave.dtype == torch.float32
    torch.testing.assert_close(wave, expected, atol=1e-5, rtol=0)


@given(
    strides=STRIDES,
    lengths=st.lists(st.integers(0, 400), min_size=1, max_size=3),
    input_size=st.sampled_from([1, 6]),
    first_kernel=st.sampled_from([1, 7]),
    separable=st.booleans(),
    tile=st.integers(5, 60),
    chunk=st.integers(1, 20),
)
@settings(deadline=None, max_examples=15)
def test_encoder(strides, lengths, input_size, first_kernel, separable, tile, chunk):
    channels = [6 * 2**i for i in range(len(strides) + 1)]
    encoder = random(ConvEncoder(input_size, channels, strides, 7, first_kernel, separable))
    lengths = torch.tensor(lengths)
    feats = torch.randn(len(lengths), int(lengths.max()), input_size)
    for item, length in zip(feats, lengths):
        item[length:] = torch.nan
    before = feats.clone()
    form = form_of(encoder)(encoder, torch.float32)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        set_tiles(patch, tile, chunk)
        output = form(feats, lengths)
        expected = encoder(feats, lengths)
    assert torch.equal(feats.nan_to_num(9.0), before.nan_to_num(9.0)), "the input was overwritten"
    assert torch.equal(output.lengths, expected.lengths)
    torch.testing.assert_close(output.last, expected.last, atol=1e-5, rtol=0)


@given(tokens=st.integers(1, 60), chunk=st.integers(1, 20))
@settings(deadline=None, max_examples=15)
def test_the_trained_modules_cut_what_is_long_too(tokens, chunk):
    """Without gradients; with them nothing is cut."""
    decoder = random(DACDecoder(5, channels=16, strides=(3, 2)))
    encoder = random(ConvEncoder(2, (4, 8, 8), (2, 3), 5, 7))
    latent, feats = torch.randn(2, tokens, 5), torch.randn(2, 6 * tokens + 4, 2)
    lengths = torch.tensor([6 * tokens + 4, 3 * tokens])
    wave, layer = decoder(latent), encoder(feats, lengths).last
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr("hasrd.decoder.dac.CHUNK", chunk)
        patch.setattr("hasrd.encoder.cnn.CHUNK", chunk)
        torch.testing.assert_close(decoder(latent), wave, atol=1e-5, rtol=0)
        torch.testing.assert_close(encoder(feats, lengths).last, layer, atol=1e-5, rtol=0)


def test_bfloat16():
    decoder = random(DACDecoder(32, channels=64, separable=True))
    latent = torch.randn(1, 9, 32)
    wave = form_of(decoder)(decoder, torch.bfloat16)(latent.bfloat16())
    assert wave.dtype == torch.float32
    assert (wave - decoder(latent)).square().mean() < 0.02 * decoder(latent).square().mean()
    encoder = random(ConvEncoder(1, (32, 64), (4,), 16, 7, separable=True))
    feats, lengths = torch.randn(1, 200, 1), torch.tensor([200])
    layer = form_of(encoder)(encoder, torch.bfloat16)(feats, lengths).last
    expected = encoder(feats, lengths).last
    assert layer.dtype == torch.bfloat16 and (layer - expected).square().mean() < 0.02 * expected.square().mean()


def test_a_class_has_the_form_of_what_it_inherits_from(monkeypatch):
    assert form_of(LogMelCNN(4, (4, 8), 8)) is cnn.FramesEncoder and form_of(torch.nn.Linear(1, 1)) is None

    class Own(LogMelCNN):
        pass

    monkeypatch.setitem(FORMS, Own, lambda module, dtype: module.to(dtype))
    own = Own(4, (4, 8), 8).eval()
    assert inference_form(own, torch.bfloat16) is own and own.first.weight.dtype == torch.bfloat16


def test_the_trained_classes_do_not_know_them():
    code = "import sys, hasrd.decoder.dac, hasrd.encoder.cnn_conformer; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "hasrd.encoder.tiles" in done.stdout and "hasrd.inference_forms" not in done.stdout


def test_shared_memory_follows_its_input():
    scratch = layers.Scratch()
    for device in ("cpu", "meta", "cpu"):
        assert scratch.rows("a", 3, 2, torch.zeros(1, device=device)).device.type == device
