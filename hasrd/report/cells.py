# Copyright 2026 The hasrd authors
# Apache-2.0
"""Cells of the tables of a report: text made of a score file's numbers, which knows the file."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from typing import Any, Mapping, Sequence

from hasrd.metrics.bitrate import first_books_kbps
from hasrd.report.collect import ScoreRow
from hasrd.report.specification import ColumnSpec, digits_of
from hasrd.report.streams import codebooks_of


@dataclass(frozen=True)
class Cell:
    """One entry: a value with its interval and count, or none of them.

    Attributes:
        source: The score file that it comes from, relative to the report; "" where it comes from none.
        paper: A number of the paper's, not of ours.
        field: Which number of the score file it is, with dots between keys; "" for one that is computed from several.
        others: Score files of further runs that are in it.
    """

    value: str = "missing"
    interval: str = ""
    count: int | None = None
    missing: bool = True
    source: str = ""
    paper: bool = False
    field: str = ""
    others: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Everything in one line."""
        parts = [
            self.value,
            f"[{self.interval}]" if self.interval else "",
            f"(n={self.count})" if self.count else "",
        ]
        return " ".join(filter(None, parts))


MISSING = Cell()
NOT_APPLICABLE = Cell("–", missing=False)


@dataclass
class Table:
    """A table on one test set.

    Attributes:
        columns: Headers; the first is the rows' own.
        rows: Label and cells.
        key: What it shows, the same for every test set and experiment: table1 .. table4, conversion, ...
        about: What is to be said of all tables of this title.
    """

    title: str
    test_set: str
    columns: list[str]
    rows: list[tuple[str, list[Cell]]] = field(default_factory=list)
    experiment: str = ""
    note: str = ""
    key: str = ""
    about: str = ""


def score_cell(found: Sequence[ScoreRow]) -> Cell:
    """Show the mean of the first score with its interval and count; missing where there is none."""
    if not found:
        return MISSING
    score = found[0].score
    cell = number_cell(score.mean, score.ci95, score.count, digits_of(score.measure, score.unit))
    return replace(cell, source=str(found[0].path), field="mean")


def number_cell(
    value: float, interval: Sequence[float] | None = None, count: int | None = None, digits: int = 2
) -> Cell:
    """Show a number, with interval and count where there are such."""
    bounds = f"{interval[0]:.{digits}f}, {interval[1]:.{digits}f}" if interval is not None else ""
    return Cell(f"{value:.{digits}f}", bounds, count, missing=False)


def detail_cell(found: ScoreRow, place: Sequence[Any], name: str, column: ColumnSpec) -> Cell:
    """Show a number of a score's details; missing where they lack it.

    Args:
        place: Keys and indices in the details below which the number lies.
        name: The number, with dots between keys from there.
        column: How it is shown.
    """
    *above, last = keys = (*place, *name.split("."))
    beside: Any = found.score.details
    try:
        for key in above:
            beside = beside[key]
        value = beside[last]
    except (KeyError, IndexError, TypeError):
        return MISSING
    if value is None:
        return MISSING
    digits = (0 if isinstance(value, int) else 2) if column.digits is None else column.digits
    # An interval is that of a mean or value; other numbers say which is theirs.
    interval = beside.get(column.interval) if last in ("mean", "value") or column.interval != "ci95" else None
    cell = number_cell(column.scale * value, interval, found.score.count if column.count else None, digits)
    value = column.text.format_map(beside) if column.text else cell.value
    return replace(cell, value=value, source=str(found.path), field=".".join(("details", *map(str, keys))))


def bitrate_cell(found: Sequence[ScoreRow], system: str) -> Cell:
    """Show the bitrate, in kbps, of the tokens that the speech of `system` is decoded from."""
    if not found:
        return MISSING
    details = found[0].score.details
    if system in details["streams"]:
        return detail_cell(found[0], ("streams",), system, ColumnSpec(digits=2))
    number = codebooks_of(system)
    if number is None:
        return replace(number_cell(found[0].score.mean), source=str(found[0].path), field="mean")
    return replace(number_cell(first_books_kbps(details, number)), source=str(found[0].path))


def spread_cell(runs: Sequence[ScoreRow], digits: int = 2) -> Cell:
    """Show mean and standard deviation over runs with other seeds; missing where there are fewer than two."""
    if len(runs) < 2:
        return MISSING
    means = [item.score.mean for item in runs]
    value = f"{statistics.mean(means):.{digits}f} ± {statistics.stdev(means):.{digits}f} ({len(runs)} runs)"
    first, *others = (str(item.path) for item in runs)
    return Cell(value, missing=False, source=first, others=tuple(others))


def paper_cell(numbers: Mapping[str, str], column: str) -> Cell:
    """Show the paper's number of a column, a dash where it has none."""
    return Cell(numbers.get(column, NOT_APPLICABLE.value), missing=False, paper=True)
