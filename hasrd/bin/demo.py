# Copyright 2026 The hasrd authors
# Apache-2.0
"""Listen to tokens in a browser: record or drop a file, mute streams, keep some codebooks, exchange voices, compare
models by ear, and download tokens."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.errors import UserError, run_main
from hasrd.registry import add_allow_import


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        "models", nargs="+", metavar="MODEL", help="packed model, experiment folder of a codec, or ORG/NAME on the Hub"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address; 0.0.0.0 lets other machines in")
    parser.add_argument("--port", type=int, default=7860, help="port; 0 takes a free one")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
    add_allow_import(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Show the page on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    from hasrd.demo.listen import Listener
    from hasrd.demo.page import serve
    from hasrd.models.load import load

    models = {}
    for path in args.models:
        name = Path(path).name
        # Two folders may have one name.
        name = path if name in models else name
        if name in models:
            raise UserError(f"{path}: is named twice: name each model once")
        models[name] = load(path, args.device, allow_import=args.allow_import)
    serve(Listener(models), args.host, args.port)


if __name__ == "__main__":
    run_main(main)
