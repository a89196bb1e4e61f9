# Copyright 2026 The hasrd authors
# Apache-2.0
"""Let a pre-trained model predict the masked tokens of a data set: what masked accuracy is scored on (stage 3)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.codec.masked_prediction import predict_masked
from hasrd.errors import run_main
from hasrd.registry import add_allow_import


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exp_dir", required=True, type=Path, help="directory of the pre-training")
    parser.add_argument("--model_file", default="valid.loss.best.pth", help="weights inside it")
    parser.add_argument("--data", required=True, help="data directory with wav.scp")
    parser.add_argument("--out", required=True, type=Path, help="folder for masked.ark and masked.scp")
    parser.add_argument("--seed", type=int, default=0, help="seed of the masks")
    add_allow_import(parser, "the experiment")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Predict on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    predict_masked(args.exp_dir, args.model_file, args.data, args.out, args.seed, args.allow_import)


if __name__ == "__main__":
    run_main(main)
