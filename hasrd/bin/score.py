# Copyright 2026 The hasrd authors
# Apache-2.0
"""Score a codec's experiment on a test set, or any systems: one JSON and one table of utterances a measure.

An experiment: all that can be measured of it by the files that are there; what is left out is said.

  hasrd score --exp_dir exp/codec_... --data data/test [--train_data data/train] [--probes latent=exp/...]

Any systems: measures that need the same input, several systems with as many --system, --hyp and --out. Both forms
take --ecapa_dir and --nj.

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
from hasrd.metrics.measure import Inputs, Measure, names
from hasrd.metrics.scores import MEASURES
from hasrd.metrics.scoring.experiment import find_recogniser, groups, score_codec, score_probes
from hasrd.metrics.scoring.job import leave_out, take
from hasrd.metrics.scoring.tokens import read_token_facts
from hasrd.registry import resolve


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
        score_systems(args)
    elif args.data is None:
        raise UserError("--exp_dir and --probes: --data is needed")
    else:
        score_experiment(args)


def score_experiment(args: argparse.Namespace) -> None:
    """Score what is in --exp_dir and --probes."""
    every = list(MEASURES.values())
    measures = [find_measure(name) for name in args.measures or ()]
    if not measures and args.quality_measures != "all":
        chosen = [find_measure(name) for name in names(args.quality_measures)]
        others = [measure for measure in every if measure.taken_of == "reconstruction" and measure not in chosen]
        leave_out({measure: "not among --quality_measures" for measure in others})
        measures = list(dict.fromkeys([*(measure for measure in every if measure not in others), *chosen]))
    measures = measures or every
    probes = {}
    for word in args.probes:
        system, _, folder = word.partition("=")
        if not folder:
            raise UserError(f"--probes {word}: give what it reads and its folder, <system>=<folder>")
        probes[Path(folder)] = system
    if args.exp_dir is not None:
        transcribe = find_recogniser(args.recogniser, args.lang, args.nj, args.ngpu)
        inputs = Inputs(ecapa_dir=args.ecapa_dir, nj=args.nj)
        score_codec(measures, args.exp_dir, args.data, args.train_data, transcribe, inputs, args.conversion)
    score_probes(measures, probes, args.data)
    without = {} if probes else {"probe": "--probes names none"}
    if args.measures:
        without["training"] = "taken of a pre-training: give its --masked"
    leave_out({measure: without.get(measure.taken_of, "") for measure in measures})


def score_systems(args: argparse.Namespace) -> None:
    """Score the systems that the options name one by one."""
    if not args.measures:
        raise UserError("give --exp_dir and --data, or measures and their input: see hasrd score --help")
    measures = [find_measure(name) for name in args.measures]
    if args.tokens_info is not None:
        vars(args).update(read_token_facts(args.tokens_info))
    one, *others = groups(measures)
    if others:
        raise UserError(f"{one[0].name} and {others[0][0].name} need different input: score them in two calls")
    needed = dict.fromkeys(option for measure in measures for option in measure.inputs)
    missing = [option for option in ("test_set", "system", "out", *needed) if getattr(args, option) is None]
    if missing:
        raise UserError(f"{', '.join(args.measures)}: --{missing[0]} is needed")
    wanted = len(args.hyp) if "hyp" in needed else 1
    if not len(args.system) == len(args.out) == wanted:
        raise UserError(
            f"{len(args.system)} --system, {len(args.out)} --out and {wanted} "
            f"input{'s' * (wanted > 1)}: give as many of each"
        )
    if len(set(args.system)) < len(args.system):
        raise UserError("--system: one name stands there twice")
    args.hyp = dict(zip(args.system, args.hyp or ()))
    inputs = Inputs(**{field.name: getattr(args, field.name) for field in fields(Inputs)})
    take(measures, dict(zip(args.system, args.out)), inputs, args.test_set, args.run)


def find_measure(name: str) -> Measure:
    """Return the measure of a name or an import path, which the command line names: it is imported.

    Raises:
        UserError: There is no such measure.
    """
    if name in MEASURES:
        return MEASURES[name]
    if "." not in name and ":" not in name:
        raise UserError(
            f"unknown measure '{name}': choose among {', '.join(MEASURES)}, or give an import path "
            "(package.module:Class)"
        )
    found = resolve({}, name, allow_import=True)
    if not (isinstance(found, type) and issubclass(found, Measure) and found.name):
        raise UserError(f"'{name}' is no measure: it takes a subclass of hasrd.metrics.measure.Measure with a name")
    if found.name in MEASURES:
        raise UserError(f"'{name}': '{found.name}' is a measure of hasrd: give yours another name")
    return found()


if __name__ == "__main__":
    run_main(main)
