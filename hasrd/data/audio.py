# Copyright 2026 The hasrd authors
# Apache-2.0
"""Reading audio files, with one clear line where a file is not what it should be."""

from __future__ import annotations

import io
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator

import numpy as np

from hasrd.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

# Files that are taken for audio where a folder is searched.
AUDIO = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff")
# Above it samples are no speech in [-1, 1] that is too loud, but integers that were cast and not scaled.
LOUDEST = 16.0
# Programs that write to a pipe don't know the length yet. ffmpeg, lame and arecord then write 0xFFFFFFFF, 0x80000000 or
# 0x7FFFFFFF bytes into the header, sox 0x7FFFF000 (WAV) or 0x7F000000 (AIFF), all rounded down to whole samples.
UNKNOWN_BYTES = 0x7EFF0000
# No codec holds more samples in a byte: FLAC's blocks of a constant have 65535 samples in 14 bytes.
MOST_SAMPLES_A_BYTE = 8192
# Samples read at a time, so that a header alone never asks for all of the memory.
BLOCK = 1 << 22
AGAIN = "get it again or remove the utterance"
# libsndfile shortens what a header promises to what is there. Of AU, W64 and RF64 it tells so in its log.
_SHORTENED = re.compile(r"^\s*(?:Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
# Containers that are made of chunks, with the order of bytes in their sizes, and the chunks with samples. libsndfile's
# log may be full before it comes to these.
_CHUNKED = {b"RIFF": "little", b"RIFX": "big", b"FORM": "big"}
_SAMPLES = (b"data", b"SSND", b"BODY")
# It says nothing of NIST SPHERE, whose header is text.
_SPHERE = re.compile(rb"NIST_1A\n.*?^sample_count -i (\d+)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class AudioInfo:
    """What the header says: samples (per channel), sample rate in Hz, channels."""

    num_samples: int
    sample_rate: int
    channels: int


def write_audio(path: str | Path, wave: Any, sample_rate: int) -> None:
    """Write samples (N,), an array or a tensor, with 16 bits in the format that the name says; floats are clipped.

    Raises:
        OSError: The disk is full, or refuses the file in another way.
    """
    import soundfile

    if not isinstance(wave, np.ndarray):
        wave = wave.detach().float().cpu().numpy()
    buffer = io.BytesIO()
    # libsndfile does not say what the system refuses.
    wave = np.clip(wave, -1, 1) if wave.dtype.kind == "f" else wave
    soundfile.write(buffer, wave, sample_rate, format=Path(path).suffix[1:].upper(), subtype="PCM_16")
    Path(path).write_bytes(buffer.getbuffer())


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
        UserError: A command in place of a file, a missing, empty or unreadable file, or one whose header promises more
            samples than there are. (Of compressed files that shows only when they are read, see `read_audio`.)
    """
    import soundfile

    path = str(path)
    refuse_pipe(path)
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{path}: no such audio file")
    size = file.stat().st_size
    if size == 0:
        raise UserError(f"{path}: empty file (0 bytes): {AGAIN}")
    try:
        info = soundfile.info(path)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise _unreadable(path, error) from None
    if info.frames > size * MOST_SAMPLES_A_BYTE:
        promised = f"{info.frames} samples" if info.frames < 2**62 else "no number of samples"
        raise UserError(
            f"{path}: its header promises {promised}, but the file has {size} bytes: it is cut off, or was written to "
            "a pipe: get it again, or decode it and write it to a file"
        )
    for unit, promised, there in _promises(path, info):
        if there < promised < UNKNOWN_BYTES:
            raise UserError(f"{path}: cut off: {there} of {promised} {unit} are there: {AGAIN}")
    return AudioInfo(info.frames, info.samplerate, info.channels)


def _promises(path: str, info: Any) -> Iterator[tuple[str, int, int]]:
    """Yield (unit, how many a header promises, how many are there)."""
    for promised, there in _SHORTENED.findall(info.extra_info):
        yield "bytes", int(promised), int(there)
    with open(path, "rb") as file:
        start = file.read(1024)
        count = _SPHERE.match(start)
        if count:
            yield "samples", int(count[1]), info.frames
        order = _CHUNKED.get(start[:4])
        file.seek(12)
        while order and len(head := file.read(8)) == 8:
            size = int.from_bytes(head[4:], order)
            if head[:4] in _SAMPLES:
                yield "bytes", size, os.fstat(file.fileno()).st_size - file.tell()
                return
            file.seek(size + size % 2, os.SEEK_CUR)


def check_info(path: str | Path, info: AudioInfo, sample_rate: int, mix: bool = False) -> None:
    """Raise UserError unless the header tells of at least one sample, one channel (`mix`: or several) and `sample_rate`
    Hz."""
    if info.sample_rate != sample_rate:
        raise UserError(
            f"{path}: {info.sample_rate} Hz, but {sample_rate} Hz is needed: "
            f"resample it (for example: sox IN -r {sample_rate} OUT)"
        )
    if info.channels != 1 and not mix:
        raise UserError(
            f"{path}: {info.channels} channels, but one is needed: keep one (for example: sox IN OUT remix 1)"
        )
    if info.num_samples < 1:
        raise UserError(f"{path}: no samples in it: {AGAIN}")


def read_audio(path: str | Path, sample_rate: int) -> np.ndarray:
    """Read a whole file of one channel.

    Returns:
        float32 (N,), samples in [-1, 1], or a little outside.

    Raises:
        UserError: What opening and reading an `AudioReader` raises.
    """
    return AudioReader(path, sample_rate)[:]


def read_whole(path: str | Path, num_samples: int) -> np.ndarray:
    """Read all channels of a file whose header promises `num_samples` a channel.

    Returns:
        float32 (N, channels), samples in [-1, 1], or a little outside.

    Raises:
        UserError: Corrupt or cut off, and what `check_samples` refuses.
    """
    import soundfile

    try:
        wave, _ = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise _unreadable(path, error) from None
    if len(wave) < num_samples:
        raise UserError(f"{path}: cut off: {len(wave)} of {num_samples} samples can be read: {AGAIN}")
    try:
        check_samples(wave.reshape(-1))
    except UserError as error:
        raise UserError(f"{path}: {error}; repair the file or remove the utterance") from None
    return wave


class AudioReader:
    """A file as one channel, whose samples are read when a slice of them is asked for: `reader[start:stop]`.

    Slices are read one behind the other; they may overlap. One that begins before the last one did reads the file from
    its first sample again: after a jump, decoders of compressed audio don't give exactly the same samples.

    Args:
        path: The file.
        sample_rate: What it must have, in Hz.
        mix: Give the mean of several channels, instead of refusing them.

    Raises:
        UserError: What `audio_info` and `check_info` refuse.
    """

    ndim = 1

    def __init__(self, path: str | Path, sample_rate: int, mix: bool = False) -> None:
        info = audio_info(path)
        check_info(path, info, sample_rate, mix)
        self.path = str(path)
        self.sample_rate = sample_rate
        self._num_samples = info.num_samples
        # The open file, and the samples from `_start` on that were read last.
        self._file: Any = None
        self._start, self._last = 0, np.zeros(0, np.float32)

    def __len__(self) -> int:
        """Return the number of samples."""
        return self._num_samples

    def __getitem__(self, part: slice) -> np.ndarray:
        """Return the samples of a slice, float32 (N,) in [-1, 1], or a little outside.

        Raises:
            UserError: Corrupt or cut off, more samples than the memory holds, and what `check_samples` refuses.
        """
        import soundfile

        start, stop, _ = part.indices(len(self))
        if start >= stop:
            return np.zeros(0, np.float32)
        try:
            if self._file is None or start < self._start:
                self._file = soundfile.SoundFile(self.path)
                self._start, self._last = 0, np.zeros(0, np.float32)
            blocks = [self._last] if len(self._last) else []
            count = self._start + len(self._last)
            while count < stop:
                block = self._file.read(min(BLOCK, stop - count), dtype="float32")
                # Infinities in two channels make what `check_samples` refuses below.
                with np.errstate(invalid="ignore"):
                    blocks.append(block if block.ndim == 1 else block.mean(axis=1))
                if not len(blocks[-1]):
                    raise UserError(f"{self.path}: cut off: {count} of {len(self)} samples can be read: {AGAIN}")
                count += len(blocks[-1])
            wave = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise _unreadable(self.path, error) from None
        except MemoryError:
            raise UserError(
                f"{self.path}: {stop - start} samples don't fit into the memory: cut it into parts"
            ) from None
        self._start, self._last = start, wave[start - self._start :]
        wave = self._last[: stop - start]
        try:
            check_samples(wave)
        except UserError as error:
            raise UserError(f"{self.path}: {error}; repair the file or remove the utterance") from None
        return wave


def check_samples(wave: np.ndarray | Tensor) -> None:
    """Raise UserError unless all samples (N,) are numbers, in [-1, 1] or not far outside."""
    loudest = float(abs(wave).max()) if len(wave) else 0.0
    if not math.isfinite(loudest):
        bad = len(wave) - int((abs(wave) < math.inf).sum())
        raise UserError(f"{bad} samples are NaN or infinite")
    if loudest > LOUDEST:
        raise UserError(f"samples up to {loudest:g}: scale them to [-1, 1]")


def _unreadable(path: str | Path, error: Exception) -> UserError:
    reason = str(error).strip().splitlines()[-1].split(": ", 1)[-1]
    return UserError(f"{path}: corrupt, cut off or not an audio file ({reason}): {AGAIN}")
