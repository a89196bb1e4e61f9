# Copyright 2026 The hasrd authors
# Apache-2.0
"""Semantic tokens of a data set: the nearest k-means centroid of each latent frame (end of stage 4)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.bin.options import add_set_run, fill
from hasrd.codec.semantic import dump_semantic_tokens
from hasrd.data.set_work import DataSetRun
from hasrd.errors import run_main
from hasrd.registry import add_allow_import


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--encoder_file", required=True, help="encoder.safetensors of stage 3")
    parser.add_argument("--kmeans_file", required=True, help="kmeans.npz of stage 4")
    parser.add_argument("--data", required=True, help="data directory")
    parser.add_argument("--out", required=True, type=Path, help="folder; gets text with lines 'utt c0 c1 ...'")
    add_set_run(parser)
    add_allow_import(parser, "the encoder's file")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Tokenise on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    dump_semantic_tokens(fill(DataSetRun, args), args.encoder_file, args.kmeans_file, args.allow_import)


if __name__ == "__main__":
    run_main(main)
