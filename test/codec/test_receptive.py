# Copyright 2026 The hasrd authors
# Apache-2.0
"""What is derived from the layers, against what a model's gradients say."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from hasrd.codec.receptive import looks_back, reaches
from hasrd.decoder.dac import DACDecoder
from hasrd.decoder.istft import ISTFTDecoder
from hasrd.decoder.seanet import SEANetDecoder
from hasrd.encoder.cnn import LogMelCNN
from hasrd.encoder.cnn_conformer import CNNConformer
from hasrd.encoder.dac import DACEncoder
from hasrd.encoder.hubert import HuBERT
from hasrd.encoder.seanet import SEANetEncoder
from hasrd.frontend.log_mel import LogMel

ENCODERS = {
    "log_mel_cnn": (LogMelCNN(4, (4, 4, 4), 4), (2, 2)),
    "separable": (LogMelCNN(4, (4, 4, 4), 4, separable=True), (2, 2)),
    "dac": (DACEncoder(1, 2, (2, 4, 8), 4), (2, 4, 8)),
    "dac, odd strides": (DACEncoder(1, 2, (3, 5), 4), (3, 5)),
}


@pytest.mark.parametrize("encoder, strides", ENCODERS.values(), ids=ENCODERS)
def test_encoders(encoder, strides):
    torch.manual_seed(0)
    encoder = encoder.double().eval()
    found = looks_back(encoder)
    assert found.strides == strides and found.note == ""
    frames = (2 * found.size // encoder.stride + 4) * encoder.stride
    # In float64: the gradient at the ends is a product of many small weights.
    feats = torch.randn(1, frames, encoder.first.in_channels, dtype=torch.float64, requires_grad=True)
    layer = encoder(feats, torch.tensor([frames])).last
    layer[0, layer.shape[1] // 2].sum().backward()
    seen = feats.grad[0].abs().sum(1).nonzero()
    assert seen.max() - seen.min() + 1 == found.size < frames


DECODERS = {
    "dac": (DACDecoder(4, 8, (3,)).double(), (3,)),
    "separable": (DACDecoder(4, 8, (2, 2), separable=True).double(), (2, 2)),
    "istft": (ISTFTDecoder(4, 4, 2, 8, 1, 2, 8, 4), (2, 4)),
}


@pytest.mark.parametrize("decoder, factors", DECODERS.values(), ids=DECODERS)
def test_decoders(decoder, factors):
    torch.manual_seed(0)
    found = reaches(decoder)
    assert found.strides == factors and found.note == ""
    tokens = found.size // decoder.hop + 6
    dtype = next(decoder.parameters()).dtype
    latent = torch.randn(1, tokens, 4, dtype=dtype, requires_grad=True)
    wave = decoder(latent)[0]
    middle = [torch.autograd.grad(sample, latent, retain_graph=True)[0][0, tokens // 2] for sample in wave]
    touched = torch.stack(middle).abs().sum(1).nonzero()
    assert touched.max() - touched.min() + 1 == found.size < len(wave)


def test_a_frame_of_log_mel_depends_on_its_window():
    frontend = LogMel()
    wave = torch.randn(1, 2000).mul(0.1)
    length = torch.tensor([2000])
    before = frontend(wave, length)[0]
    start = 4 * frontend.frame_shift
    for sample, changes in ((start - 1, False), (start, True), (start + 399, True), (start + 400, False)):
        other = wave.clone()
        other[0, sample] += 0.5
        assert torch.equal(frontend(other, length)[0][0, 4], before[0, 4]) != changes


class Custom(nn.Module):
    """A layer with weights, of which nobody knows what it does."""

    stride = 1

    def __init__(self):
        super().__init__()
        self.inside = nn.Module()
        self.inside.weight = nn.Parameter(torch.zeros(3))


class Stacked(nn.Module):
    """Stacks four frames without a layer that would show it."""

    stride = 4

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)


@pytest.mark.parametrize(
    "module, note, strides",
    [
        (CNNConformer(8, (4, 4, 4), True, 8, 2, 8, 1), r"whole utterance \(RelativeAttention\)", (2, 2)),
        (HuBERT(1, ((8, 10, 5), (8, 3, 2)), "layer", True, 8, 2, 8, 1, 4, 2), r"whole utterance \(attention", (5, 2)),
        (HuBERT(1, ((8, 10, 5), (8, 3, 2)), "group", False, 8, 2, 8, 1, 4, 2), r"whole utterance", (5, 2)),
        (SEANetEncoder(1, 4, (2, 3), 8), r"whole utterance \(LSTM\)", (2, 3)),
        (Custom(), r"not known \(Module\)", ()),
        (Stacked(), r"not known \(a stride of 4", (4,)),
    ],
    ids=["conformer", "hubert, layer norm", "hubert", "seanet", "unknown", "hidden stride"],
)
def test_no_bound_is_claimed_where_there_is_none(module, note, strides):
    found = looks_back(module)
    assert found.size is None and re.match(note, found.note) and found.strides == strides


def test_a_decoder_with_recurrence_has_no_bound():
    found = reaches(SEANetDecoder(8, 4, (3, 2)))
    assert found.size is None and found.note == "whole utterance (LSTM)" and found.strides == (3, 2)
