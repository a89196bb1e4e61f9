# Copyright 2026 The hasrd authors
# Apache-2.0
"""CTC decoding with a trained probe, greedy or by beam search, and the CTC loss of the transcripts (stage 7)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.errors import run_main
from hasrd.espnet.decoding import BATCH_SIZE, decode_sets
from hasrd.registry import add_allow_import


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exp_dir", required=True, type=Path, help="directory of the probe")
    parser.add_argument("--model_file", default="valid.loss.best.pth", help="weights inside it")
    parser.add_argument("--inputs", required=True, type=Path, nargs="+", help="scp files, one a test set")
    parser.add_argument("--kind", default="kaldi_ark", choices=sorted(BATCH_SIZE), help="what the scp files list")
    parser.add_argument("--ref", required=True, type=Path, nargs="+", help="text files, one a test set")
    parser.add_argument("--out", required=True, type=Path, nargs="+", help="folders for text and utt2loss, one a set")
    parser.add_argument("--beam_size", type=int, default=1, help="1: greedy; more: CTC prefix beam search, without LM")
    parser.add_argument("--ngpu", type=int, default=0, help="1: compute on the GPU")
    add_allow_import(parser, "the probe, or the file of its encoder,")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Decode on the options of the command line, or on `argv`."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.beam_size < 1:
        parser.error(f"--beam_size {args.beam_size}: at least 1 is needed")
    decode_sets(
        args.exp_dir,
        args.model_file,
        list(zip(args.inputs, args.ref, args.out, strict=True)),
        kind=args.kind,
        beam_size=args.beam_size,
        ngpu=args.ngpu,
        allow_import=args.allow_import,
    )


if __name__ == "__main__":
    run_main(main)
