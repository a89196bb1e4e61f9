# Copyright 2026 The hasrd authors
# Apache-2.0
"""Write the features of a data directory into Kaldi archives."""

from __future__ import annotations

import argparse
from typing import Sequence

from hasrd.bin.options import add_sharing, fill
from hasrd.data.archive import COMPRESSION_METHODS
from hasrd.data.features import dump_features
from hasrd.errors import run_main
from hasrd.jobs.sharing import Sharing
from hasrd.train.options import key_value


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", required=True, help="data directory with wav.scp")
    parser.add_argument("--dump", required=True, help="where the features and copies of the tables go")
    parser.add_argument("--feats_type", default="log_mel", help="frontend: log_mel, or an import path module:Class")
    parser.add_argument(
        "--feats_conf",
        type=key_value,
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="arguments of the frontend",
    )
    parser.add_argument(
        "--compression_method",
        default="none",
        choices=tuple(COMPRESSION_METHODS),
        help="none: float32; Kaldi's methods: 3 is 16 bit (half the size, error 3e-4), 2 is 8 bit (error 0.15)",
    )
    parser.add_argument(
        "--chunk_size", type=int, default=100, help="utterances an archive; a killed run loses at most one"
    )
    add_sharing(parser, "processes, one thread each")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the features on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    frames = dump_features(
        args.data,
        args.dump,
        feats_type=args.feats_type,
        feats_conf=dict(args.feats_conf),
        compression_method=COMPRESSION_METHODS[args.compression_method],
        chunk_size=args.chunk_size,
        sharing=fill(Sharing, args),
    )
    if frames is None:
        print(f"{args.dump}: shard {args.shard} is done; feats.scp follows when the last shard is")
    else:
        print(f"{args.dump}: {frames} frames of features")


if __name__ == "__main__":
    run_main(main)
