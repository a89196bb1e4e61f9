# Copyright 2026 The hasrd authors
# Apache-2.0
"""The score file: one measure of one system on one test set, and beside it a table of its
utterances.

`<measure>.json` holds the mean, its 95% interval, the count and the versions that made it;
`<measure>.tsv` one line an utterance. Tables and figures are made from these alone.
"""

from __future__ import annotations

import functools
import importlib
import math
import pkgutil
from collections import UserDict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Mapping, Sequence

import hasrd.metrics
from hasrd.config import read_json
from hasrd.errors import UserError, first_line
from hasrd.jobs.atomic import write_json, write_text
from hasrd.jobs.origin import Record, check_record, difference
from hasrd.metrics.measure import Measure


class _Measures(UserDict[str, Measure]):
    """Every measure that a file of this folder defines, by name; the files are imported when the first is asked for."""

    def __init__(self) -> None:
        """Leave `data` to its property."""

    @functools.cached_property
    def data(self) -> dict[str, Measure]:
        measures = []
        for entry in pkgutil.iter_modules(hasrd.metrics.__path__):
            module = importlib.import_module(f"hasrd.metrics.{entry.name}")
            defined = (item for item in vars(module).values() if getattr(item, "__module__", "") == module.__name__)
            measures += [
                item() for item in defined if isinstance(item, type) and issubclass(item, Measure) and item.name
            ]
        return {measure.name: measure for measure in sorted(measures, key=lambda item: (item.order, item.name))}


MEASURES: Mapping[str, Measure] = _Measures()


@dataclass(frozen=True)
class Score:
    """One measure of one system on one test set.

    Attributes:
        count: Utterances in `mean`.
        ci95: Bootstrap interval over utterances.
        details: How it was taken, what else it found; `origin`, the record of what it was taken from, and
            `fingerprint`, the record's hash.
    """

    measure: str
    system: str
    test_set: str
    mean: float
    ci95: tuple[float, float]
    count: int
    unit: str
    higher_is_better: bool
    details: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The measure's name for people."""
        return MEASURES[self.measure].label if self.measure in MEASURES else self.measure


def check_finite(values: Mapping[str, float], what: str) -> None:
    """Raise UserError naming the first utterance whose value is NaN or infinite: none enters a mean
    silently.
    """
    for utterance, value in values.items():
        if not math.isfinite(value):
            raise UserError(
                f"{what}: utterance '{utterance}' gives {value}: check its files, or leave it out of the set"
            )


def write_score(folder: str | Path, score: Score, columns: Sequence[str], rows: Mapping[str, Sequence[Any]]) -> Path:
    """Write `<measure>.tsv` (a header, then one line an utterance, sorted), then `<measure>.json`;
    each atomically.
    """
    folder = Path(folder)
    lines = ["\t".join(["utt", *columns])]
    lines += ["\t".join([utterance, *map(_cell, rows[utterance])]) for utterance in sorted(rows)]
    write_text(folder / f"{score.measure}.tsv", "\n".join(lines) + "\n")
    path = folder / f"{score.measure}.json"
    write_json(path, asdict(score))
    return path


def read_score(path: str | Path) -> Score:
    """Read a score file.

    Raises:
        UserError: It is missing or not a score file; names it.
    """
    score = read_json(path, Score, "not a score file: remove it and score again")
    if not (all(map(math.isfinite, (score.mean, *score.ci95))) and score.count > 0):
        raise UserError(f"{path}: a score without a finite mean, interval and count: remove it and score again")
    return score


def read_rows(path: str | Path) -> dict[str, dict[str, str]]:
    """Read the table of utterances beside the score file `path`: utterance to column to text; {} if
    there is none.

    Raises:
        UserError: It is not UTF-8, or empty.
    """
    table = Path(path).with_suffix(".tsv")
    if not table.exists():
        return {}
    try:
        text = table.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{table}: can't be read ({first_line(error)}): remove it and score again") from None
    header, *lines = [line.split("\t") for line in text.removesuffix("\n").split("\n")]
    if header[0] != "utt":
        raise UserError(f"{table}: not the table of a score: remove it and score again")
    return {line[0]: dict(zip(header[1:], line[1:])) for line in lines}


def why_stale(path: str | Path, record: Record) -> str:
    """Say why a score file is not what `record` gives; "" where it is up to date."""
    try:
        details = read_score(path).details
    except UserError:
        return "it is damaged"
    if not Path(path).with_suffix(".tsv").exists():
        return "its table is not there"
    return difference(check_record(details.get("origin")), record)


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
