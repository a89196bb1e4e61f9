# Copyright 2026 The hasrd authors
# Apache-2.0
"""Take a part of a data directory: some utterances, a share of the duration, or a list."""

from __future__ import annotations

import argparse
from typing import Sequence

from hasrd.data.kaldi import DataDir
from hasrd.data.subset import choose, read_list, subset_alignments
from hasrd.errors import run_main


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", required=True, help="data directory, or a dump with feats.scp")
    parser.add_argument("--out", required=True, help="where the part goes")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--num_utts", type=int, help="so many utterances, drawn by chance")
    how.add_argument("--share", type=float, help="this share of the duration, drawn by chance (0.1: a tenth)")
    how.add_argument("--utt_list", help="the utterances of this file (first word of each line)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws others")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Take the part on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    data = DataDir.load(args.data)
    if args.utt_list:
        chosen = read_list(args.utt_list, data)
    else:
        chosen = choose(data, num_utts=args.num_utts, share=args.share, seed=args.seed)
    data.subset(chosen).write(args.out)
    subset_alignments(data.path, args.out, chosen)
    print(f"{args.out}: {len(chosen)} of {len(data.wavs)} utterances")


if __name__ == "__main__":
    run_main(main)
