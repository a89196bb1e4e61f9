# Copyright 2026 The hasrd authors
# Apache-2.0
"""Speech of files of tokens, of those in folders and of those that a table lists (`hasrd decode`)."""

from __future__ import annotations

import functools
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Mapping, Sequence

from torch import Tensor

from hasrd.codec.model_use import ModelUse
from hasrd.codec.token_file import TokenFacts
from hasrd.codec.token_tables import LOUDNESS, NUM_SAMPLES, read_numbers
from hasrd.config import read_json
from hasrd.data.archive import read_integers
from hasrd.data.audio import write_audio
from hasrd.data.file_lists import Job, Kind, batches_of
from hasrd.data.file_work import Done, run_files
from hasrd.errors import UserError, of_one_input
from hasrd.jobs.atomic import atomic_path
from hasrd.jobs.sharing import Sharing

FORMATS = ("wav", "flac")
DECODE = Kind("decode", "speech", (".npz",), (".npz", ".scp"), "tokens.scp", (".wav", ".flac"), "wav.scp")
# dB, from which on it is said that speech had to be written quieter than it was.
AUDIBLE = 0.5


def decode_files(paths: Sequence[Path], out: Path | None, use: ModelUse, run: Sharing, form: str) -> None:
    """Write an audio file for each file or entry of tokens, and of a table wav.scp.

    Args:
        paths, out: See `batches_of`.
        use: The tokenizer.
        run: How many do it.
        form: One of `FORMATS`, of the files that are not named.

    Raises:
        UserError: Inputs or outputs that can't be, or files that failed; the rest is done.
    """
    with batches_of(paths, out, DECODE.writing(form)) as batches:
        settings = use.settings("hasrd decode", format=form)
        tables = dict.fromkeys(
            job.table for batch in batches for job in batch.jobs if job.table and not job.source.endswith(".npz")
        )
        facts = {table: archive_facts(table, use.tokenizer().model_sha256) for table in tables}
        for place, batch in enumerate(batches):
            batches[place] = replace(batch, jobs=[_with_facts(job, facts.get(job.table)) for job in batch.jobs])
        run_files(batches, DECODE, settings, functools.partial(DecodeWork, use, facts), run)


def _with_facts(job: Job, facts: Mapping[str, Any] | None) -> Job:
    numbers = [facts[name] for name in ("num_samples", "loudness") if facts.get(name)] if facts else []
    return replace(job, beside="".join(f" {table.get(job.name)}" for table in numbers))


def write_speech(job: Job, wave: Tensor, sample_rate: int) -> None:
    """Write speech (1, N) to a job's target; what has peaks above full scale is scaled down, and that is said."""
    peak = max(1.0, float(wave.abs().max()) if wave.numel() else 0.0)
    lost = 20 * math.log10(peak)
    if lost > AUDIBLE:
        print(f"note: {job.label or job.target}: {lost:.1f} dB quieter, so that nothing is clipped", file=sys.stderr)
    with atomic_path(job.target) as temporary:
        write_audio(temporary, wave[0] / peak, sample_rate)


class DecodeWork:
    """Speech of a group of token files.

    Args:
        facts: Of each table of Kaldi archives, which hold codes alone: stream_names, codebook_sizes, num_samples,
            loudness.
    """

    def __init__(self, use: ModelUse, facts: Mapping[Path | None, Mapping[str, Any]]) -> None:
        self.tokenizer, self.use = use.tokenizer(), use
        self.facts = facts

    def __call__(self, group: Sequence[Job]) -> Done:
        done = Done()
        for job in group:
            try:
                tokens = self._read(job)
            except Exception as error:
                done.failed[job.name] = of_one_input(error)
                continue
            try:
                wave = self.tokenizer.decode(self.use.chosen(tokens))
                write_speech(job, wave, self.tokenizer.sample_rate)
            except Exception as error:
                done.failed[job.name] = f"{job.source}: {of_one_input(error)}"
        return done

    def _read(self, job: Job):
        if job.source.endswith(".npz"):
            return self.tokenizer.load_tokens(job.source)
        facts = self.facts.get(job.table)
        if not facts:
            raise UserError(f"{job.source}: not a file of tokens (.npz), and no codes.json lies beside {job.table}")
        names, sizes = facts["stream_names"], facts["codebook_sizes"]
        samples, loudness = facts["num_samples"].get(job.name), facts["loudness"]
        if loudness is not None and job.name not in loudness:
            raise UserError(f"{LOUDNESS}: utterance '{job.name}' of codes.scp is missing: make the tokens again")
        level = None if loudness is None else loudness[job.name]
        tokens = self.tokenizer.as_tokens(read_integers(job.source), samples, names, sizes, level)
        self.tokenizer.check_tokens(tokens)
        return tokens


def archive_facts(table: Path, model: str) -> dict[str, Any]:
    """What lies beside a recipe's codes.scp: codes.json, maybe utt2num_samples and, where codes.json has a loudness,
    utt2loudness; {} where there is no codes.json.

    Raises:
        UserError: A damaged file, or tokens of another model.
    """
    path = table.with_name("codes.json")
    if not path.is_file():
        return {}
    content = read_json(path, TokenFacts, "make the tokens again")
    if content.model not in (None, model):
        raise UserError(f"{path}: tokens of another model: decode them with the model that made them")
    levelled = content.loudness is not None
    return {
        "stream_names": content.stream_names,
        "codebook_sizes": content.codebook_sizes,
        "num_samples": read_numbers(table.with_name(NUM_SAMPLES), int),
        "loudness": read_numbers(table.with_name(LOUDNESS), float, needed=True) if levelled else None,
    }
