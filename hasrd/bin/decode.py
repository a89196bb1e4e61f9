# Copyright 2026 The hasrd authors
# Apache-2.0
"""Turn tokens into speech.

FILE is a .npz file of `hasrd encode`, and OUT the .wav or .flac file to write; or a folder, searched with all folders
in it, and OUT gets the same folders with an audio file for each; or a tokens.scp or a recipe's codes.scp (with its
codes.json), and OUT gets UTTERANCE.wav and wav.scp. Of several, OUT is a folder.

OUT is named with -o, or is the last of several paths, unless that has the name of tokens or of a table. Without it,
audio lies beside its tokens. "-" is standard input or output. Speech is as loud as what was encoded. Audio is written
with 16 bits; what has peaks above full scale is scaled down, not clipped, and that is said where it is heard.
"""

from __future__ import annotations

import argparse
from typing import Sequence

from hasrd.bin import file_options
from hasrd.bin.file_options import parse_files
from hasrd.bin.options import fill
from hasrd.codec.decode_files import FORMATS, decode_files
from hasrd.codec.model_use import ModelUse
from hasrd.errors import run_main
from hasrd.jobs.sharing import Sharing


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = file_options.get_parser(__doc__, audio=False)
    parser.add_argument("--format", default="wav", choices=FORMATS, help="of files that are not named (default: wav)")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Decode on the options of the command line, or on `argv`."""
    args = parse_files(get_parser(), argv)
    decode_files(args.paths, args.out, fill(ModelUse, args), fill(Sharing, args), args.format)


if __name__ == "__main__":
    run_main(main)
