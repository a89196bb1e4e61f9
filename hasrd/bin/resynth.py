# Copyright 2026 The hasrd authors
# Apache-2.0
"""Turn speech into tokens and back, to hear what a tokenizer keeps.

FILE is an audio file, and OUT the .wav or .flac file to write; or a folder, searched with all folders in it, and OUT
gets the same folders with an audio file for each; or a wav.scp (or a data directory that has one), and OUT gets
UTTERANCE.wav and wav.scp. Of several, OUT is a folder. OUT is named with -o, or is the last of the paths. "-" is
standard input or output. The speech is what `hasrd decode` makes of the tokens of `hasrd encode`.
"""

from __future__ import annotations

import argparse
from typing import Sequence

from hasrd.bin import file_options
from hasrd.bin.file_options import parse_files
from hasrd.bin.options import fill
from hasrd.codec.decode_files import FORMATS
from hasrd.codec.model_use import ModelUse
from hasrd.codec.resynth_files import resynth_files
from hasrd.errors import run_main
from hasrd.jobs.sharing import Sharing


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = file_options.get_parser(__doc__, audio=True)
    parser.add_argument("--format", default="wav", choices=FORMATS, help="of files that are not named (default: wav)")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Resynthesise on the options of the command line, or on `argv`."""
    args = parse_files(get_parser(), argv)
    options = {"strict_rate": args.strict_rate, "window": args.window}
    resynth_files(args.paths, args.out, fill(ModelUse, args), fill(Sharing, args), args.format, **options)


if __name__ == "__main__":
    run_main(main)
