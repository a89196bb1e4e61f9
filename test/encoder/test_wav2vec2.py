# Copyright 2026 The hasrd authors
# Apache-2.0
"""The family of wav2vec 2.0: HuBERT equals torchaudio's on equal weights; lengths, blocks, types of all of them.

That they equal transformers' is tested with their importers.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hasrd.encoder import transformer_block, wav2vec2
from hasrd.encoder.data2vec import Data2Vec
from hasrd.encoder.hubert import HuBERT
from hasrd.encoder.wav2vec2 import CONV_LAYERS
from hasrd.encoder.wavlm import WavLM
from hasrd.models.import_wav2vec2 import from_tensors

NARROW = [[16, kernel, stride] for _, kernel, stride in CONV_LAYERS]
SMALL = {
    "conv_layers": NARROW,
    "attention_dim": 32,
    "attention_heads": 2,
    "linear_units": 48,
    "num_blocks": 2,
    "position_kernel": 16,
    "position_groups": 4,
}


def randomise(module):
    """Make every parameter count, norms and biases too."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter) * parameter.std(correction=0).clamp(min=0.3))
    return module.eval()


@pytest.fixture(scope="module")
def small():
    return randomise(HuBERT(1, **SMALL)).requires_grad_(False)


@pytest.fixture(scope="module", params=[HuBERT, WavLM, Data2Vec])
def kin(request):
    return randomise(request.param(1, **SMALL)).requires_grad_(False)


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
def test_it_is_torchaudios(large):
    models = pytest.importorskip("torchaudio.models")
    reference = randomise(
        models.wav2vec2_model(
            extractor_mode="layer_norm" if large else "group_norm",
            extractor_conv_layer_config=[tuple(layer) for layer in NARROW],
            extractor_conv_bias=large,
            encoder_embed_dim=128,
            encoder_projection_dropout=0.1,
            encoder_pos_conv_kernel=128,
            encoder_pos_conv_groups=16,
            encoder_num_layers=3,
            encoder_num_heads=2,
            encoder_attention_dropout=0.1,
            encoder_ff_interm_features=96,
            encoder_ff_interm_dropout=0.1,
            encoder_dropout=0.1,
            encoder_layer_norm_first=large,
            encoder_layer_drop=0.1,
            aux_num_out=None,
        )
    )
    config, front = from_tensors(reference.state_dict(), "hubert", None, "torchaudio")
    assert config["encoder_conf"].get("norm_first", False) == large
    # Low frequencies far stronger than the rest, as in speech.
    wave = torch.randn(2, 24_321).cumsum(1)
    wave = 0.3 * wave / wave.abs().max() + 0.01 * torch.randn_like(wave)
    with torch.no_grad():
        ours = front(wave, torch.full((2,), wave.shape[1]))
        layers, _ = reference.extract_features(wave)
        last, _ = reference(wave)
        features, _ = reference.feature_extractor(wave, None)
        first = reference.encoder.transformer._preprocess(reference.encoder.feature_projection(features))
    expected = [first, *layers[:-1], last]
    assert len(ours.layers) == front.encoder.num_layers == 4
    for actual, layer in zip(ours.layers, expected, strict=True):
        torch.testing.assert_close(actual, layer, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "cls, size",
    # The base models of transformers, with weight norm and without the mask's embedding.
    [(HuBERT, 94_370_944), (WavLM, 94_381_168), (Data2Vec, 93_163_520)],
)
def test_size_is_the_published_one(cls, size):
    with torch.device("meta"):
        encoder = cls()
    assert sum(parameter.numel() for parameter in encoder.parameters()) == size
    assert (encoder.stride, encoder.input_window, encoder.num_layers, encoder.output_size) == (320, 400, 13, 768)


LAYER = st.tuples(st.just(2), st.integers(1, 9), st.integers(1, 5))


@given(frames=st.integers(0, 5000), layers=st.lists(LAYER, min_size=1))
def test_num_tokens_is_the_convolutions(frames, layers):
    with torch.device("meta"):
        encoder = HuBERT(1, layers, attention_dim=32, attention_heads=1, num_blocks=1)
    left = frames
    for _, kernel, stride in layers:
        left = max(0, (left - kernel) // stride + 1)
    assert encoder.num_tokens(frames) == int(encoder.num_tokens(torch.tensor(frames))) == left


@pytest.mark.parametrize("conv_norm", ["group", "layer"])
def test_lengths_of_the_real_strides(conv_norm):
    encoder = randomise(HuBERT(1, **SMALL, conv_norm=conv_norm)).requires_grad_(False)
    lengths = torch.tensor([160, 399, 400, 719, 720, 16_000, 0, 20_001])
    feats = torch.randn(len(lengths), 20_001, 1)
    batch = encoder(feats, lengths)
    assert batch.lengths.tolist() == [0, 0, 1, 1, 2, 49, 0, 62]
    for row, length in enumerate(lengths.tolist()):
        alone = encoder(feats[row : row + 1, :length], lengths[row : row + 1])
        for together, single in zip(batch.layers, alone.layers, strict=True):
            tokens = single.shape[1]
            torch.testing.assert_close(together[row, :tokens], single[0], atol=1e-5, rtol=0)
            assert not together[row, tokens:].any()


def test_blocks_change_nothing(kin, monkeypatch):
    feats, lengths = torch.randn(3, 40_000, 1), torch.tensor([40_000, 12_345, 30_000])
    whole = kin(feats, lengths)
    largest = []
    attend = transformer_block.attend
    monkeypatch.setattr(transformer_block, "attend", lambda q, *rest: largest.append(q.shape[2]) or attend(q, *rest))
    monkeypatch.setattr(wav2vec2, "CPU_BLOCK", 7)
    monkeypatch.setattr(transformer_block, "ATTENTION_BLOCK", 3 * 2 * 124 * 10)
    blocked = kin(feats, lengths)
    assert set(largest) == {10, 4}  # of 124 queries
    for one, other in zip(whole.layers, blocked.layers, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_level_and_offset_do_not_matter(small):
    # The group norm takes them out; its statistics must not suffer from an offset.
    feats, lengths = torch.randn(1, 8000, 1), torch.tensor([8000])
    reference = small(feats, lengths).last
    torch.testing.assert_close(small(0.2 * feats + 3.0, lengths).last, reference, atol=1e-2, rtol=0)
    assert small(torch.zeros(1, 8000, 1), lengths).last.isfinite().all()


@pytest.mark.parametrize("cls, conf", [(HuBERT, {}), (HuBERT, {"norm_first": True}), (WavLM, {}), (Data2Vec, {})])
def test_bfloat16_stays_close(cls, conf):
    encoder = randomise(cls(1, **SMALL, **conf)).requires_grad_(False)
    feats, lengths = torch.randn(2, 16_000, 1), torch.tensor([16_000, 9000])
    full = encoder(feats, lengths).last
    encoder.to(torch.bfloat16)
    for samples in (feats, feats.bfloat16()):
        half = encoder(samples, lengths).last
        assert half.dtype == torch.bfloat16
        assert (full - half).square().mean() < 2e-3 * full.square().mean()


def test_autocast_stays_close(kin):
    feats, lengths = torch.randn(2, 16_000, 1), torch.tensor([16_000, 9000])
    with torch.autocast("cpu", torch.bfloat16):
        half = kin(feats, lengths).last
    full = kin(feats, lengths).last
    assert (full - half).square().mean() < 2e-3 * full.square().mean()


def test_sizes_that_do_not_fit_are_refused():
    for conf, message in (
        ({"input_size": 80}, "frontend raw"),
        ({"conv_norm": "batch"}, "group or layer"),
        ({"attention_heads": 7}, "no multiple of 7"),
    ):
        with pytest.raises(ValueError, match=message):
            HuBERT(**conf)
