# Copyright 2026 The hasrd authors
# Apache-2.0
"""Write the list of characters that a probe can answer with, in ESPnet's format."""

from __future__ import annotations

import argparse
from typing import Sequence

from hasrd.data.token_list import token_list
from hasrd.errors import run_main
from hasrd.jobs.atomic import write_text
from hasrd.jobs.lock import exclusive


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", required=True, help="transcripts of the training set")
    parser.add_argument("--out", required=True, help="file to write, one token a line")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    with exclusive(args.out):
        write_text(args.out, "".join(f"{token}\n" for token in token_list(args.text)))


if __name__ == "__main__":
    run_main(main)
