# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tokens of audio files: of one, of those in a folder, or of those that a wav.scp lists (`hasrd encode`)."""

from __future__ import annotations

import functools
import importlib.util
import math
from pathlib import Path
from typing import Any, Mapping, Sequence

from hasrd.codec.model_use import ModelUse
from hasrd.codec.token_tables import LOUDNESS, NUM_SAMPLES, number_text
from hasrd.codec.window_plan import OF_MODEL
from hasrd.data.archive import write_archive
from hasrd.data.audio import AudioReader, audio_info
from hasrd.data.file_work import Job, list_jobs, run_files
from hasrd.data.kaldi import write_table
from hasrd.errors import UserError, of_one_input
from hasrd.jobs.atomic import atomic_path

AUDIO = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff")


def encode_files(
    source: Path,
    out: Path,
    use: ModelUse,
    nj: int,
    *,
    resample: bool,
    kaldi: bool,
    window: float | str | None = OF_MODEL,
) -> None:
    """Write a .npz of tokens for each audio file, and of a wav.scp the table tokens.scp.

    Args:
        source, out: See `list_jobs`.
        use: The tokenizer.
        nj: Processes.
        resample: Bring audio of another rate to the model's.
        kaldi: Write codes.scp and what belongs to it, too.
        window: See `Tokenizer.encode`.

    Raises:
        UserError: Inputs or outputs that can't be, or files that failed; the rest is done.
    """
    jobs, kind = list_jobs(source, out, AUDIO, ".npz", "wav.scp")
    if kind == "file" and jobs[0].target.suffix != ".npz":
        raise UserError(f"{out}: a file of tokens is named .npz")
    if kaldi:
        _check_kaldi(kind)
    tokenizer = use.tokenizer()
    seconds = tokenizer.samples_at_once(window) / tokenizer.sample_rate
    settings = use.settings("hasrd encode", resample=resample, window=seconds if seconds < math.inf else None)
    work = functools.partial(EncodeWork, use, resample, window)
    finish = functools.partial(write_kaldi, out, level=tokenizer.codec.loudness) if kaldi else None
    run_files(jobs, kind, source, out, settings, work, nj, "tokens", "tokens.scp", finish)


class EncodeWork:
    """Tokens of a group of audio files."""

    def __init__(self, use: ModelUse, resample: bool, window: float | str | None) -> None:
        self.tokenizer, self.streams = use.tokenizer(), use.chosen_streams()
        self.resample, self.window = resample, window

    def __call__(self, group: Sequence[Job]) -> list[tuple[str, str]]:
        short, long, failed = {}, [], []
        for job in group:
            try:
                wave = self._read(job.source)
                if isinstance(wave, AudioReader):
                    long.append({job: wave})
                else:
                    short[job] = wave
            except Exception as error:
                failed.append((job.name, of_one_input(error)))
        for waves in (short, *long):
            try:
                self._encode(waves)
            except Exception:
                # One at a time: the others are done.
                for job, wave in waves.items():
                    try:
                        self._encode({job: wave})
                    except Exception as error:
                        # A file that is read only now names itself.
                        reason = of_one_input(error).removeprefix(f"{job.source}: ")
                        failed.append((job.name, f"{job.source}: {reason}"))
        return failed

    def _encode(self, waves: Mapping[Job, Any]) -> None:
        if not waves:
            return
        tokens = self.tokenizer.encode(list(waves.values()), self.tokenizer.sample_rate, window=self.window)
        if self.streams is not None:
            tokens = tokens.select(self.streams)
        for row, job in enumerate(waves):
            self.tokenizer.save_tokens(job.target, tokens.item(row))

    def _read(self, path: str):
        rate = audio_info(path).sample_rate if self.resample else self.tokenizer.sample_rate
        return self.tokenizer.as_wave(AudioReader(path, rate), rate, self.resample, f"{path}: ", self.window)


def write_kaldi(out: Path, done: dict[str, Path], level: float | None) -> None:
    """Write codes.ark, codes.scp, codes.json, utt2num_samples and, of a codec with a level, utt2loudness.

    Args:
        out: Folder to write to.
        done: Utterance to token file.
        level: The codec's `loudness`.
    """
    from hasrd.codec.token_file import read_token_file, write_facts

    lengths: dict[str, str] = {}
    loudness: dict[str, str] = {}

    def codes():
        for name in sorted(done):
            file = read_token_file(done[name])
            lengths[name] = number_text(file.num_samples)
            if file.loudness is not None:
                loudness[name] = number_text(file.loudness)
            yield name, file.codes

    with atomic_path(out / "codes.ark") as temporary:
        entries = write_archive(temporary, out / "codes.ark", codes())
    facts = read_token_file(next(iter(done.values())))
    write_facts(out / "codes.json", facts, level, facts.model)
    write_table(out / NUM_SAMPLES, lengths)
    if level is not None:
        write_table(out / LOUDNESS, loudness)
    write_table(out / "codes.scp", entries)


def _check_kaldi(kind: str) -> None:
    if kind != "table":
        raise UserError("--kaldi: the names of the utterances come from a wav.scp: give one as input")
    if importlib.util.find_spec("kaldiio") is None:
        raise UserError("--kaldi: needs the package kaldiio: pip install kaldiio")
