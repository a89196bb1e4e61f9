# Copyright 2026 The hasrd authors
# Apache-2.0
"""The audio that codecs are measured on."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from hasrd.bench.audio import make_audio, resample
from hasrd.errors import UserError


@pytest.fixture
def clips(tmp_path):
    """Two FLAC files of 3000 samples in a folder as LibriSpeech's; the values tell them apart."""
    paths = []
    for index, name in enumerate(("1/2/1-2-0", "3/4/3-4-0")):
        path = tmp_path / f"{name}.flac"
        path.parent.mkdir(parents=True)
        soundfile.write(path, np.full(3000, (index + 1) / 4, dtype=np.float32), 16000)
        paths.append(str(path))
    return paths


def test_without_speech_it_is_noise_and_says_so(monkeypatch):
    monkeypatch.delenv("LIBRISPEECH", raising=False)
    wave, text = make_audio([], 0.25, 2)
    assert wave.shape == (2, 4000) and "noise" in text
    assert torch.equal(wave, make_audio([], 0.25, 2)[0])
    assert not torch.equal(wave[0], wave[1])


def test_files_are_joined_and_begun_again(clips):
    wave, text = make_audio(clips, 0.5, 1)
    assert wave.shape == (1, 8000) and "given" in text
    assert wave[0, [0, 2999, 3000, 5999, 6000, 7999]].tolist() == [0.25, 0.25, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize(("seconds", "last"), [(0.1, 0.25), (0.3, 0.5)])
def test_librispeech_gives_as_many_files_as_needed(clips, tmp_path, monkeypatch, seconds, last):
    monkeypatch.setenv("LIBRISPEECH", str(tmp_path))
    if last == 0.25:
        (tmp_path / "3/4/3-4-0.flac").write_bytes(b"not needed, so not read")
    wave, text = make_audio([], seconds, 1)
    assert wave[0, -1] == last and "LibriSpeech" in text


def test_bad_input_is_told(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 8000)
    with pytest.raises(UserError, match="8000 Hz"):
        make_audio([str(tmp_path / "a.wav")], 1, 1)
    with pytest.raises(UserError, match="--seconds 1e-05"):
        make_audio([], 1e-5, 1)


def test_another_rate_has_the_same_length_in_seconds():
    wave = torch.randn(2, 1600)
    assert resample(wave, 16000) is wave
    assert resample(wave, 24000).shape == (2, 2400)
