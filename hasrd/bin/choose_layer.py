# Copyright 2026 The hasrd authors
# Apache-2.0
"""Choose the semantic layer: the one that a CTC probe over a learned mix of all layers weighs most (stage 4).

Writes `layer` and `layer_weights.json` into the probe's directory.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.errors import run_main
from hasrd.espnet.layer_choice import choose_layer


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probe_dir", required=True, type=Path, help="directory of the probe")
    parser.add_argument("--model_file", default="valid.loss.best.pth", help="weights inside it")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Choose on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    choose_layer(args.probe_dir, args.model_file)


if __name__ == "__main__":
    run_main(main)
