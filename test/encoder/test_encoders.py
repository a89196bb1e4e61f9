# Copyright 2026 The hasrd authors
# Apache-2.0
"""What every encoder promises: padding, lengths, sizes."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_encoders import SMALL

from hasrd.encoder import CHOICES
from hasrd.encoder.cnn import ConvEncoder, LogMelCNN
from hasrd.encoder.cnn_conformer import CNNConformer, Conv2dConformer
from hasrd.encoder.dac import DACEncoder
from hasrd.registry import resolve


def parameters(module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def encoders():
    torch.manual_seed(0)
    return {name: resolve(CHOICES, name, allow_import=False)(**conf).eval() for name, conf in SMALL.items()}


def test_choices_are_all_tested():
    # One needs ESPnet (test/espnet/test_ssl_encoder.py), one has nothing to train (test/frontend/test_mfcc.py).
    assert set(CHOICES) == {*SMALL, "espnet_ssl", "frames"}


def noisy_spans(feats, stride):
    """Half of the spans of `stride` frames become noise, as in pre-training."""
    spans = torch.rand(feats.shape[0], feats.shape[1] // stride + 1, 1) < 0.5
    noise = spans.repeat_interleave(stride, 1)[:, : feats.shape[1]]
    return torch.where(noise, 0.1 * torch.randn_like(feats), feats)


@pytest.mark.parametrize("name", SMALL)
@settings(max_examples=10, deadline=None)
@given(tokens=st.lists(st.floats(0, 22), min_size=1, max_size=4), masked=st.booleans(), seed=st.integers(0, 99))
def test_batch_equals_alone(encoders, name, tokens, masked, seed):
    encoder, input_size = encoders[name], SMALL[name]["input_size"]
    torch.manual_seed(seed)
    lengths = torch.tensor([*(int(count * encoder.stride) for count in tokens), encoder.stride])
    feats = torch.randn(len(lengths), int(lengths.max()), input_size)
    if masked:
        feats = noisy_spans(feats, encoder.stride)
    for row, length in zip(feats, lengths):
        row[length:] = torch.nan  # nothing that stands in the padding may leak
    with torch.no_grad():
        batch = encoder(feats, lengths)
        assert torch.equal(batch.lengths, encoder.num_tokens(lengths))
        assert len(batch.layers) == encoder.num_layers
        shape = (len(lengths), encoder.num_tokens(int(lengths.max())), encoder.output_size)
        for i, length in enumerate(lengths):
            alone = encoder(feats[i : i + 1, :length], length[None])
            tokens = encoder.num_tokens(int(length))
            for together, single in zip(batch.layers, alone.layers, strict=True):
                assert together.shape == shape
                assert single.shape == (1, tokens, encoder.output_size)
                torch.testing.assert_close(together[i, :tokens], single[0], atol=1e-4, rtol=0)
                assert not together[i, tokens:].any()


@pytest.mark.parametrize("name", SMALL)
def test_a_batch_with_an_empty_utterance_trains(name):
    torch.manual_seed(0)
    encoder = resolve(CHOICES, name, allow_import=False)(**SMALL[name])
    num_frames = 16 * encoder.stride + encoder.input_window
    feats = torch.randn(2, num_frames, SMALL[name]["input_size"])
    output = encoder(feats, torch.tensor([num_frames, 0]))
    sum(layer.square().sum() for layer in output.layers).backward()
    assert not output.last[1].any()
    assert all(parameter.grad.isfinite().all() for parameter in encoder.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_first_token_needs_input_window(encoders, name):
    encoder, input_size = encoders[name], SMALL[name]["input_size"]
    feats = torch.randn(1, encoder.input_window, input_size)
    assert encoder(feats, torch.tensor([feats.shape[1]])).last.shape[1] == 1
    assert encoder(feats[:, 1:], torch.tensor([feats.shape[1] - 1])).last.shape[1] == 0


def test_later_frames_change_nothing_far_before(encoders):
    encoder = encoders["log_mel_cnn"]
    feats = torch.randn(1, 400, 10)
    changed = feats.clone()
    changed[:, 300:] += 1.0
    lengths = torch.tensor([400])
    difference = (encoder(feats, lengths).last - encoder(changed, lengths).last)[0].abs().sum(1)
    # 39 frames at the first rate, 39 at half of it, and the strided and the last kernels.
    reached = int(difference.nonzero()[0])
    assert 40 < reached < 75 and difference[75:].all()


@pytest.mark.parametrize("name", ["cnn_conformer", "conv2d_conformer"])
def test_layer_0_has_the_scale_of_the_others(encoders, name):
    encoder = encoders[name]
    feats = 30 * torch.randn(1, 200, 10)
    for layer in encoder(feats, torch.tensor([200])).layers:
        assert 0.5 < layer.square().mean().sqrt() < 2.0


@pytest.fixture
def meta_device():
    with torch.device("meta"):
        yield


@pytest.mark.usefixtures("meta_device")
def test_parameter_counts_are_the_papers():
    # Exact in the paper (76.6 M with decoder and quantizer): DAC's own encoder.
    assert parameters(DACEncoder()) == 22_307_968
    # "DAC+fbank" 68.0 M and "DAC+fbank+SepConv" 48.0 M with DAC's quantizer and the decoders.
    quantizer, decoder, separable_decoder = 239_760, 54_104_162, 40_042_562
    assert parameters(LogMelCNN()) + quantizer + decoder == 68_017_138
    separable = parameters(LogMelCNN(separable=True)) + quantizer + separable_decoder
    assert separable == 48_078_034
    # "BestRQ+" 62.0 M with its head, and the encoder of "HASRD (BestRQ+)".
    best_rq = parameters(CNNConformer(attention_dim=516)) + 516 * 8192 + 8192
    assert best_rq == 62_005_724
    assert parameters(CNNConformer(attention_dim=768)) == 102_475_008
    # "BestRQ (baseline)" 106.0 M with its head.
    assert parameters(Conv2dConformer()) + 512 * 8192 + 8192 == 105_907_616


def test_strides_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 strides need 3 channels"):
        ConvEncoder(1, (4, 8), (2, 2), 4, 7)


@pytest.mark.parametrize("name", ["cnn_conformer", "conv2d_conformer"])
def test_bf16_stays_close(encoders, name):
    encoder = encoders[name]
    feats, lengths = torch.randn(2, 80, 10), torch.tensor([80, 33])
    with torch.no_grad():
        full = encoder(feats, lengths)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = encoder(feats, lengths)
        half = copy.deepcopy(encoder).to(torch.bfloat16)(feats.bfloat16(), lengths)
    assert half.last.dtype == torch.bfloat16
    for exact, *others in zip(full.layers, mixed.layers, half.layers):
        for other in others:
            assert (exact - other).square().mean() < 1e-3 * exact.square().mean()


def test_conv2d_in_tiles_is_the_same(encoders, monkeypatch):
    cnn = encoders["conv2d_conformer"].cnn
    feats, lengths = torch.randn(2, 203, 10), torch.tensor([203, 110])
    with torch.no_grad():
        whole = cnn(feats, lengths).last
        monkeypatch.setattr("hasrd.encoder.conv2d.CHUNK", 7)
        torch.testing.assert_close(cnn(feats, lengths).last, whole, atol=1e-5, rtol=0)
