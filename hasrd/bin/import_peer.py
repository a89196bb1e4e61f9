# Copyright 2026 The hasrd authors
# Apache-2.0
"""Make the experiment folder of a codec that others trained, so that stages 6 to 8 tokenise, probe and score it.

Takes a model as its authors publish it, from this machine: nothing is downloaded, no code in it is run, and the model
stays where it is. Loading refuses files that have changed since.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Sequence

from hasrd.errors import run_main
from hasrd.jobs.lock import exclusive

KINDS = ("dac", "encodec", "mimi", "speechtokenizer", "snac", "huggingface")


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", required=True, choices=KINDS, help="whose format it is")
    parser.add_argument(
        "--model",
        required=True,
        help="dac: its file .pth; speechtokenizer, snac: the folder with config.json and the weights; encodec, mimi, "
        "huggingface (any codec of transformers): the folder that save_pretrained writes",
    )
    number = parser.add_mutually_exclusive_group()
    number.add_argument(
        "--num_codebooks",
        type=int,
        help="keep the first so many (default: all; of encodec and mimi the 8 that their authors use, 6 and 1.1 kbps)",
    )
    number.add_argument("--bandwidth", type=float, metavar="KBPS", help="keep as many as have room in it")
    parser.add_argument(
        "--sample_rate",
        type=int,
        default=16000,
        help="of the data, in Hz: speech is resampled to the model's rate, and what it decodes back (default: 16000)",
    )
    parser.add_argument("--out", required=True, type=Path, help="folder to write, by custom exp/codec_<name>")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Import on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    from hasrd.peers.experiment import import_peer

    # Beside the folder: one that is refused leaves nothing behind.
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(args.out.parent, f".{args.out.name}"):
        facts, there = import_peer(
            args.kind, args.model, args.out, args.num_codebooks, args.bandwidth, args.sample_rate
        )
    streams = ", ".join(f"{number} {name}" for name, number in Counter(facts["stream_names"]).items())
    print(
        f"{args.out}: {'is there already, ' if there else ''}{args.kind}, {facts['frame_rate']:g} frames a second, "
        f"{facts['bitrate_bps'] / 1000:.2f} kbps, codebooks: {streams}; {facts['parameters'] / 1e6:.1f} M parameters, "
        f"{facts['package']}"
    )
    if facts["resampled"]:
        print(f"resampled: {facts['resampled']}")


if __name__ == "__main__":
    run_main(main)
