# Copyright 2026 The hasrd authors
# Apache-2.0
"""Show what a configuration builds or a model is: parameters, rates, receptive field, strides, memory.

Takes a YAML file of a codec or of a pre-training, the folder of an experiment (also of another package's codec) or of
a packed model, or a file encoder.safetensors. No weights are read.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Sequence

from hasrd.bin.options import join_values
from hasrd.errors import run_main
from hasrd.jobs.atomic import write_text
from hasrd.models.configs import read_model_config
from hasrd.models.description import describe_model
from hasrd.registry import add_allow_import
from hasrd.train.options import effective_config


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="YAML file, folder of an experiment or packed model, or encoder.safetensors")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, help="write it to this file instead of printing it")
    parser.add_argument("--args", default="", help="options of the training that override the configuration")
    parser.add_argument(
        "--encoder",
        help="the encoder that a codec stands on, as another such file or folder; refused if the codec's configuration "
        "states another one",
    )
    parser.add_argument("--encoder_args", default="", help="options that override the encoder's configuration")
    add_allow_import(parser, "the configuration")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Describe what the command line names, or `argv`."""
    args = get_parser().parse_args(join_values(sys.argv[1:] if argv is None else argv, ["--args", "--encoder_args"]))
    config = effective_config(read_model_config(args.model), args.args)
    encoder = args.encoder and effective_config(read_model_config(args.encoder), args.encoder_args)
    text = describe_model(args.model, config, args.encoder, encoder, args.allow_import, args.json)
    if args.out is None:
        print(text)
    else:
        write_text(args.out, text + "\n")


if __name__ == "__main__":
    run_main(main)
