# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tokens of audio files, of those in folders and of those that a wav.scp lists (`hasrd encode`)."""

from __future__ import annotations

import functools
import importlib.util
import math
from collections import Counter
from pathlib import Path
from typing import Any, Mapping, Sequence

from hasrd.codec.model_use import ModelUse
from hasrd.codec.token_tables import LOUDNESS, NUM_SAMPLES, number_text
from hasrd.codec.tokens import Tokens
from hasrd.codec.window_plan import OF_MODEL
from hasrd.data.archive import write_archive
from hasrd.data.audio import AUDIO, AudioReader, audio_info
from hasrd.data.file_lists import Batch, Job, Kind, batches_of
from hasrd.data.file_work import Done, run_files
from hasrd.data.kaldi import write_table
from hasrd.errors import UserError, of_one_input
from hasrd.jobs.atomic import atomic_path
from hasrd.jobs.sharing import Sharing

# What --kaldi writes beside tokens.scp.
KALDI = ("codes.ark", "codes.json", NUM_SAMPLES, LOUDNESS, "codes.scp")


ENCODE = Kind("encode", "tokens", AUDIO, AUDIO, "wav.scp", (".npz",), "tokens.scp")


def encode_files(
    paths: Sequence[Path],
    out: Path | None,
    use: ModelUse,
    run: Sharing,
    *,
    strict_rate: bool = False,
    kaldi: bool = False,
    window: float | str | None = OF_MODEL,
) -> None:
    """Write a .npz of tokens for each audio file, and of a wav.scp the table tokens.scp.

    Args:
        paths, out: See `batches_of`.
        use: The tokenizer.
        run: How many do it.
        strict_rate: Refuse audio of another rate, or of several channels, instead of converting it.
        kaldi: Write codes.scp and what belongs to it, too.
        window: See `Tokenizer.encode`.

    Raises:
        UserError: Inputs or outputs that can't be, or files that failed; the rest is done.
    """
    with batches_of(paths, out, ENCODE) as batches:
        if kaldi:
            _check_kaldi(batches)
        settings = use.settings("hasrd encode", resample=not strict_rate, window=window_seconds(use, window))
        work = functools.partial(EncodeWork, use, strict_rate, window)
        finish = functools.partial(write_kaldi, level=use.tokenizer().codec.loudness) if kaldi else None
        run_files(batches, ENCODE, settings, work, run, finish, KALDI if kaldi else ())


def window_seconds(use: ModelUse, window: float | str | None) -> float | None:
    """Return the seconds that are encoded at once, as settings note them; None: all."""
    seconds = use.tokenizer().samples_at_once(window) / use.tokenizer().sample_rate
    return seconds if seconds < math.inf else None


class EncodeWork:
    """Tokens of a group of audio files."""

    def __init__(self, use: ModelUse, strict_rate: bool, window: float | str | None) -> None:
        self.tokenizer, self.use = use.tokenizer(), use
        self.strict_rate, self.window = strict_rate, window

    def __call__(self, group: Sequence[Job]) -> Done:
        short, long, done = {}, [], Done()
        for job in group:
            try:
                wave = self._read(job.source, done.counts)
                if isinstance(wave, AudioReader):
                    long.append({job: wave})
                else:
                    short[job] = wave
            except Exception as error:
                done.failed[job.name] = of_one_input(error)
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
                        done.failed[job.name] = f"{job.source}: {reason}"
        return done

    def _encode(self, waves: Mapping[Job, Any]) -> None:
        if not waves:
            return
        tokens = self.tokenizer.encode(list(waves.values()), self.tokenizer.sample_rate, window=self.window)
        tokens = self.use.chosen(tokens)
        for row, job in enumerate(waves):
            self._write(job, tokens.item(row))

    def _write(self, job: Job, tokens: Tokens) -> None:
        self.tokenizer.save_tokens(job.target, tokens)

    def _read(self, path: str, counts: Counter) -> Any:
        info, rate = audio_info(path), self.tokenizer.sample_rate
        if self.strict_rate and (info.sample_rate, info.channels) != (rate, 1):
            other = f"{info.sample_rate} Hz, but {rate} Hz is needed"
            other = other if info.sample_rate != rate else f"{info.channels} channels, but one is needed"
            raise UserError(f"{path}: {other}: without --strict_rate it is converted")
        reader = AudioReader(path, info.sample_rate, mix=True)
        wave = self.tokenizer.as_wave(reader, info.sample_rate, True, f"{path}: ", self.window)
        counts.update([f"resampled to {rate} Hz"] * (info.sample_rate != rate))
        counts.update(["mixed down to one channel"] * (info.channels != 1))
        return wave


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


def _check_kaldi(batches: Sequence[Batch]) -> None:
    if not all(job.table for batch in batches for job in batch.jobs):
        raise UserError("--kaldi: the names of the utterances come from a wav.scp: give one as input")
    if importlib.util.find_spec("kaldiio") is None:
        raise UserError("--kaldi: needs the package kaldiio: pip install kaldiio")
