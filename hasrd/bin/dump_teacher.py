# Copyright 2026 The hasrd authors
# Apache-2.0
"""Run a teacher over a data set once, and keep what it says for the distillation (stage 4)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.bin.options import add_set_run, fill
from hasrd.data.archive import COMPRESSION_METHODS
from hasrd.errors import UserError, run_main
from hasrd.jobs.sharing import Sharing
from hasrd.registry import add_allow_import
from hasrd.teacher import CHOICES
from hasrd.train.options import key_value


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--teacher", required=True, help=f"{', '.join(CHOICES)}, or an import path module:Class")
    parser.add_argument(
        "--teacher_conf",
        type=key_value,
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="its arguments: source=..., of speech also layer=mean or a number",
    )
    parser.add_argument("--data", help="data directory")
    parser.add_argument("--out", help="folder of the targets, such as dump/teacher/<name>/<set>")
    add_set_run(parser, "processes, one thread each")
    parser.add_argument(
        "--compression_method",
        default="3",
        choices=tuple(COMPRESSION_METHODS),
        help="of a speech teacher's frames; none: float32; Kaldi's methods: 3 is 16 bit, 2 is 8 bit",
    )
    parser.add_argument(
        "--max_gb",
        type=float,
        default=100.0,
        help="frames that would need more are not kept: the speech teacher then runs during the training",
    )
    parser.add_argument(
        "--languages",
        nargs="*",
        default=[],
        help="languages (as in utt2lang) that the text teacher knows: utterances in others have no target; none: all",
    )
    add_allow_import(parser, "an encoder's file")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the teacher on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    conf = dict(args.teacher_conf)
    if not (args.data and args.out):
        raise UserError("--data and --out: both are needed to run a teacher")
    from hasrd.teacher.cache import dump_teacher

    sharing = fill(Sharing, args)
    facts = dump_teacher(
        args.data,
        args.out,
        args.teacher,
        conf,
        sharing=sharing,
        ngpu=args.ngpu,
        compression_method=COMPRESSION_METHODS[args.compression_method],
        max_gb=args.max_gb,
        languages=args.languages,
        allow_import=args.allow_import,
    )
    if facts is None:
        print(f"{args.out}: shard {args.shard} is done; a run without --shard joins the parts")
        return
    size = sum(path.stat().st_size for path in Path(args.out).rglob("*") if path.is_file())
    if facts["kind"] == "speech":
        what = f"{facts['num_frames']} frames of {facts['num_utterances']} utterances"
        what += "" if facts["cached"] else " (not kept)"
    else:
        what = (
            f"{facts['num_utterances']} utterances ({facts['num_ignored']} without a target), {facts['num_words']} "
            f"words, {facts['num_texts']} different texts"
        )
    print(f"{args.out}: {what}, {facts['size']} values each, {size / 2**20:.1f} MB on disk")


if __name__ == "__main__":
    run_main(main)
