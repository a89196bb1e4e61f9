# Copyright 2026 The hasrd authors
# Apache-2.0
"""Turn speech into tokens.

FILE is an audio file, and OUT the .npz file to write; or a folder, searched with all folders in it, and OUT gets the
same folders with a .npz for each file; or a wav.scp (or a data directory that has one), and OUT gets UTTERANCE.npz and
tokens.scp. Of several, OUT is a folder. Each .npz holds codes (T, M) and what is needed to read them.

OUT is named with -o, or is the last of several paths, unless that has the name of audio. Without it, each .npz lies
beside its audio. "-" is standard input or output. Audio of another sample rate or of several channels is converted, and
that is said.
"""

from __future__ import annotations

import argparse
from typing import Sequence

from hasrd.bin import file_options
from hasrd.bin.file_options import parse_files
from hasrd.bin.options import fill
from hasrd.codec.encode_files import encode_files
from hasrd.codec.model_use import ModelUse
from hasrd.errors import run_main
from hasrd.jobs.sharing import Sharing


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = file_options.get_parser(__doc__, audio=True)
    parser.add_argument("--kaldi", action="store_true", help="of a wav.scp: also write codes.scp (needs kaldiio)")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Encode on the options of the command line, or on `argv`."""
    args = parse_files(get_parser(), argv)
    options = {"strict_rate": args.strict_rate, "kaldi": args.kaldi, "window": args.window}
    encode_files(args.paths, args.out, fill(ModelUse, args), fill(Sharing, args), **options)


if __name__ == "__main__":
    run_main(main)
