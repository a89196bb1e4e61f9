# Copyright 2026 The hasrd authors
# Apache-2.0
"""Write the encoder of a pre-training experiment to one file, for the stages that use it frozen (end of stage 3)."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from hasrd.codec.build import build_front
from hasrd.config import read_yaml
from hasrd.errors import UserError, run_main
from hasrd.models.checkpoint import save_encoder


def export(exp_dir: str | Path, model_file: str, out: str | Path) -> str:
    """Write frontend, normalisation and encoder of `exp_dir` to `out`; return its SHA-256.

    Raises:
        UserError: A missing file, or weights that don't fit the configuration.
    """
    exp_dir = Path(exp_dir)
    for needed in (exp_dir / "config.yaml", exp_dir / model_file):
        if not needed.exists():
            raise UserError(f"{needed}: no such file: run the pre-training (stage 3) to its end")
    config = read_yaml(exp_dir / "config.yaml")
    states = torch.load(exp_dir / model_file, map_location="cpu", weights_only=True)
    front = build_front(config)
    wanted = {name.partition(".")[0] for name in front.state_dict()}
    try:
        front.load_state_dict({k: v for k, v in states.items() if k.partition(".")[0] in wanted})
    except RuntimeError as error:
        raise UserError(f"{exp_dir / model_file}: {str(error).splitlines()[1].strip()}") from error
    return save_encoder(out, config, front)


def main() -> None:
    """Export on the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exp_dir", required=True, help="directory of the pre-training")
    parser.add_argument("--model_file", default="valid.loss.best.pth", help="weights inside it")
    parser.add_argument("--out", required=True, help="file to write: encoder.safetensors")
    args = parser.parse_args()
    print(f"{args.out}: SHA-256 {export(args.exp_dir, args.model_file, args.out)}")


if __name__ == "__main__":
    run_main(main)
