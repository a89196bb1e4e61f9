# Copyright 2026 The hasrd authors
# Apache-2.0
"""A map of what the streams of a trained codec hold: phones and speakers, in the vectors that tokens stand for.

For each stream, the vectors that its tokens decode to are averaged over phone segments; t-SNE lays a balanced sample
of the segments out on a plane, and nearest neighbours in the vectors' own space say how much of phone and speaker
there is.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.errors import run_main
from hasrd.registry import add_allow_import
from hasrd.report.mapping import write_map


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--exp_dir", required=True, type=Path, help="directory of the trained codec")
    parser.add_argument("--model_file", default="latest.pth", help="weights inside it")
    parser.add_argument("--data", required=True, type=Path, help="data directory with phones.ctm")
    parser.add_argument("--codes", type=Path, help="codes.scp of stage 6 (default: that of the codec and the set)")
    parser.add_argument("--out", required=True, type=Path, help="JSON file to write")
    parser.add_argument("--num", type=int, default=1500, help="segments on the map")
    add_allow_import(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Make the map on the options of the command line, or on `argv`."""
    write_map(**vars(get_parser().parse_args(argv)))


if __name__ == "__main__":
    run_main(main)
