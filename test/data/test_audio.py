# Copyright 2026 The hasrd authors
# Apache-2.0
"""Audio files, good and bad."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import numpy as np
import pytest

from hasrd.data.audio import AudioInfo, AudioReader, audio_info, check_samples, read_audio
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


def write_not_a_number(value: float) -> Callable[[Path], None]:
    wave = np.zeros(100, dtype=np.float32)
    wave[[3, 50]] = value
    return lambda path: soundfile.write(path, wave, 16000, subtype="FLOAT")


def write_half_a_flac(path: Path) -> None:
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 50000), 16000, format="FLAC")
    path.write_bytes(path.read_bytes()[:30000])


# What is done to a file, and what is said of it.
BAD = {
    "missing": (lambda path: None, "no such audio file"),
    "empty": (Path.touch, "empty file"),
    "no samples": (lambda path: soundfile.write(path, np.zeros(0), 16000), "no samples"),
    "a word": (lambda path: path.write_bytes(b"RIFF"), "corrupt"),
    "text": (lambda path: path.write_bytes(b"hello world" * 100), "corrupt"),
    "zeros": (lambda path: path.write_bytes(bytes(5000)), "corrupt"),
    "half a FLAC": (write_half_a_flac, "corrupt, cut off or"),
    "rate": (lambda path: soundfile.write(path, np.zeros(100), 8000), "8000 Hz, but 16000 Hz is needed: resample"),
    "channels": (lambda path: soundfile.write(path, np.zeros((100, 2)), 16000), "2 channels"),
    "NaN": (write_not_a_number(np.nan), "2 samples are NaN or infinite"),
    "infinity": (write_not_a_number(np.inf), "2 samples are NaN or infinite"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_one_line(tmp_path: Path, kind: str, one_line):
    spoil, said = BAD[kind]
    spoil(tmp_path / "a.wav")
    one_line(f"a.wav: {said}", read_audio, tmp_path / "a.wav", 16000)


NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 5001)


@pytest.mark.parametrize(
    "file_format, subtype",
    [
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "PCM_U8"),
        ("WAV", "FLOAT"),
        ("WAV", "IMA_ADPCM"),
        ("WAVEX", "PCM_16"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("NIST", "PCM_16"),
    ],
)
@pytest.mark.parametrize("share", [0.5, 0.999])
def test_a_wave_that_is_cut_off_is_seen_in_its_header(tmp_path: Path, file_format: str, subtype: str, share: float):
    path = tmp_path / "a.audio"
    soundfile.write(path, NOISE, 16000, format=file_format, subtype=subtype)
    content = path.read_bytes()
    before = audio_info(path).num_samples
    assert before >= len(NOISE) and len(read_audio(path, 16000)) == before
    path.write_bytes(content[: round(len(content) * share)])
    with pytest.raises(UserError, match="a.audio: cut off: "):
        audio_info(path)


def test_a_wave_with_much_before_its_samples(tmp_path: Path):
    path = tmp_path / "a.wav"
    soundfile.write(path, NOISE, 16000)
    content = path.read_bytes()
    chunks = b"".join(b"note" + (5).to_bytes(4, "little") + b"words\0" for _ in range(1000))
    size = (len(content) - 8 + len(chunks)).to_bytes(4, "little")
    content = content[:4] + size + content[8:36] + chunks + content[36:]
    path.write_bytes(content)
    assert len(read_audio(path, 16000)) == len(NOISE)
    path.write_bytes(content[:-2])
    with pytest.raises(UserError, match="a.wav: cut off: 10000 of 10002 bytes are there"):
        audio_info(path)


# What ffmpeg, arecord and sox write to a pipe.
@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0x7FFFF000, 0x7FFFFFFF - 36])
def test_a_wave_of_unknown_length_is_read_whole(tmp_path: Path, size: int):
    soundfile.write(tmp_path / "a.wav", NOISE, 16000)
    expected = read_audio(tmp_path / "a.wav", 16000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    assert content[36:40] == b"data"
    content[4:8] = min(size + 36, 0xFFFFFFFF).to_bytes(4, "little")
    content[40:44] = size.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(content)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav", 16000), expected)


@pytest.mark.parametrize("samples", [2**36 - 1, 2**27, 6000, 0])
def test_a_flac_that_promises_more_than_there_is(tmp_path: Path, samples: int):
    path = tmp_path / "a.flac"
    soundfile.write(path, NOISE, 16000)
    content = bytearray(path.read_bytes())
    # The last 36 bits of these 8 bytes of STREAMINFO; 0 says that nobody knows.
    facts = int.from_bytes(content[18:26], "big") >> 36 << 36 | samples
    content[18:26] = facts.to_bytes(8, "big")
    path.write_bytes(content)
    with pytest.raises(UserError, match="a.flac: .*cut off") as caught:
        read_audio(path, 16000)
    assert "\n" not in str(caught.value)


def test_what_does_not_fit_into_the_memory_is_one_line(tmp_path: Path, monkeypatch):
    def refuse(*args, **kwargs):
        raise MemoryError

    soundfile.write(tmp_path / "a.wav", NOISE, 16000)
    monkeypatch.setattr(soundfile.SoundFile, "read", refuse)
    with pytest.raises(UserError, match="a.wav: 5001 samples don't fit into the memory"):
        read_audio(tmp_path / "a.wav", 16000)


def test_long_files_are_read_in_blocks(tmp_path: Path, monkeypatch):
    soundfile.write(tmp_path / "a.flac", NOISE, 16000)
    whole = read_audio(tmp_path / "a.flac", 16000)
    monkeypatch.setattr("hasrd.data.audio.BLOCK", 1000)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.flac", 16000), whole)


@pytest.mark.parametrize("loudest", [1.5, 16.0, 16.5, -3000.0])
def test_samples_far_outside_are_refused(tmp_path: Path, loudest: float):
    wave = np.zeros(900, dtype=np.float32)
    wave[7] = loudest
    soundfile.write(tmp_path / "a.wav", wave, 16000, subtype="FLOAT")
    if abs(loudest) <= 16:
        np.testing.assert_array_equal(read_audio(tmp_path / "a.wav", 16000), wave)
        check_samples(wave)
        return
    with pytest.raises(UserError, match=rf"a.wav: samples up to {abs(loudest):g}: scale them to \[-1, 1\]"):
        read_audio(tmp_path / "a.wav", 16000)


@pytest.mark.parametrize("entry", ["sox a.flac -t wav - |", "flac -dc a.flac|", "| cat a.wav"])
def test_a_command_is_refused(entry: str):
    with pytest.raises(UserError, match="is a command, not a file"):
        read_audio(entry, 16000)


def test_channels_are_averaged_where_that_is_asked_for(tmp_path: Path, one_line):
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (9000, 3)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, 16000, subtype="FLOAT")
    reader = AudioReader(tmp_path / "a.wav", 16000, mix=True)
    for part in (slice(0, 4000), slice(3000, 7000), slice(None)):
        np.testing.assert_allclose(reader[part], wave.mean(axis=1)[part], atol=1e-7)
    assert len(reader) == 9000 and reader[:].ndim == 1
    one_line("3 channels, but one is needed", AudioReader, tmp_path / "a.wav", 16000)
    wave[10] = [np.inf, -np.inf, 0]
    soundfile.write(tmp_path / "b.wav", wave, 16000, subtype="FLOAT")
    one_line("b.wav: 1 samples are NaN or infinite", lambda: AudioReader(tmp_path / "b.wav", 16000, mix=True)[:])
