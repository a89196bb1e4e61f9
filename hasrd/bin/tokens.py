# Copyright 2026 The hasrd authors
# Apache-2.0
"""Print the tokens of .npz files of `hasrd encode`: a line for each frame, or JSON. "-" is standard input."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.codec.token_text import print_tokens
from hasrd.errors import run_main


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", metavar="FILE", type=Path, help=".npz file")
    parser.add_argument("--json", action="store_true", help="print an object for each file, one a line")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Print what the command line names, or `argv`."""
    args = get_parser().parse_args(argv)
    print_tokens(args.paths, args.json)


if __name__ == "__main__":
    run_main(main)
