# Copyright 2026 The hasrd authors
# Apache-2.0
"""Speech of files of tokens: of one, of those in a folder, or of those that a table lists (`hasrd decode`)."""

from __future__ import annotations

import functools
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Mapping, Sequence

from hasrd.codec.model_use import ModelUse
from hasrd.codec.token_file import TokenFacts
from hasrd.codec.token_tables import LOUDNESS, NUM_SAMPLES, read_numbers
from hasrd.config import read_json
from hasrd.data.archive import read_integers
from hasrd.data.audio import write_audio
from hasrd.data.file_work import Job, list_jobs, run_files
from hasrd.errors import UserError, of_one_input
from hasrd.jobs.atomic import atomic_path

FORMATS = ("wav", "flac")
# dB, from which on it is said that speech had to be written quieter than it was.
AUDIBLE = 0.5


def decode_files(source: Path, out: Path, use: ModelUse, nj: int, form: str) -> None:
    """Write an audio file for each file or entry of tokens, and of a table wav.scp.

    Args:
        source, out: See `list_jobs`.
        use: The tokenizer.
        nj: Processes.
        form: One of `FORMATS`, of the files in a folder.

    Raises:
        UserError: Inputs or outputs that can't be, or files that failed; the rest is done.
    """
    jobs, kind = list_jobs(source, out, (".npz",), f".{form}", "tokens.scp")
    if kind == "file" and jobs[0].target.suffix[1:] not in FORMATS:
        raise UserError(f"{out}: name it .wav or .flac")
    settings = use.settings("hasrd decode", format=form)
    archived = any(not job.source.endswith(".npz") for job in jobs)
    facts = archive_facts(source, use.tokenizer().model_sha256) if archived else {}
    numbers = [facts[name] for name in ("num_samples", "loudness") if facts.get(name)]
    jobs = [replace(job, beside="".join(f" {table.get(job.name)}" for table in numbers)) for job in jobs]
    run_files(jobs, kind, source, out, settings, functools.partial(DecodeWork, use, facts), nj, "speech", "wav.scp")


class DecodeWork:
    """Speech of a group of token files.

    Args:
        facts: Of Kaldi archives, which hold codes alone: stream_names, codebook_sizes, num_samples, loudness.
    """

    def __init__(self, use: ModelUse, facts: Mapping[str, Any]) -> None:
        self.tokenizer, self.streams = use.tokenizer(), use.chosen_streams()
        self.facts = facts

    def __call__(self, group: Sequence[Job]) -> list[tuple[str, str]]:
        failed = []
        for job in group:
            try:
                tokens = self._read(job)
            except Exception as error:
                failed.append((job.name, of_one_input(error)))
                continue
            try:
                wave = self.tokenizer.decode(tokens, self.streams)
                peak = max(1.0, float(wave.abs().max()) if wave.numel() else 0.0)
                lost = 20 * math.log10(peak)
                if lost > AUDIBLE:
                    print(f"note: {job.target}: {lost:.1f} dB quieter, so that nothing is clipped", file=sys.stderr)
                with atomic_path(job.target) as temporary:
                    write_audio(temporary, wave[0] / peak, self.tokenizer.sample_rate)
            except Exception as error:
                failed.append((job.name, f"{job.source}: {of_one_input(error)}"))
        return failed

    def _read(self, job: Job):
        if job.source.endswith(".npz"):
            return self.tokenizer.load_tokens(job.source)
        if not self.facts:
            raise UserError(f"{job.source}: not a file of tokens (.npz)")
        names, sizes = self.facts["stream_names"], self.facts["codebook_sizes"]
        samples, loudness = self.facts["num_samples"].get(job.name), self.facts["loudness"]
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
