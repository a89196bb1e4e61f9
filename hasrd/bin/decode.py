# Copyright 2026 The hasrd authors
# Apache-2.0
"""Turn tokens into speech.

INPUT is a .npz file of `hasrd encode`, and OUT the .wav or .flac file to write; or a folder, searched with all folders
in it, and OUT gets the same folders with an audio file for each; or a tokens.scp or a recipe's codes.scp (with its
codes.json), and OUT gets UTTERANCE.wav and wav.scp. Speech is as loud as what was encoded. Audio is written with 16
bits; what has peaks above full scale is scaled down, not clipped, and that is said where it is heard.
"""

from __future__ import annotations

import argparse
from typing import Sequence

from hasrd.bin.options import add_model_use, fill
from hasrd.codec.decode_files import FORMATS, decode_files
from hasrd.codec.model_use import ModelUse
from hasrd.errors import run_main


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_use(parser)
    parser.add_argument("--format", default="wav", choices=FORMATS, help="of the files in a folder (default: wav)")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Decode on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    decode_files(args.input, args.out, fill(ModelUse, args), args.nj, args.format)


if __name__ == "__main__":
    run_main(main)
