# Copyright 2026 The hasrd authors
# Apache-2.0
"""Write the encoder of a pre-training experiment to one file, for the stages that use it frozen (end of stage 3)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.codec.build import build_speech_encoder
from hasrd.config import read_yaml
from hasrd.errors import run_main
from hasrd.jobs.lock import exclusive
from hasrd.models.checkpoint import save_encoder
from hasrd.models.weights import building, load_strict, read_weights
from hasrd.registry import add_allow_import


def export(exp_dir: str | Path, model_file: str, out: str | Path, allow_import: bool = False) -> str:
    """Write frontend, normalisation and encoder of `exp_dir` to `out`; return its SHA-256.

    Raises:
        UserError: A missing file, a class that is not allowed, or weights that don't fit the configuration.
    """
    exp_dir = Path(exp_dir)
    advice = "run the pre-training (stage 3) to its end"
    config = read_yaml(exp_dir / "config.yaml", advice=advice)
    with building(exp_dir / "config.yaml"):
        model = build_speech_encoder(config, allow_import=allow_import)
    states = read_weights(exp_dir / model_file, advice)
    wanted = {name.partition(".")[0] for name in model.state_dict()}
    load_strict(model, {k: v for k, v in states.items() if k.partition(".")[0] in wanted}, exp_dir / model_file)
    return save_encoder(out, config, model)


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exp_dir", required=True, help="directory of the pre-training")
    parser.add_argument("--model_file", default="valid.loss.best.pth", help="weights inside it")
    parser.add_argument("--out", required=True, help="file to write: encoder.safetensors")
    add_allow_import(parser, "the experiment")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Export on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    with exclusive(args.out):
        print(f"{args.out}: SHA-256 {export(args.exp_dir, args.model_file, args.out, args.allow_import)}")


if __name__ == "__main__":
    run_main(main)
