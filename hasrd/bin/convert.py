# Copyright 2026 The hasrd authors
# Apache-2.0
"""Voice conversion: each utterance's words in another speaker's voice, by an exchange of acoustic tokens (stage 6).

Each utterance is paired with one of another speaker (utt2spk); the speakers serve as targets about equally often.
Writes the speech, wav.scp and `pairs` (utt target_utt). Codes that stage 6 left in the folder above --out are used
where they are up to date. Ours: the papers have no such experiment. A set with one speaker, and a codec without
acoustic tokens and others, are left out.
"""

from __future__ import annotations

import argparse
from typing import Sequence

from hasrd.bin.options import add_codec_run, fill
from hasrd.codec.conversion import convert_set
from hasrd.codec.convert import METHODS
from hasrd.codec.data_set import CodecRun
from hasrd.errors import run_main


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--num_pairs", type=int, help="utterances to convert, drawn at random; all if it is not given")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of pairs")
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="match",
        help="cycle: the target's frames in order, again and again; match: for each frame the one of the target whose "
        "tokens of the other streams are nearest",
    )
    add_codec_run(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Convert on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    convert_set(fill(CodecRun, args), num_pairs=args.num_pairs, seed=args.seed, method=args.method)


if __name__ == "__main__":
    run_main(main)
