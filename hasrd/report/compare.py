# Copyright 2026 The hasrd authors
# Apache-2.0
"""Two experiments beside each other, from their score files alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Mapping, Sequence

from hasrd.errors import UserError
from hasrd.markdown import table_row
from hasrd.metrics.paired import METHOD, MIN_UTTERANCES, Paired, holm, paired_bootstrap
from hasrd.metrics.scores import MEASURES, Score, read_rows, read_score
from hasrd.report.collect import MEAN_SPECTRUM, ScoreRow, score_table

LEVEL = 0.05
# Measure, test set, system.
Key = tuple[str, str, str]
# Columns of a table of utterances that make a rate, or a mean (of one column), its scale, and whether the second is the
# length of a reference.
_RATES = {
    ("errors", "length"): (100.0, True),
    ("loss", "characters"): (1.0, True),
    ("correct", "masked"): (100.0, False),
    ("agreeing", "tokens"): (100.0, False),
    ("value",): (1.0, False),
}
# What two scores must have been taken with alike.
_SAME = ("source", "sample_rate", "normalisation", "recogniser", "mapper", "model")
# A table holds six digits of each value.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Line:
    """One score of both experiments, compared on the utterances that both have."""

    key: Key
    first: Score
    second: Score
    paired: Paired
    p_holm: float = math.nan

    def verdict(self, names: Sequence[str]) -> str:
        """Which of the two is better, by the corrected p."""
        if self.paired.count < MIN_UTTERANCES:
            return "too few utterances"
        if self.p_holm >= LEVEL:
            return "no difference shown"
        return f"{names[(self.paired.difference > 0) == self.first.higher_is_better]} better"


@dataclass(frozen=True)
class Comparison:
    """What was compared, and what could not be, with the reason."""

    names: tuple[str, str]
    lines: list[Line]
    left_out: list[tuple[Key, str]]


def compare(folders: tuple[Path, Path], test_sets: Sequence[str] = (), measures: Sequence[str] = ()) -> Comparison:
    """Compare every score that both experiments have, of these test sets and measures (all if none is named).

    Raises:
        UserError: A folder is missing or has no score, a file is damaged, two scores stand for the same thing, or
            nothing is left to compare.
    """
    tables = [_by_key(folder) for folder in folders]
    for names, place, option in ((measures, 0, "--measures"), (test_sets, 1, "--test_set")):
        unknown = [name for name in names if all(key[place] != name for table in tables for key in table)]
        if unknown:
            raise UserError(f"{option} {unknown[0]}: neither experiment has a score of it")
    # What is of the references is the same of both experiments.
    common = [key for key in tables[0] if key in tables[1] and key[0] != MEAN_SPECTRUM]
    keys = [key for key in common if key[0] in (measures or [key[0]]) and key[1] in (test_sets or [key[1]])]
    if not keys:
        raise UserError(f"{folders[0]} and {folders[1]}: no score that both have: score both on the same test set")
    order = list(MEASURES)
    lines, left_out = [], []
    for key in sorted(keys, key=lambda key: (key[1], order.index(key[0]) if key[0] in order else len(order), key)):
        first, second = (_only(table[key]) for table in tables)
        try:
            lines.append(Line(key, first.score, second.score, paired((first.path, second.path))))
        except Different as reason:
            left_out.append((key, str(reason)))
    if not lines:
        key, reason = left_out[0]
        raise UserError(f"{folders[0]} and {folders[1]}: nothing that can be compared: {', '.join(key)}: {reason}")
    corrected = holm([line.paired.p for line in lines])
    lines = [replace(line, p_holm=p) for line, p in zip(lines, corrected)]
    names = tuple(folder.resolve().name for folder in folders)
    return Comparison(names if names[0] != names[1] else tuple(map(str, folders)), lines, left_out)


def _by_key(folder: Path) -> dict[Key, list[ScoreRow]]:
    """Return the scores of an experiment and of its probes, the main run of each."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such experiment folder")
    found: dict[Key, list[ScoreRow]] = {}
    for row in score_table([folder]):
        if not row.run:
            found.setdefault((row.score.measure, row.score.test_set, row.score.system), []).append(row)
    if not found:
        raise UserError(f"{folder}: no scores below scores/ or probe_*/scores/: run stage 8")
    return found


def _only(rows: Sequence[ScoreRow]) -> ScoreRow:
    if len(rows) > 1:
        first, second, *_ = rows
        raise UserError(
            f"{first.path}: stands for the same as {second.path}: name the folders to compare, or remove one"
        )
    return rows[0]


def notes(comparison: Comparison) -> list[str]:
    """What a reader must know of the table: method, correction, what was left out."""
    lines = [
        f"Difference: {comparison.names[1]} - {comparison.names[0]}, with its 95% interval; {METHOD}.",
        f"{len(comparison.lines)} comparisons: p (Holm) is corrected for their number, and the last column goes by it "
        f"(p < {LEVEL}). Utterances are resampled, trainings are not.",
    ]
    for line in comparison.lines:
        if line.paired.count < max(line.first.count, line.second.count):
            lines.append(
                f"{', '.join(line.key)}: {line.paired.count} utterances are common to both, "
                f"of {line.first.count} and {line.second.count}."
            )
    return lines + [f"{', '.join(key)}: left out: {reason}." for key, reason in comparison.left_out]


def render(comparison: Comparison, markdown: bool = False) -> str:
    """The comparison as a table, aligned for a terminal or as Markdown, with its notes below."""
    first, second = comparison.names
    cells = [["test set", "system", "measure", first, second, "difference", "p", "p (Holm)", "utterances", "better"]]
    for line in comparison.lines:
        paired, unit = line.paired, f" {line.first.unit}" if line.first.unit else ""
        bounds = ", ".join(f"{bound:+.4g}" for bound in paired.ci95)
        cells.append(
            [
                *(line.key[1], line.key[2], line.first.label + unit),
                *(f"{value:.4g}" for value in (paired.first, paired.second)),
                f"{paired.difference:+.4g} [{bounds}]",
                *(f"{p:.2g}" if p >= 0.001 else "<0.001" for p in (paired.p, line.p_holm)),
                *(str(paired.count), line.verdict(comparison.names)),
            ]
        )
    if markdown:
        cells.insert(1, ["---"] * len(cells[0]))
        table = [table_row(row) for row in cells] + [""]
        return "\n".join(table + [f"- {note}" for note in notes(comparison)]) + "\n"
    widths = [max(map(len, column)) for column in zip(*cells)]
    table = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip() for row in cells]
    return "\n".join(table + [""] + notes(comparison)) + "\n"


class Different(Exception):
    """Why two scores cannot be compared."""


def paired(paths: tuple[Path, Path]) -> Paired:
    """Compare two score files by the utterances that both have.

    Raises:
        Different: They cannot be compared; says why.
        UserError: A table of utterances is damaged or missing.
    """
    first, second = (read_score(path) for path in paths)
    for fact in _SAME:
        if _fact(first, fact) != _fact(second, fact):
            raise Different(f"they were not measured alike ({fact})")
    rows = [_rows(path) for path in paths]
    utterances = sorted(set(rows[0]) & set(rows[1]))
    if not utterances:
        raise Different("they have no utterance in common")
    columns = [set(next(iter(each.values()))) for each in rows]
    rate = next((rate for rate in _RATES if all(set(rate) <= each for each in columns)), None)
    if rate is None:
        raise Different("it has no value an utterance")
    scale, of_reference = _RATES[rate]
    numbers = [_numbers(path, each, rate) for path, each in zip(paths, rows)]
    texts = [[each[utterance].get("ref") for utterance in utterances] for each in rows]
    above, below = zip(*(zip(*(each[utterance] for utterance in utterances)) for each in numbers))
    if texts[0] != texts[1] or (of_reference and below[0] != below[1]):
        raise Different("their references differ")
    for path, score, each in zip(paths, (first, second), numbers):
        _check_mean(path, score, each, scale)
    try:
        return paired_bootstrap(above, below, scale)
    except ValueError as error:
        raise Different(str(error)) from None


def _fact(score: Score, name: str) -> object:
    value = score.details.get(name)
    # The model is known by its hash; where it lay is no matter.
    return {k: v for k, v in value.items() if k != "model"} if isinstance(value, Mapping) else value


def _rows(path: Path) -> dict[str, dict[str, str]]:
    rows = read_rows(path)
    if not rows:
        raise UserError(f"{path.with_suffix('.tsv')}: missing or empty: remove {path} and score again")
    return rows


def _numbers(
    path: Path, rows: Mapping[str, Mapping[str, str]], columns: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Return utterance to the numbers in these columns, of one column that and 1."""
    found = {}
    for utterance, row in rows.items():
        values = []
        for column in columns:
            try:
                values.append(float(row[column]))
            except (KeyError, ValueError):
                values.append(math.nan)
            if not math.isfinite(values[-1]):
                where = f"{path.with_suffix('.tsv')}: utterance '{utterance}'"
                raise UserError(f"{where} has no finite {column}: remove it and score again")
        found[utterance] = (*values, 1.0)[:2]
    return found


def _check_mean(path: Path, score: Score, numbers: Mapping[str, tuple[float, float]], scale: float) -> None:
    """Refuse a table that is not the one the score was made with."""
    above, lengths = zip(*numbers.values())
    below = sum(lengths)
    mean = scale * sum(above) / below if below else math.nan
    size = scale * sum(map(abs, above)) / below if below else 1.0
    if score.count != len(numbers) or not abs(mean - score.mean) <= _ROUNDING * max(size, abs(score.mean), 1e-6):
        raise UserError(
            f"{path.with_suffix('.tsv')}: not the table of {path.name} beside it: remove both and score again"
        )
