# Copyright 2026 The hasrd authors
# Apache-2.0
"""The level of speech beside its tokens: what the encoder gets, what the tokens say, what decoding gives back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_models import CODEC, HAC
from test_codec import RAW, SMALL, WINDOWS
from torch import nn

from hasrd.codec.codec import Codec
from hasrd.codec.convert import exchange
from hasrd.encoder.output import EncoderOutput
from hasrd.encoder.speech_encoder import SpeechEncoder
from hasrd.frontend.loudness import loudness
from hasrd.frontend.raw import RawWave

RATE = 16000
LEVELS = (-40.0, -30.0, -20.0, -16.0, -10.0, -6.0)


class Frames(nn.Module):
    """Half a millisecond a token: 8 samples are one latent vector."""

    stride = input_window = hop = output_size = 8
    num_layers = 1

    def forward(self, feats, lengths):
        tokens = lengths // 8
        wave = feats[:, : feats.shape[1] // 8 * 8, 0]
        return EncoderOutput((wave.unflatten(1, (-1, 8)),), tokens)

    def num_tokens(self, frames):
        return frames // 8


class Steps(nn.Module):
    """Samples in [-1, 1] in 64 steps: coarse enough for a copy with other peaks than the speech."""

    stream_names, codebook_sizes, codebook_strides = ("acoustic",) * 8, (64,) * 8, (1,) * 8

    def encode(self, layers, lengths):
        mask = torch.arange(layers[0].shape[1]) < lengths[:, None]
        return ((layers[0] + 1) * 31.5).round().long().clamp(0, 63) * mask[..., None]

    def decode(self, codes, streams):
        return codes / 31.5 - 1


class Join(nn.Module):
    hop = 8

    def forward(self, latent):
        return latent.flatten(1)


@pytest.fixture(scope="module")
def pcm() -> Codec:
    """A codec without anything to train that gives back what its encoder got, rounded."""
    return Codec(SpeechEncoder(RawWave(), None, Frames()), Steps(), Join(), loudness=-16.0)


def at(wave, level):
    return wave * 10 ** ((level - float(loudness(wave, RATE))) / 20)


@pytest.fixture(scope="module", params=["natural", "compressed"])
def utterance(request, voice) -> torch.Tensor:
    """(1, N); at -6 LUFS the compressed one lies within [-1, 1], the natural one does not."""
    return torch.from_numpy(voice if request.param == "natural" else 0.5 * np.tanh(60 * voice))[None]


@pytest.mark.parametrize("level", LEVELS)
def test_speech_comes_back_as_loud_as_it_went_in(pcm, utterance, level):
    wave = at(utterance, level)
    tokens = pcm.encode(wave)
    assert tokens.loudness.tolist() == pytest.approx([level], abs=0.01)
    decoded = pcm.decode(tokens)
    assert decoded.shape == wave.shape
    assert float(loudness(decoded, RATE)) == pytest.approx(level, abs=0.5)
    if wave.abs().max() <= 1:
        assert decoded.abs().max() <= 1
    # And at the model's level, if it is not said.
    quiet = pcm.decode(replace(tokens, loudness=None))
    assert float(loudness(quiet, RATE)) == pytest.approx(-16.0, abs=0.5) and quiet.abs().max() <= 1


@pytest.mark.parametrize("level", LEVELS)
def test_real_speech(pcm, speech, level):
    wave = at(torch.from_numpy(speech)[None], level)
    decoded = pcm.decode(pcm.encode(wave))
    assert float(loudness(decoded, RATE)) == pytest.approx(level, abs=0.5)


def trained_like(config) -> Codec:
    torch.manual_seed(0)
    codec = Codec.from_config({**config, "loudness": -16.0}).eval()
    if codec.quantizer.needs_kmeans:
        layer = codec.features(0.1 * torch.randn(1, 30000), torch.tensor([30000])).layers[1][0]
        codec.quantizer.set_centroids(layer[::3][: len(codec.quantizer.centroids)].detach())
    return codec


HASRD = {**CODEC, "quantizer_conf": {**CODEC["quantizer_conf"], "semantic_layer": 1, "num_clusters": 8}}
# An imported HuBERT whose preprocessor normalises the wave.
NORMALISED = {**WINDOWS, "normalize": "utterance"}
CONFIGS = {"hasrd": HASRD, "hac": HAC, "dac": RAW, "fbank": {**SMALL, "normalize": None}, "hubert": WINDOWS,
           "hubert, normalised": NORMALISED}  # fmt: skip


@pytest.fixture(scope="module", params=CONFIGS)
def codec(request) -> Codec:
    return trained_like(CONFIGS[request.param])


@pytest.mark.parametrize("decibel", [-12.0, 9.0])
def test_tokens_know_nothing_of_the_level(codec, voice, decibel):
    wave = torch.from_numpy(voice)[None]
    tokens, other = codec.encode(wave), codec.encode(10 ** (decibel / 20) * wave)
    assert torch.equal(tokens.codes, other.codes)
    assert float(other.loudness - tokens.loudness) == pytest.approx(decibel, abs=0.01)
    assert tokens.codes.unique(dim=1).shape[1] > 3, "they are not all the same"


def test_every_stream_is_as_loud_as_the_speech(codec, voice):
    """Also an untrained decoder's: what comes out is measured."""
    wave = at(torch.from_numpy(voice)[None], -25.0)
    tokens = codec.encode(wave)
    for streams in (None, *([name] for name in dict.fromkeys(tokens.stream_names))):
        assert float(loudness(codec.decode(tokens, streams), RATE)) == pytest.approx(-25.0, abs=0.5)


def test_a_batch_is_each_alone(codec, voice):
    lengths = (30000, 1600, 12000)
    wave = torch.full((3, 30000), torch.nan)
    for i, (length, level) in enumerate(zip(lengths, (-35.0, -20.0, -8.0))):
        wave[i, :length] = at(torch.from_numpy(voice)[None, 4000 : 4000 + length], level)[0]
    tokens = codec.encode(wave, torch.tensor(lengths))
    decoded = codec.decode(tokens)
    for i, length in enumerate(lengths):
        alone = codec.encode(wave[i : i + 1, :length])
        assert torch.equal(alone.codes, tokens.item(i).codes)
        assert torch.equal(alone.loudness, tokens.item(i).loudness)
        torch.testing.assert_close(codec.decode(alone)[0], decoded[i, :length], atol=1e-5, rtol=1e-4)


def test_silence_and_a_tenth_of_a_second(codec, voice):
    silence = codec.encode(torch.zeros(1, 9000))
    assert silence.loudness.tolist() == [-70.0]
    decoded = codec.decode(silence)
    assert decoded.isfinite().all() and float(loudness(decoded, RATE)) <= -69.5
    clip = at(torch.from_numpy(voice)[None, 2000:3600], -28.0)
    tokens = codec.encode(clip)
    assert tokens.loudness.tolist() == pytest.approx([-28.0], abs=0.01)
    decoded = codec.decode(tokens)
    assert decoded.shape == (1, 1600) and float(loudness(decoded, RATE)) == pytest.approx(-28.0, abs=0.5)


def test_converted_speech_is_as_loud_as_its_source(voice):
    codec = trained_like(HASRD)
    source, target = (codec.encode(at(torch.from_numpy(voice)[None], level)) for level in (-30.0, -18.0))
    converted = exchange(source, target, "cycle")
    assert torch.equal(converted.loudness, source.loudness)
    assert float(loudness(codec.decode(converted), RATE)) == pytest.approx(-30.0, abs=0.5)


def test_without_a_level_nothing_changes(voice):
    """Codecs that were trained so; their configurations have no such key."""
    wave = torch.from_numpy(voice)[None]
    torch.manual_seed(0)
    codec = Codec.from_config(RAW).eval()
    tokens = codec.encode(wave)
    assert codec.loudness is None and tokens.loudness is None
    encoded = codec.features(wave, torch.tensor([wave.shape[1]]))
    assert torch.equal(tokens.codes, codec.quantizer.encode(encoded.layers, encoded.lengths))
    latent = codec._extend(codec.quantizer.decode(tokens.codes), tokens.lengths, wave.shape[1])
    assert torch.equal(codec.decode(tokens), codec.decoder(latent)[:, : wave.shape[1]])


@pytest.mark.parametrize("level", [-70.0, 1.0, float("nan")])
def test_levels_that_are_none(level):
    with pytest.raises(ValueError, match="give LUFS between -70 and 0, or null"):
        Codec.from_config({**SMALL, "loudness": level})
