# Copyright 2026 The hasrd authors
# Apache-2.0
"""The log-mel filterbank against torchaudio's port of Kaldi's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.frontend.log_mel import LogMel, mel_filters

kaldi = pytest.importorskip("torchaudio.compliance.kaldi")

# Kaldi removes the mean and pre-emphasises in each frame; ours does both as one exact identity, in
# another order of rounding. Where a bin holds a millionth of its frame's energy, float32 rounding
# of the transform shows in its logarithm: the largest difference is such a bin's.
LARGEST, MEAN = 1e-2, 1e-5


def reference(wave: torch.Tensor) -> torch.Tensor:
    return kaldi.fbank(wave, frame_shift=8.0, dither=0.0, num_mel_bins=80)


def test_equals_kaldi_on_real_speech():
    if "LIBRISPEECH" not in os.environ:
        pytest.skip("LIBRISPEECH is not set to a LibriSpeech folder")
    soundfile = pytest.importorskip("soundfile")
    paths = sorted(Path(os.environ["LIBRISPEECH"]).glob("test-clean/*/*/*.flac"))[:10]
    waves = [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in paths]
    lengths = torch.tensor([len(wave) for wave in waves])
    feats, frames = LogMel()(torch.nn.utils.rnn.pad_sequence(waves, batch_first=True), lengths)
    differences = []
    for wave, feat, count in zip(waves, feats, frames):
        expected = reference(wave[None])
        assert len(expected) == count
        assert not feat[count:].any()
        differences.append((feat[:count] - expected).abs())
    differences = torch.cat(differences)
    assert differences.max() <= LARGEST
    assert differences.mean() <= MEAN


def test_equals_kaldi_on_noise_with_an_offset():
    torch.manual_seed(0)
    wave = 0.1 * torch.randn(1, 9000) + 0.05
    feats, _ = LogMel()(wave, torch.tensor([9000]))
    difference = (feats[0] - reference(wave)).abs()
    assert difference.max() <= LARGEST and difference.mean() <= MEAN


def test_equals_kaldi_at_another_rate():
    torch.manual_seed(0)
    wave = 0.1 * torch.randn(1, 9000)
    feats, _ = LogMel(sample_rate=8000, window=200, frame_shift=80, num_mels=23)(wave, torch.tensor([9000]))
    expected = kaldi.fbank(wave, dither=0.0, num_mel_bins=23, sample_frequency=8000.0)
    difference = (feats[0] - expected).abs()
    assert difference.max() <= LARGEST and difference.mean() <= MEAN


def test_filters_are_kaldis():
    expected, _ = kaldi.get_mel_banks(80, 512, 16000.0, 20.0, 0.0, 100.0, -500.0, 1.0)
    filters = mel_filters(80, 512, 16000)
    assert filters.shape == (257, 80) and not filters[256].any()
    torch.testing.assert_close(filters[:256].T, expected, atol=1e-5, rtol=0)


def test_silence_is_the_floor():
    feats, _ = LogMel()(torch.zeros(1, 1000), torch.tensor([1000]))
    assert torch.equal(feats, torch.full_like(feats, torch.finfo(torch.float32).eps).log())


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 40000), min_size=1, max_size=4),
    extra=st.integers(0, 2000),
    seed=st.integers(0, 99),
)
def test_batch_equals_alone(lengths, extra, seed):
    torch.manual_seed(seed)
    log_mel = LogMel()
    waves = 0.1 * torch.randn(len(lengths), max(lengths) + extra)
    feats, frames = log_mel(waves, torch.tensor(lengths))
    for wave, length, feat, count in zip(waves, lengths, feats, frames.tolist()):
        assert count == log_mel.num_frames(length) == max(0, 1 + (length - 400) // 128)
        alone, _ = log_mel(wave[None, :length], torch.tensor([length]))
        assert alone.shape == (1, count, 80)
        torch.testing.assert_close(feat[:count], alone[0], atol=1e-4, rtol=0)
        assert not feat[count:].any()


def test_float32_under_autocast_and_from_half_precision():
    wave, lengths = 0.1 * torch.randn(1, 4000), torch.tensor([4000])
    log_mel = LogMel()
    expected, _ = log_mel(wave, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        feats, _ = log_mel(wave, lengths)
    assert feats.dtype == torch.float32 and torch.equal(feats, expected)
    assert log_mel(wave.bfloat16(), lengths)[0].dtype == torch.float32


def test_shapes_of_a_token():
    log_mel = LogMel()
    assert (log_mel.window, log_mel.frame_shift, log_mel.output_size) == (400, 128, 80)
    assert log_mel.num_frames(784) == 4 and log_mel.num_frames(783) == 3
    assert log_mel.num_frames(torch.tensor([[80000, 0]])).tolist() == [[622, 0]]
    assert not log_mel.state_dict()


def test_a_long_batch_is_transformed_in_small_blocks(monkeypatch):
    sizes = []
    rfft = torch.fft.rfft
    monkeypatch.setattr(torch.fft, "rfft", lambda x: sizes.append(x.numel()) or rfft(x))
    feats, _ = LogMel()(torch.zeros(2, 16000 * 60), torch.tensor([960000, 16000]))
    assert feats.shape == (2, 7497, 80)
    assert max(sizes) <= 256 * 512


def test_the_scale_of_kaldis_programs():
    # The logarithm moves by 2 ln 32768, but its floor stays: a wave of one bit is above it.
    torch.manual_seed(0)
    wave = torch.randint(-1, 2, (1, 9000)) / 32768
    feats, _ = LogMel(frame_shift=160, scale=32768)(wave, torch.tensor([9000]))
    expected = kaldi.fbank(wave * 32768, dither=0.0, num_mel_bins=80)
    difference = (feats[0] - expected).abs()
    assert difference.max() <= LARGEST and difference.mean() <= MEAN
    assert LogMel(frame_shift=160)(wave, torch.tensor([9000]))[0].min() == pytest.approx(-15.9424, abs=1e-3)
