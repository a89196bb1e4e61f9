# Copyright 2026 The hasrd authors
# Apache-2.0
"""Run a frozen encoder over data sets once, and keep all of its layers for the training of a codec (stage 5)."""

from __future__ import annotations

import argparse
import sys
from typing import Sequence

from hasrd.bin.options import add_set_run, fill
from hasrd.errors import run_main
from hasrd.jobs.sharing import Sharing
from hasrd.registry import add_allow_import


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--encoder_file", required=True, help="encoder.safetensors of stage 3")
    parser.add_argument("--data", required=True, nargs="+", help="data directories: training set and valid set")
    parser.add_argument("--out", required=True, help="folder of the folders of the sets, such as dump/latents/<name>")
    parser.add_argument("--loudness", type=float, help="level that the codec takes speech at, in LUFS (default: none)")
    parser.add_argument("--max_gb", type=float, default=20.0, help="latents that would take more are not kept")
    add_set_run(parser, "processes, one thread each")
    add_allow_import(parser, "an encoder's file")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the encoder on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    from hasrd.codec.latent_dump import dump_latents

    folders, gigabytes = dump_latents(
        args.data,
        args.out,
        args.encoder_file,
        args.loudness,
        max_gb=args.max_gb,
        sharing=fill(Sharing, args),
        ngpu=args.ngpu,
        allow_import=args.allow_import,
    )
    if folders and not fill(Sharing, args).is_whole:
        print(f"{args.out}: shard {args.shard} is done; a run without --shard joins the parts")
        return
    if folders:
        print(f"{', '.join(map(str, folders))}: {gigabytes:.3g} GB")
        return
    print(
        f"note: {args.out}: the latents of {', '.join(args.data)} would take {gigabytes:.3g} GB, more than --max_gb "
        f"{args.max_gb:g}: they are not kept, the encoder will run during the training",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_main(main)
