# Copyright 2026 The hasrd authors
# Apache-2.0
"""Which measures are taken of which systems: of an experiment all that its files allow, or those that are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Sequence

from hasrd.errors import UserError
from hasrd.metrics.measure import Inputs, Measure, names
from hasrd.metrics.scores import MEASURES
from hasrd.metrics.scoring.experiment import find_recogniser, groups, score_codec, score_probes
from hasrd.metrics.scoring.job import leave_out, take
from hasrd.metrics.scoring.tokens import read_token_facts
from hasrd.registry import resolve


def score_experiment(
    asked: Sequence[str] | None,
    exp_dir: Path | None,
    data: Path,
    train_data: Path | None,
    probes: Sequence[str],
    inputs: Inputs,
    *,
    quality_measures: str,
    recogniser: str,
    lang: str,
    ngpu: int,
    conversion: bool,
) -> None:
    """Score what is in the folders of a codec and of probes; what is left out is said.

    Args:
        asked: Names or import paths of measures; None: all.
        exp_dir, data, train_data, inputs, conversion: See `score_codec`; None for `exp_dir`: probes alone.
        probes: `<system>=<folder>` of each.
        quality_measures: Of those that are taken of the whole reconstruction, the ones to take, joined by commas or
            blanks; or "all".
        recogniser, lang, ngpu: See `find_recogniser`.

    Raises:
        UserError: Measures and options that don't fit together, or input that can't be scored.
    """
    every = list(MEASURES.values())
    measures = [find_measure(name) for name in asked or ()]
    if not measures and quality_measures != "all":
        chosen = [find_measure(name) for name in names(quality_measures)]
        others = [measure for measure in every if measure.taken_of == "reconstruction" and measure not in chosen]
        leave_out({measure: "not among --quality_measures" for measure in others})
        measures = list(dict.fromkeys([*(measure for measure in every if measure not in others), *chosen]))
    measures = measures or every
    folders = {}
    for word in probes:
        system, _, folder = word.partition("=")
        if not folder:
            raise UserError(f"--probes {word}: give what it reads and its folder, <system>=<folder>")
        folders[Path(folder)] = system
    if exp_dir is not None:
        transcribe = find_recogniser(recogniser, lang, inputs.sharing, ngpu)
        score_codec(measures, exp_dir, data, train_data, transcribe, inputs, conversion)
    if inputs.sharing.is_whole:
        score_probes(measures, folders, data)
    without = {} if folders else {"probe": "--probes names none"}
    if asked:
        without["training"] = "taken of a pre-training: give its --masked"
    leave_out({measure: without.get(measure.taken_of, "") for measure in measures})


def score_systems(
    asked: Sequence[str] | None,
    test_set: str | None,
    system: Sequence[str] | None,
    out: Sequence[Path] | None,
    run: str,
    inputs: Mapping[str, Any],
    tokens_info: Path | None,
) -> None:
    """Score systems one by one.

    Args:
        asked: Names or import paths of measures that need the same input.
        test_set: Name of the test set.
        system, out: Names of the systems, and a folder of score files for each.
        run: Which of several trainings it is; "": the main one.
        inputs: Fields of `Inputs` to their values; of `hyp` a list, one for each system.
        tokens_info: codes.json, in place of what states the tokens.

    Raises:
        UserError: Measures and options that don't fit together, or input that can't be scored.
    """
    if not asked:
        raise UserError("give --exp_dir and --data, or measures and their input: see hasrd score --help")
    measures = [find_measure(name) for name in asked]
    if tokens_info is not None:
        inputs = {**inputs, **read_token_facts(tokens_info)}
    one, *others = groups(measures)
    if others:
        raise UserError(f"{one[0].name} and {others[0][0].name} need different input: score them in two calls")
    needed = dict.fromkeys(option for measure in measures for option in measure.inputs)
    given = {**inputs, "test_set": test_set, "system": system, "out": out}
    missing = [option for option in ("test_set", "system", "out", *needed) if given[option] is None]
    if missing:
        raise UserError(f"{', '.join(asked)}: --{missing[0]} is needed")
    wanted = len(inputs["hyp"]) if "hyp" in needed else 1
    if not len(system) == len(out) == wanted:
        raise UserError(
            f"{len(system)} --system, {len(out)} --out and {wanted} input{'s' * (wanted > 1)}: give as many of each"
        )
    if len(set(system)) < len(system):
        raise UserError("--system: one name stands there twice")
    hypotheses = dict(zip(system, inputs["hyp"] or ()))
    take(measures, dict(zip(system, out)), Inputs(**{**inputs, "hyp": hypotheses}), test_set, run)


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
