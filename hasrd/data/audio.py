# Copyright 2026 The hasrd authors
# Apache-2.0
"""Reading audio files, with one clear line where a file is not what it should be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hasrd.errors import UserError


@dataclass(frozen=True)
class AudioInfo:
    """What the header says: samples (per channel), sample rate in Hz, channels."""

    num_samples: int
    sample_rate: int
    channels: int


def refuse_pipe(path: str) -> None:
    """Raise UserError for a wav.scp entry that is a command (`... |`) and not a file."""
    if path.rstrip().endswith("|") or path.lstrip().startswith("|"):
        raise UserError(
            f"'{path}' is a command, not a file: run it once for each utterance, write the audio to files "
            "and name those in wav.scp"
        )


def audio_info(path: str | Path) -> AudioInfo:
    """Read the header of an audio file.

    Raises:
        UserError: A command in place of a file, a missing, empty or unreadable file.
    """
    import soundfile

    path = str(path)
    refuse_pipe(path)
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{path}: no such audio file")
    if file.stat().st_size == 0:
        raise UserError(f"{path}: empty file (0 bytes): get it again or remove the utterance")
    try:
        info = soundfile.info(path)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise _unreadable(path, error) from None
    return AudioInfo(info.frames, info.samplerate, info.channels)


def check_info(path: str | Path, info: AudioInfo, sample_rate: int) -> None:
    """Raise UserError unless the header tells of at least one sample, one channel and `sample_rate` Hz."""
    if info.sample_rate != sample_rate:
        raise UserError(
            f"{path}: {info.sample_rate} Hz, but {sample_rate} Hz is needed: "
            f"resample it (for example: sox IN -r {sample_rate} OUT)"
        )
    if info.channels != 1:
        raise UserError(
            f"{path}: {info.channels} channels, but one is needed: keep one (for example: sox IN OUT remix 1)"
        )
    if info.num_samples < 1:
        raise UserError(f"{path}: no samples in it: get it again or remove the utterance")


def read_audio(path: str | Path, sample_rate: int) -> np.ndarray:
    """Read a whole file of one channel.

    Returns:
        float32 (N,), samples in [-1, 1].

    Raises:
        UserError: Missing, empty, corrupt or cut-off file, another rate, several channels, NaN or infinity.
    """
    import soundfile

    info = audio_info(path)
    check_info(path, info, sample_rate)
    try:
        wave, _ = soundfile.read(str(path), dtype="float32", always_2d=False)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise _unreadable(path, error) from None
    if len(wave) != info.num_samples:
        raise UserError(
            f"{path}: cut off: {len(wave)} of {info.num_samples} samples can be read: get it again "
            "or remove the utterance"
        )
    bad = int(len(wave) - np.isfinite(wave).sum())
    if bad:
        raise UserError(f"{path}: {bad} samples are NaN or infinite: repair it or remove the utterance")
    return wave


def _unreadable(path: str | Path, error: Exception) -> UserError:
    reason = str(error).strip().splitlines()[-1].split(": ", 1)[-1]
    return UserError(f"{path}: corrupt or not an audio file ({reason}): get it again or remove the utterance")
