# Copyright 2026 The hasrd authors
# Apache-2.0
"""Turn speech into tokens.

INPUT is an audio file, and OUT the .npz file to write; or a folder, searched with all folders in it, and OUT gets the
same folders with a .npz for each file; or a wav.scp (or a data directory that has one), and OUT gets UTTERANCE.npz and
tokens.scp. Each file holds codes (T, M) and what is needed to read them.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
from pathlib import Path
from typing import Any, Mapping, Sequence

from hasrd.bin.files import (
    Job,
    chosen_streams,
    list_jobs,
    model_arguments,
    model_options,
    open_model,
    raise_failed,
    run_jobs,
)
from hasrd.codec.token_tables import LOUDNESS, NUM_SAMPLES, number_text
from hasrd.data.archive import write_archive
from hasrd.data.audio import audio_info, read_audio
from hasrd.data.kaldi import write_table
from hasrd.errors import UserError, of_one_input, run_main
from hasrd.jobs.atomic import atomic_path, write_json

AUDIO = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff")


class EncodeWork:
    """Tokens of a group of audio files."""

    def __init__(self, model: tuple[Any, ...], streams: list[str] | None, resample: bool) -> None:
        self.tokenizer = open_model(*model)
        self.streams = streams
        self.resample = resample

    def __call__(self, group: Sequence[Job]) -> list[tuple[str, str]]:
        waves, failed = {}, []
        for job in group:
            try:
                waves[job] = self._read(job.source)
            except Exception as error:
                failed.append((job.name, of_one_input(error)))
        try:
            self._encode(waves)
        except Exception:
            # One at a time: the others are done.
            for job, wave in waves.items():
                try:
                    self._encode({job: wave})
                except Exception as error:
                    failed.append((job.name, f"{job.source}: {of_one_input(error)}"))
        return failed

    def _encode(self, waves: Mapping[Job, Any]) -> None:
        if not waves:
            return
        tokens = self.tokenizer.encode(list(waves.values()), self.tokenizer.sample_rate)
        if self.streams is not None:
            tokens = tokens.select(self.streams)
        for row, job in enumerate(waves):
            self.tokenizer.save_tokens(job.target, tokens.item(row))

    def _read(self, path: str):
        rate = audio_info(path).sample_rate if self.resample else self.tokenizer.sample_rate
        return self.tokenizer.as_wave(read_audio(path, rate), rate, self.resample, name=f"{path}: ")


def write_kaldi(out: Path, done: dict[str, Path], level: float | None) -> None:
    """Write codes.ark, codes.scp, codes.json, utt2num_samples and, of a codec with a level, utt2loudness.

    Args:
        out: Folder to write to.
        done: Utterance to token file.
        level: The codec's `loudness`.
    """
    from hasrd.codec.token_file import read_token_file, stride_facts

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
    write_json(
        out / "codes.json",
        {
            "codebook_sizes": facts.codebook_sizes,
            "stream_names": facts.stream_names,
            "frame_rate": facts.frame_rate,
            **stride_facts(facts.codebook_strides),
            "loudness": level,
            "model": facts.model,
        },
    )
    write_table(out / NUM_SAMPLES, lengths)
    if level is not None:
        write_table(out / LOUDNESS, loudness)
    write_table(out / "codes.scp", entries)


def main() -> None:
    """Encode on the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model_options(parser)
    parser.add_argument("--resample", action="store_true", help="bring audio of another rate to the model's")
    parser.add_argument("--kaldi", action="store_true", help="of a wav.scp: also write codes.scp (needs kaldiio)")
    args = parser.parse_args()
    jobs, kind = list_jobs(args.input, args.out, AUDIO, ".npz", "wav.scp")
    if kind == "file" and jobs[0].target.suffix != ".npz":
        raise UserError(f"{args.out}: a file of tokens is named .npz")
    if args.kaldi:
        _check_kaldi(kind)
    tokenizer = open_model(*model_arguments(args))
    streams = chosen_streams(args, tokenizer.stream_names)
    settings = {"made_by": "hasrd encode", "model": tokenizer.model_sha256, "streams": ",".join(streams or ["all"])}
    settings.update(dtype=args.dtype, resample=args.resample)
    work = functools.partial(EncodeWork, model_arguments(args), streams, args.resample)
    folder = None if kind == "file" else args.out
    failed = run_jobs(jobs, folder, settings, work, args.nj, f"tokens of {args.input}")
    done = {job.name: job.target for job in jobs if job.name not in failed}
    if kind == "table" and done:
        write_table(args.out / "tokens.scp", {name: str(path) for name, path in done.items()})
        if args.kaldi:
            write_kaldi(args.out, done, tokenizer.codec.loudness)
    raise_failed(failed, len(jobs))
    print(f"{args.out}: tokens of {len(jobs)} file{'s' if len(jobs) > 1 else ''}")


def _check_kaldi(kind: str) -> None:
    if kind != "table":
        raise UserError("--kaldi: the names of the utterances come from a wav.scp: give one as input")
    if importlib.util.find_spec("kaldiio") is None:
        raise UserError("--kaldi: needs the package kaldiio: pip install kaldiio")


if __name__ == "__main__":
    run_main(main)
