# Copyright 2026 The hasrd authors
# Apache-2.0
"""The command line which `hasrd encode`, `decode` and `resynth` have in common: model, files, and how it is done."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.bin.options import add_sharing
from hasrd.codec.window_plan import OF_MODEL, parse_window
from hasrd.registry import add_allow_import


def get_parser(doc: str, audio: bool) -> argparse.ArgumentParser:
    """The options of a command that a docstring describes; `audio`: it reads audio. `parse_files` reads them."""
    parser = argparse.ArgumentParser(
        usage="%(prog)s MODEL FILE... [-o OUT] [options]",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="packed model, experiment folder of a codec, or ORG/NAME on the Hub"
    )
    parser.add_argument("paths", nargs="*", metavar="FILE", type=Path, help="what to read (see above)")
    parser.add_argument("-o", "--out", metavar="OUT", type=Path, help="file or folder to write (see above)")
    parser.add_argument("--streams", nargs="+", metavar="NAME", help="only these, such as semantic (default: all)")
    parser.add_argument("--codebooks", type=int, metavar="N", help="only the first N codebooks (default: all)")
    add_sharing(parser, "processes (default: 1, with all its threads)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, ...")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"), help="of encoder and decoder")
    parser.add_argument("--compile", action="store_true", help="translate first: worth it for hours of audio on a CPU")
    parser.add_argument("--model_file", help="of an experiment: name of the weights (default: the best)")
    if audio:
        rate = parser.add_mutually_exclusive_group()
        rate.add_argument("--strict_rate", action="store_true", help="refuse other sample rates and several channels")
        rate.add_argument("--resample", action="store_true", help="convert them, as is done anyway")
        parser.add_argument(
            "--window",
            type=parse_window,
            default=OF_MODEL,
            metavar="SECONDS",
            help="encode longer audio in overlapping windows of so many seconds (default: the model's, mostly 30); "
            "none: encode all audio whole, in time and memory that grow with the square of its length",
        )
    add_allow_import(parser)
    return parser


def parse_files(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line with these options, in any order.

    Words after the first one of --streams are streams as well, unless there would be no model and file then: "--streams
    semantic MODEL FILE" names one stream.
    """
    args = parser.parse_intermixed_args(argv)
    streams = args.streams or []
    words = [args.model, *args.paths] if args.model else []
    if len(words) < 2:
        words, streams = [*words, *streams[1:]], streams[:1]
    if len(words) < 2:
        parser.error("name a model and something to read")
    args.model, args.paths = str(words[0]), [Path(word) for word in words[1:]]
    args.streams = ",".join(streams) if streams else None
    return args
