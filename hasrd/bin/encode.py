# Copyright 2026 The hasrd authors
# Apache-2.0
"""Turn speech into tokens.

INPUT is an audio file, and OUT the .npz file to write; or a folder, searched with all folders in it, and OUT gets the
same folders with a .npz for each file; or a wav.scp (or a data directory that has one), and OUT gets UTTERANCE.npz and
tokens.scp. Each file holds codes (T, M) and what is needed to read them.
"""

from __future__ import annotations

import argparse
from typing import Sequence

from hasrd.bin.options import add_model_use, fill
from hasrd.codec.encode_files import encode_files
from hasrd.codec.model_use import ModelUse
from hasrd.codec.window_plan import OF_MODEL, parse_window
from hasrd.errors import run_main


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_use(parser)
    parser.add_argument("--resample", action="store_true", help="bring audio of another rate to the model's")
    parser.add_argument(
        "--window",
        type=parse_window,
        default=OF_MODEL,
        metavar="SECONDS",
        help="encode longer audio in overlapping windows of so many seconds (default: the model's, mostly 30); none: "
        "encode all audio whole, in time and memory that grow with the square of its length",
    )
    parser.add_argument("--kaldi", action="store_true", help="of a wav.scp: also write codes.scp (needs kaldiio)")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Encode on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    options = {"resample": args.resample, "kaldi": args.kaldi, "window": args.window}
    encode_files(args.input, args.out, fill(ModelUse, args), args.nj, **options)


if __name__ == "__main__":
    run_main(main)
