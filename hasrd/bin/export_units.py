# Copyright 2026 The hasrd authors
# Apache-2.0
"""Write token sets that language models are trained on.

TOKENS are folders with tokens: of stage 6 (exp/codec_x/tokens/test), of `hasrd encode` of a wav.scp, or of stage 4's
semantic tokens. Or --exp_dir names a codec and --data the sets of the recipe, train included: those without tokens are
tokenised first. OUT gets all sets in one format, a vocabulary (tokens.txt) and units.json, from which
`hasrd.units.export.read_export` gives the codes back.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.data.kaldi import DataDir
from hasrd.errors import UserError, run_main
from hasrd.registry import add_allow_import
from hasrd.units.export import export_units
from hasrd.units.formats import CHOICES
from hasrd.units.layout import KINDS
from hasrd.units.source import open_tokens, tokens_of_codec


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokens", nargs="*", type=Path, help="folders with tokens, one a set")
    parser.add_argument("--format", required=True, choices=CHOICES, help="see docs/language_models.md")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--exp_dir", help="codec (stage 5), for the tokens of --data, in place of TOKENS")
    parser.add_argument("--model_file", help="weights inside it (default: the best, else the latest)")
    parser.add_argument("--nj", type=int, default=1, help="processes that tokenise")
    parser.add_argument("--ngpu", type=int, default=0, help="1: compute on the GPU, in one process")
    parser.add_argument("--data", nargs="+", default=[], help="data directories, in the order of TOKENS: transcripts")
    parser.add_argument("--streams", help="only these, joined by commas, such as semantic (default: all)")
    parser.add_argument("--kind", choices=KINDS, help="one sequence (default), delayed codebooks, or rows of codes")
    parser.add_argument("--dedup", action="store_true", help="drop repetitions of a single codebook; keep durations")
    parser.add_argument("--bpe", type=int, default=0, help="join units by BPE of so many pieces (default: 0, don't)")
    parser.add_argument("--lang", default="en", help="of the transcripts, for names of files (default: en)")
    parser.add_argument("--codebook_size", type=int, help="of TOKENS that are text: entries of the codebook")
    parser.add_argument("--frame_rate", type=float, help="of TOKENS that are text: tokens a second")
    add_allow_import(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Export on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    if bool(args.tokens) == bool(args.exp_dir):
        raise UserError("name folders with tokens, or --exp_dir with --data: one of the two")
    folders, model = args.tokens, (args.exp_dir, args.model_file, args.nj, args.ngpu, args.allow_import)
    if args.exp_dir:
        folders = [tokens_of_codec(data, *model) for data in args.data]
    if not folders or (args.data and len(args.data) != len(folders)):
        raise UserError(f"--data: {len(args.data)} data directories for {len(folders)} folders with tokens")
    data = [DataDir.load(folder) for folder in args.data] or [None] * len(folders)
    sets = [open_tokens(*pair, args.codebook_size, args.frame_rate) for pair in zip(folders, data)]
    streams = None if args.streams is None else [name.strip() for name in args.streams.split(",")]
    arrangement = dict(kind=args.kind, streams=streams, dedup=args.dedup, bpe=args.bpe)
    written = export_units(sets, args.out, args.format, **arrangement, language=args.lang)
    count = sum(len(own.entries) for own in sets)
    print(f"{args.out}: {f'units of {count} utterances' if written else 'up to date, nothing to write'}")


if __name__ == "__main__":
    run_main(main)
