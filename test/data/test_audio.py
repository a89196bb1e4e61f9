# Copyright 2026 The hasrd authors
# Apache-2.0
"""Audio files, good and bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hasrd.data.audio import AudioInfo, audio_info, read_audio
from hasrd.errors import UserError

soundfile = pytest.importorskip("soundfile")


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_samples_are_read_as_they_were_written(tmp_path: Path, name: str):
    wave = np.random.default_rng(0).integers(-(2**15), 2**15, 1000).astype(np.int16)
    soundfile.write(tmp_path / name, wave, 16000)
    read = read_audio(tmp_path / name, 16000)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read * 2**15, wave)
    assert audio_info(tmp_path / name) == AudioInfo(1000, 16000, 1)


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(UserError, match="a.wav: no such audio file"):
        read_audio(tmp_path / "a.wav", 16000)


def test_an_empty_file(tmp_path: Path):
    (tmp_path / "a.wav").touch()
    with pytest.raises(UserError, match="a.wav: empty file"):
        read_audio(tmp_path / "a.wav", 16000)


def test_a_file_without_samples(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 16000)
    with pytest.raises(UserError, match="a.wav: no samples"):
        read_audio(tmp_path / "a.wav", 16000)


@pytest.mark.parametrize("content", [b"RIFF", b"hello world" * 100, bytes(5000)])
def test_a_corrupt_file(tmp_path: Path, content: bytes):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(UserError, match="a.wav: corrupt") as caught:
        read_audio(tmp_path / "a.wav", 16000)
    assert "\n" not in str(caught.value)


def test_a_cut_off_flac(tmp_path: Path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 50000), 16000)
    path.write_bytes(path.read_bytes()[:30000])
    with pytest.raises(UserError, match="a.flac: (cut off|corrupt)"):
        read_audio(path, 16000)


def test_another_rate_says_how_to_resample(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 8000)
    with pytest.raises(UserError, match="8000 Hz, but 16000 Hz is needed: resample"):
        read_audio(tmp_path / "a.wav", 16000)


def test_several_channels(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 2)), 16000)
    with pytest.raises(UserError, match="2 channels"):
        read_audio(tmp_path / "a.wav", 16000)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers(tmp_path: Path, value: float):
    wave = np.zeros(100, dtype=np.float32)
    wave[[3, 50]] = value
    soundfile.write(tmp_path / "a.wav", wave, 16000, subtype="FLOAT")
    with pytest.raises(UserError, match="2 samples are NaN or infinite"):
        read_audio(tmp_path / "a.wav", 16000)


@pytest.mark.parametrize("entry", ["sox a.flac -t wav - |", "flac -dc a.flac|", "| cat a.wav"])
def test_a_command_is_refused(entry: str):
    with pytest.raises(UserError, match="is a command, not a file"):
        read_audio(entry, 16000)
