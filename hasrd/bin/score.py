# Copyright 2026 The hasrd authors
# Apache-2.0
"""Score a codec's experiment on a test set, or any systems: one JSON and one table of utterances a measure.

An experiment: all that can be measured of it by the files that are there; what is left out is said.

  hasrd score --exp_dir exp/codec_... --data data/test [--train_data data/train] [--probes latent=exp/...]

Any systems: measures that need the same input, several systems with as many --system, --hyp and --out. Both forms
take --ecapa_dir, --nj, --shard and --scheduler.

{forms}

A measure of your own is named by its import path (package.module:Class).
What is up to date is skipped: a score file knows the content that it was made from.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Sequence

from hasrd.bin.options import str2bool
from hasrd.errors import UserError, run_main
from hasrd.metrics.measure import Inputs, names
from hasrd.metrics.scores import MEASURES
from hasrd.metrics.scoring.choice import score_experiment, score_systems
from hasrd.metrics.scoring.experiment import groups


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    forms = "\n".join(
        f"  {','.join(measure.name for measure in group)}\n      --{' --'.join(group[0].inputs)}"
        for group in groups(MEASURES.values())
    )
    parser = argparse.ArgumentParser(
        description=__doc__.format(forms=forms), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measures", nargs="?", type=names, help="one or several, joined by commas (default: all)")
    group = parser.add_argument_group("an experiment")
    group.add_argument("--exp_dir", type=Path, help="folder of the codec, with tokens/<set> of stage 6")
    group.add_argument("--data", type=Path, help="data directory of the test set")
    group.add_argument("--train_data", type=Path, help="data directory of the training set, for word_f1")
    group.add_argument(
        "--probes", nargs="*", default=[], metavar="SYSTEM=DIR", help="what a probe reads, and its folder of stage 7"
    )
    group.add_argument(
        "--quality_measures",
        default="all",
        help="of those that are taken of the whole reconstruction alone (default: all)",
    )
    group.add_argument(
        "--recogniser",
        default="auto",
        help="transcribes the speech: folder of a Whisper model in CTranslate2's format; auto: tiny.en where it is "
        "installed and --lang is en; none",
    )
    group.add_argument(
        "--conversion", type=str2bool, default=True, help="false: leave out converted speech that lies there"
    )
    group.add_argument("--lang", default="", help="the language that is spoken, as Whisper names it")
    group.add_argument("--ngpu", type=int, default=0, help="1: recognise on the GPU")
    group = parser.add_argument_group("any systems")
    group.add_argument("--test_set", help="name of the test set, shown beside every number")
    group.add_argument("--system", nargs="+", help="name of what is scored, such as combined or latent")
    group.add_argument("--out", nargs="+", type=Path, help="folder of the score files, one a system")
    group.add_argument(
        "--run", default="", help="which of several trainings it is, such as seed1 (default: the main one)"
    )
    for field in fields(Inputs):
        group.add_argument(f"--{field.name}", **field.metadata)
    group.add_argument("--tokens_info", type=Path, help="codes.json of stage 6, in place of what states the tokens")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Score on the options of the command line, or on `argv`.

    Raises:
        UserError: Measures and options that don't fit together, or input that can't be scored.
    """
    args = get_parser().parse_args(argv)
    if args.exp_dir is None and not args.probes:
        inputs = {field.name: getattr(args, field.name) for field in fields(Inputs)}
        score_systems(args.measures, args.test_set, args.system, args.out, args.run, inputs, args.tokens_info)
    elif args.data is None:
        raise UserError("--exp_dir and --probes: --data is needed")
    else:
        score_experiment(
            args.measures,
            args.exp_dir,
            args.data,
            args.train_data,
            args.probes,
            Inputs(ecapa_dir=args.ecapa_dir, nj=args.nj, shard=args.shard, scheduler=args.scheduler),
            quality_measures=args.quality_measures,
            recogniser=args.recogniser,
            lang=args.lang,
            ngpu=args.ngpu,
            conversion=args.conversion,
        )


if __name__ == "__main__":
    run_main(main)
