# Copyright 2026 The hasrd authors
# Apache-2.0
"""Measures to score files: what is up to date is skipped, the rest is read once, computed and written."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Mapping, Sequence

import hasrd
from hasrd.jobs.digest import sha256
from hasrd.jobs.origin import Origin, content_sha256
from hasrd.metrics.bootstrap import METHOD
from hasrd.metrics.measure import Inputs, Measure, Result, ScoreJob
from hasrd.metrics.scores import Score, check_finite, why_stale, write_score
from hasrd.metrics.undefined import Undefined
from hasrd.metrics.versions import versions


def current(job: ScoreJob) -> bool:
    """Say (and print) whether the score is already there."""
    path = job.out / f"{job.measure.name}.json"
    if not path.exists():
        return False
    reason = why_stale(path, job.record)
    print(f"{path}: {f'scored again: {reason}' if reason else 'up to date, skipped'}")
    return not reason


def write(job: ScoreJob, result: Result) -> None:
    """Write the score and say so.

    Raises:
        UserError: An utterance whose value, the first of its cells, is NaN or infinite.
    """
    measure, (low, high) = job.measure, result.ci95
    values = {utt: row[0] for utt, row in result.rows.items() if isinstance(row[0], float)}
    check_finite(values, f"{measure.name} of {job.system} on {job.test_set}")
    run = {"run": job.run} if job.run else {}
    origin = {"fingerprint": content_sha256(job.record), "origin": job.record}
    score = Score(
        measure.name,
        job.system,
        job.test_set,
        float(result.mean),
        result.ci95,
        len(result.rows),
        measure.unit,
        measure.higher_is_better,
        {"interval": METHOD, **run, "source": measure.source, **result.details, **origin},
        versions(("numpy", *measure.packages)),
    )
    path = write_score(job.out, score, result.columns, result.rows)
    unit = f" {measure.unit}" if measure.unit else ""
    print(f"{path}: {measure.label} {result.mean:.4g}{unit} [{low:.4g}, {high:.4g}], {score.count} utterances")


def take(
    measures: Sequence[Measure], systems: Mapping[str, Path], inputs: Inputs, test_set: str, run: str = ""
) -> None:
    """Take measures that share one reading of their inputs, and say what is left out and why.

    Args:
        measures: Of the same `reading`.
        systems: What is scored, to the folder of its score files.
        inputs: All that the measures need.
        run: See `ScoreJob`.

    Raises:
        UserError: Inputs that can't be used; see the readings.
    """
    possible = installed(measures, inputs)
    if not possible or not (inputs.sharing.is_whole or possible[0].reading.is_shared):
        return
    try:
        reading = possible[0].reading(inputs)
    except Undefined as reason:
        leave_out({measure: str(reason) for measure in possible})
        return
    own = {measure.name: {**measure.options(inputs), **_code_of(measure)} for measure in possible}
    todo = []
    for system, out in systems.items():
        for measure in possible:
            names = {"measure": measure.name, "system": system, "test_set": test_set, "run": run}
            facts = {**reading.facts, **reading.facts_of.get(system, {}), **own[measure.name]}
            read = {**reading.read, **reading.read_of.get(system, {})}
            record = {**Origin({"hasrd": hasrd.__version__, **names, **facts}).record(), "tables": read}
            job = ScoreJob(measure, system, test_set, out, run, own[measure.name], record)
            if not current(job):
                todo.append(job)
    if todo:
        for job, result in reading.results(todo):
            write(job, result)


def installed(measures: Sequence[Measure], inputs: Inputs) -> list[Measure]:
    """Return the measures that what is installed can take, and say why the others are left out."""
    reasons = {measure: measure.why_not(inputs) for measure in measures}
    leave_out(reasons)
    return [measure for measure in measures if not reasons[measure]]


def _code_of(measure: Measure) -> dict[str, str]:
    """Return what code of somebody else's the measure is: of this package, the version counts."""
    inside = type(measure).__module__.partition(".")[0] == hasrd.__name__
    return {} if inside else {"code": sha256(inspect.getfile(type(measure)))}


def leave_out(reasons: Mapping[Measure, str]) -> None:
    """Say which measures are left out and why, a line for each reason; one with the reason "" is not."""
    for reason in dict.fromkeys(filter(None, reasons.values())):
        names = [measure.name for measure in reasons if reasons[measure] == reason]
        print(f"note: {', '.join(names)}: left out: {reason}")
