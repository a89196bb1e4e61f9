# Copyright 2026 The hasrd authors
# Apache-2.0
"""Write a trained codec in a form for other runtimes.

ONNX: encoder.onnx (speech to codes), decoder.onnx (codes to speech) and onnx.json, what one must know to use them
(docs/use.md). Both are compared with torch before they appear. It needs the extra `onnx`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.errors import run_main
from hasrd.jobs.lock import exclusive
from hasrd.registry import add_allow_import


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="packed model, or experiment folder of a codec")
    parser.add_argument("out", type=Path, help="folder to write; it must not be there yet")
    parser.add_argument("--onnx", action="store_true", required=True, help="the form: graphs of ONNX")
    parser.add_argument(
        "--model_file", help="of an experiment: name of the weights (default: the best, else the latest)"
    )
    add_allow_import(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Export on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    from hasrd.models.onnx_export import export_onnx

    args.out.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder, which is not there before it is complete.
    with exclusive(args.out.parent, f".{args.out.name}"):
        print(f"{export_onnx(args.model, args.out, args.model_file, args.allow_import)}: exported")


if __name__ == "__main__":
    run_main(main)
