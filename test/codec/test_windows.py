# Copyright 2026 The hasrd authors
# Apache-2.0
"""Long speech in windows: the whole's tokens, lengths and loudness, in bounded memory, of every kind of encoder."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_encoders import SMALL
from small_models import CODEC, HAC

import hasrd
from hasrd.codec.build import build_speech_encoder
from hasrd.codec.codec import Codec
from hasrd.codec.receptive import looks_back
from hasrd.codec.tokenizer import Tokenizer
from hasrd.codec.windows import encode_windows
from hasrd.data.audio import AudioReader
from hasrd.encoder.output import EncoderOutput
from hasrd.errors import UserError

RATE = 16000
FRONTENDS = {"log_mel": {"num_mels": 10}, "whisper_log_mel": {"num_mels": 10}, "raw": {}}
PAIRS = [
    (wave, name)
    for wave in FRONTENDS
    for name, conf in SMALL.items()
    if conf["input_size"] == FRONTENDS[wave].get("num_mels", 1)
]


def speech(samples: int, seed: int = 0) -> torch.Tensor:
    """Noise (N,) whose level and timbre change within seconds, so that a window's statistics are not the whole's."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(samples) / RATE
    tone = torch.sin(2 * math.pi * (300 + 50 * torch.sin(time)) * time)
    level = 10 ** (-1.5 + torch.sin(time * 2 * math.pi / 7))
    return 0.3 * level * (torch.randn(samples, generator=generator) + (time > samples / RATE / 2) * tone) / 4


class Layers:
    """What `encode_windows` takes of a codec, whose codes are the values of the encoder's last layer."""

    def __init__(self, encoder, strides=(1,)):
        self.speech_encoder, self.codebook_strides, self.loudness = encoder, strides, None
        self.sample_rate, self.frame_shift, self.min_samples = RATE, encoder.frame_shift, encoder.min_samples
        self.parameters = encoder.parameters

    def quantize(self, encoded: EncoderOutput) -> torch.Tensor:
        return encoded.last


def layers_of(wave: str, name: str, normalize: str | None, **more) -> Layers:
    torch.manual_seed(0)
    conf = {key: value for key, value in SMALL[name].items() if key != "input_size"}
    config = {"frontend": wave, "frontend_conf": FRONTENDS[wave], "encoder": name, "encoder_conf": conf}
    return Layers(build_speech_encoder({**config, "normalize": normalize}).eval(), **more)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("step", [1, 5])
def test_every_encoder_gives_as_many_tokens_as_of_the_whole(pair, step):
    codec = layers_of(*pair, "utterance", strides=(1, step))
    shift = codec.frame_shift
    for samples in (9000, 9000 + shift - 1, 9001 + shift, 30 * shift + codec.min_samples, 4700):
        codes, loudness = encode_windows(codec, speech(samples), 4000)
        assert len(codes) == codec.speech_encoder.num_tokens(samples) and loudness is None


@pytest.mark.parametrize(
    "wave, name, normalize",
    [("log_mel", "log_mel_cnn", "utterance"), ("raw", "dac", "utterance"), ("raw", "dac", None),
     ("whisper_log_mel", "log_mel_cnn", "utterance"), ("whisper_log_mel", "log_mel_cnn", None)],
)  # fmt: skip
def test_an_encoder_that_looks_less_far_than_windows_overlap_gives_the_same(wave, name, normalize):
    """Level and statistics are the whole's; those of the windows would differ by far."""
    codec = layers_of(wave, name, normalize)
    reach = looks_back(codec.speech_encoder.encoder).size * codec.speech_encoder.frontend.frame_shift
    window = 12 * (reach + codec.speech_encoder.frontend.window)
    source = speech(int(3.7 * window))
    # More than the 80 dB below the loudest that Whisper's log-mel keeps.
    source[:window] *= 1e-4
    with torch.no_grad():
        whole = codec.speech_encoder(source[None], torch.tensor([len(source)])).last[0]
        part = codec.speech_encoder(source[None, :window], torch.tensor([window])).last[0]
    scale = whole.abs().max()
    found, _ = encode_windows(codec, source, window)
    torch.testing.assert_close(found, whole, rtol=0, atol=float(2e-5 * scale))
    if normalize or wave == "whisper_log_mel":
        assert (part[5:-40] - whole[5 : len(part) - 40]).abs().max() > 1e-2 * scale


@pytest.fixture(scope="module", params=["hasrd", "hac", "slow"])
def model(request):
    torch.manual_seed(0)
    if request.param == "hac":
        return Tokenizer(Codec.from_config(HAC).eval())
    conf = {**CODEC["quantizer_conf"], "semantic_layer": 1, "num_clusters": 8}
    codec = Codec.from_config(
        {**CODEC, "quantizer_conf": {**conf, "acoustic_stride": 5 if request.param == "slow" else 1}}
    )
    codec.quantizer.set_centroids(torch.randn(8, 16))
    return Tokenizer(codec.eval())


def same(one: hasrd.Tokens, other: hasrd.Tokens) -> bool:
    loudness = one.loudness is other.loudness or torch.equal(one.loudness, other.loudness)
    return loudness and all(
        torch.equal(getattr(one, n), getattr(other, n)) for n in ("codes", "lengths", "num_samples")
    )


@given(st.integers(1, 2 * RATE), st.integers(0, 9))
@settings(deadline=None, max_examples=15)
def test_speech_that_is_no_longer_than_a_window_is_encoded_whole(model, samples, seed):
    wave = speech(samples, seed)
    whole = model.encode(wave, RATE, window=None)
    assert same(model.encode(wave, RATE), whole)
    assert same(model.encode(wave, RATE, window=max(1.0, samples / RATE)), whole)


def test_lengths_loudness_and_speech_are_the_wholes(model):
    for samples in (16001, 40000, 77777):
        whole, tokens = (model.encode(speech(samples), RATE, window=window) for window in (None, 1.0))
        assert tokens.codes.shape == whole.codes.shape and torch.equal(tokens.num_samples, whole.num_samples)
        if whole.loudness is not None:
            torch.testing.assert_close(tokens.loudness, whole.loudness, rtol=0, atol=1e-4)
        assert model.decode(tokens).shape == (1, samples)


def test_codes_of_a_slow_stream_stay_together(model):
    codes = model.encode(speech(90000), RATE, window=1.3).codes[0]
    for m, stride in enumerate(model.codec.codebook_strides):
        held = codes[torch.arange(len(codes)) // stride * stride, m]
        assert torch.equal(codes[:, m], held)


def test_the_same_tokens_in_any_batch_order_and_number_of_threads(model):
    waves = [speech(samples, seed) for seed, samples in enumerate((50000, 9000, 16001, 33333, 8000))]
    alone = [model.encode(wave, RATE, window=1) for wave in waves]
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 1, 3], [3, 0]):
        tokens = model.encode([waves[i] for i in order], RATE, window=1)
        assert all(same(tokens.item(row), alone[i]) for row, i in enumerate(order))
    padded = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    tokens = model.encode(padded, RATE, lengths=[len(wave) for wave in waves], window=1)
    assert all(same(tokens.item(i), alone[i]) for i in range(len(waves)))
    threads = torch.get_num_threads()
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            assert all(same(model.encode(wave, RATE, window=1), tokens) for wave, tokens in zip(waves, alone))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("kind", ["flac", "wav", "ogg", "mp3"])
def test_a_file_is_read_in_parts(model, tmp_path, monkeypatch, kind):
    """Neither what is read at once nor what the encoder gets grows with the length."""
    codec = model.codec
    features = codec.frontend.num_frames(2 * RATE + codec.min_samples) * codec.frontend.output_size
    for seconds in (9, 27):
        path = tmp_path / f"{seconds}.{kind}"
        soundfile.write(path, speech(seconds * RATE + 77).numpy(), RATE)
        reader = AudioReader(path, RATE)
        expected = model.encode(reader[:], RATE, window=2)
        sizes = [0, 0]

        def sliced(self, part, whole=AudioReader.__getitem__, sizes=sizes):
            samples = whole(self, part)
            sizes[0] = max(sizes[0], len(samples), len(self._last))
            return samples

        def seen(module, args, sizes=sizes):
            sizes[1] = max(sizes[1], args[0].numel())

        hook = codec.encoder.register_forward_pre_hook(seen)
        with monkeypatch.context() as patch:
            patch.setattr(AudioReader, "__getitem__", sliced)
            # Of loudness, half a minute is read at once.
            patch.setattr("hasrd.frontend.loudness.PART_HOPS", 25)
            tokens = model.encode(AudioReader(path, RATE), RATE, window=2)
        hook.remove()
        assert same(tokens, expected) and tokens.num_samples.tolist() == [len(reader)]
        assert 2 * RATE * 0.9 < sizes[0] < 3 * RATE and 0.9 * features < sizes[1] <= features


def test_a_short_file_and_one_of_another_rate_are_read_whole(model, tmp_path):
    soundfile.write(tmp_path / "a.wav", speech(9000).numpy(), RATE)
    soundfile.write(tmp_path / "b.wav", speech(20000).numpy(), 8000)
    expected = model.encode(AudioReader(tmp_path / "a.wav", RATE)[:], RATE)
    assert same(model.encode(AudioReader(tmp_path / "a.wav", RATE), RATE), expected)
    other = AudioReader(tmp_path / "b.wav", 8000)
    with pytest.raises(UserError, match="8000 Hz, but this model takes 16000 Hz"):
        model.encode(other, 8000, window=1)
    expected = model.encode(other[:], 8000, resample=True, window=1)
    assert same(model.encode(other, 8000, resample=True, window=1), expected)


def test_silence(model):
    """Nothing is divided by zero, and no window of silence gets a level of its own."""
    tokens = model.encode(torch.zeros(40000), RATE, window=1)
    assert tokens.codes.shape == model.encode(torch.zeros(40000), RATE, window=None).codes.shape
    assert model.decode(tokens).isfinite().all()


def test_the_length_of_windows(model):
    wave = speech(RATE * 31)
    assert model.codec.window == 30.0
    assert same(model.encode(wave, RATE), model.encode(wave, RATE, window=30))
    assert same(model.encode(wave, RATE), model.encode(wave, RATE, window="model"))
    for window in (0.5, math.nan, "whole", True):
        with pytest.raises(UserError, match="give at least 1 second"):
            model.encode(wave, RATE, window=window)
    with pytest.raises(UserError, match="give at least 1 second"):
        Codec.from_config({**HAC, "window": 0})
    assert Codec.from_config({**HAC, "window": None}).window is None


def test_an_encoder_of_another_number_of_tokens_is_refused():
    codec = layers_of("raw", "dac", None)
    forward = codec.speech_encoder.encoder.forward
    codec.speech_encoder.encoder.forward = lambda feats, lengths: forward(feats[:, :-64], lengths - 64)
    with pytest.raises(UserError, match="tokens of a window of .*window=None, --window none"):
        encode_windows(codec, speech(9000), 4000)


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), max_size=6))
@settings(deadline=None, max_examples=25)
def test_any_slices_of_a_file(tmp_path_factory, slices):
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 2500).astype(np.float32)
    path = tmp_path_factory.mktemp("slices") / "a.wav"
    soundfile.write(path, wave, RATE, subtype="FLOAT")
    reader = AudioReader(path, RATE)
    for start, stop in slices:
        np.testing.assert_array_equal(reader[start:stop], wave[start:stop])
