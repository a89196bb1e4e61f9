# Copyright 2026 The hasrd authors
# Apache-2.0
"""Audio of corpora of any form: a file, a part of a file, or the content of a table; and the utterances in it."""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from hasrd.data.audio import AGAIN, AudioInfo, audio_info, check_samples, read_whole
from hasrd.errors import UserError, first_line


class Recording(Protocol):
    """Audio that utterances are cut from. It can be sent to another process and is a key of dictionaries."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def path(self) -> str:
        """The file that holds this audio and nothing else, "" where there is none."""

    def info(self) -> AudioInfo:
        """Read the header; UserError where it is not audio."""

    def read(self) -> tuple[np.ndarray, int]:
        """Return samples (N, channels), float32 in [-1, 1] or a little outside, and the rate in Hz.

        Raises:
            UserError: It is damaged.
        """


@dataclass(frozen=True)
class AudioFile:
    """A file of audio."""

    path: str

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def info(self) -> AudioInfo:
        """See `Recording`."""
        return audio_info(self.path)

    def read(self) -> tuple[np.ndarray, int]:
        """See `Recording`."""
        info = self.info()
        return read_whole(self.path, info.num_samples), info.sample_rate


class Embedded(ABC):
    """Audio whose file is a part of something else; a class of this kind has `name` and `content()`."""

    path = ""
    name: str

    @abstractmethod
    def content(self) -> bytes:
        """Return the bytes of a whole audio file."""

    def info(self) -> AudioInfo:
        """See `Recording`."""
        import soundfile

        try:
            info = soundfile.info(io.BytesIO(self.content()))
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise self._unreadable(error) from None
        return AudioInfo(info.frames, info.samplerate, info.channels)

    def read(self) -> tuple[np.ndarray, int]:
        """See `Recording`."""
        import soundfile

        try:
            wave, rate = soundfile.read(io.BytesIO(self.content()), dtype="float32", always_2d=True)
            check_samples(wave.reshape(-1))
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise self._unreadable(error) from None
        except UserError as error:
            raise UserError(f"{self.name}: {error}; repair it or remove the utterance") from None
        return wave, rate

    def _unreadable(self, error: Exception) -> UserError:
        return UserError(f"{self.name}: corrupt, cut off or not an audio file ({first_line(error)}): {AGAIN}")


@dataclass(frozen=True)
class FilePart(Embedded):
    """An audio file of `size` bytes that begins `offset` bytes behind the start of another file (a tar, an archive)."""

    file: str
    offset: int
    size: int

    @property
    def name(self) -> str:
        """File and offset."""
        return f"{self.file}:{self.offset}"

    def content(self) -> bytes:
        """Return the bytes of the audio file; UserError where the file around it is shorter, or not there."""
        try:
            with open(self.file, "rb") as file:
                if self.offset + self.size > os.fstat(file.fileno()).st_size:
                    raise UserError(f"{self.name}: the file ends before {self.size} bytes of audio: get it again")
                file.seek(self.offset)
                return file.read(self.size)
        except OSError as error:
            raise UserError(f"{self.file}: cannot be read ({error.strerror})") from None


def archive_part(entry: str) -> FilePart:
    """Find the audio that an entry `file.ark:offset` of a Kaldi archive points to.

    Known are what Kaldi's wav-copy and kaldiio write: a WAV file, a FLAC file that is the last of its archive, and
    kaldiio's `AUDIO`, the length and a file of any format. Nothing else is read, and no command is run.

    Raises:
        UserError: No such archive, or something else there.
    """
    file_name, _, offset = entry.rpartition(":")
    if not file_name or not (offset.isascii() and offset.isdecimal()) or len(offset) > 18:
        raise UserError(f"'{entry}': neither an audio file nor an entry of an archive (file.ark:offset)")
    if not Path(file_name).is_file():
        raise UserError(f"{file_name}: no such archive (named in '{entry}')")
    start = int(offset)
    with open(file_name, "rb") as file:
        rest = max(0, os.fstat(file.fileno()).st_size - start)
        file.seek(start)
        head = file.read(16)
    if head[:4] == b"RIFF" and len(head) >= 12:
        size = 8 + int.from_bytes(head[4:8], "little")
        # A header that was written to a pipe does not know the size.
        return FilePart(file_name, start, min(size, rest) if size > 0x7EFF0000 else size)
    if head[:4] == b"fLaC":
        return FilePart(file_name, start, rest)
    if head[:5] == b"AUDIO" and 0 < head[5] <= 8 and len(head) >= 6 + head[5]:
        return FilePart(file_name, start + 6 + head[5], int.from_bytes(head[6 : 6 + head[5]], "little"))
    raise UserError(
        f"{entry}: no WAV, no FLAC and no AUDIO of kaldiio there: matrices have no sample rate, and pickles and NumPy "
        "files are not read: write the audio to files, or with wav-copy"
    )


@dataclass
class Utterance:
    """What a corpus says of one utterance.

    Attributes:
        name: Its name in tables; `hasrd.jobs.names.name_problem` may find fault with it.
        recording: The audio that it lies in.
        where: File and line, for messages.
        part: Of the corpus, such as a folder, a split or a manifest; "" where there is but one.
        start, end: In seconds of the recording; `end` None: to its end.
        channel: From 0 on; None: the mean of all.
        text: As written in the corpus; None: there is none.
        speaker: "" where it is not known.
        language: "" where it is not known.
    """

    name: str
    recording: Recording
    where: str
    part: str = ""
    start: float = 0.0
    end: float | None = None
    channel: int | None = None
    text: str | None = None
    speaker: str = ""
    language: str = ""

    @property
    def whole(self) -> bool:
        """Whether it is the whole recording."""
        return self.start == 0 and self.end is None and self.channel is None

    def bounds(self, info: AudioInfo) -> tuple[int, int]:
        """Return its first sample and the one behind its last.

        Raises:
            UserError: It begins behind the recording's end, ends before it begins, or more than 0.5 s behind that end;
                or the recording lacks the channel.
        """
        if self.channel is not None and self.channel >= info.channels:
            raise UserError(f"{self.recording.name}: channel {self.channel} is named, there are {info.channels}")
        seconds = info.num_samples / info.sample_rate
        end = seconds if self.end is None else self.end
        if not 0 <= self.start < end or end > seconds + 0.5:
            raise UserError(
                f"{self.recording.name}: from {self.start:g} to {end:g} s is named, but it lasts {seconds:.2f} s"
            )
        return round(self.start * info.sample_rate), min(round(end * info.sample_rate), info.num_samples)
