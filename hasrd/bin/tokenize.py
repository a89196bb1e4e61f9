# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tokens of a data set, and the speech decoded from all of them and from each stream alone (stage 6).

Besides, where there are acoustic tokens and others, the control "shuffled": the same tokens with the acoustic ones
permuted in time; and, for curves of quality over rate, "books_<n>": speech of the first n codebooks alone.
"""

from __future__ import annotations

import argparse
from typing import Sequence

from hasrd.bin.options import add_codec_run, fill, str2bool
from hasrd.codec.data_set import CodecRun
from hasrd.codec.token_dump import dump_tokens
from hasrd.errors import run_main


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--speech", type=str2bool, default=True, help="false: tokens alone")
    parser.add_argument(
        "--versions", default="auto", help='what to decode, such as "combined semantic"; auto: all that there is'
    )
    parser.add_argument(
        "--num_books", default="", help='decode the first n codebooks, too, for each n of "1 2 4"; auto: 1, 2, 4, 8...'
    )
    parser.add_argument(
        "--crop_seconds",
        default="",
        help="encode a random crop of this length of each utterance as well, for the measure crop_agreement; auto: as "
        "long as the crops of the codec's training",
    )
    add_codec_run(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Tokenise on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    dump_tokens(
        fill(CodecRun, args),
        speech=args.speech,
        versions=args.versions,
        num_books=args.num_books,
        crop_seconds=args.crop_seconds,
    )


if __name__ == "__main__":
    run_main(main)
