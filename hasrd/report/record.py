# Copyright 2026 The hasrd authors
# Apache-2.0
"""RESULTS.json: which number of which score file each cell of the tables is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Sequence

from hasrd.metrics.scores import Score
from hasrd.report.cells import Cell, Table
from hasrd.report.collect import Results


def relative_to(tables: Sequence[Table], folder: Path) -> list[Table]:
    """Return the tables with the cells' score files named as seen from `folder`, where the report lies."""
    return [
        replace(table, rows=[(label, [_relative(cell, folder) for cell in cells]) for label, cells in table.rows])
        for table in tables
    ]


def record(tables: Sequence[Table], results: Results, folder: Path) -> dict[str, Any]:
    """Return the tables for a program.

    Args:
        tables: As `relative_to` returns them for `folder`.
        results: What they were made of.
        folder: Where the report lies.

    Returns:
        "scores": path, from `folder`, of each score file that is shown, to what it says of itself (mean, interval,
        count, test set, versions). "tables": each with "rows" of "cells": the text that is shown; whether it is
        "missing" or the "paper"'s; else its "score" (a key of "scores", or a model's info.json) and which number of it
        it is, "field" ("" where it is computed from the file); "others": files of further runs that are in it.
    """
    known = {_from(str(found.path), folder): found.score for found in results.scores}
    used = {source for table in tables for _, cells in table.rows for cell in cells for source in _sources(cell)}
    return {
        "scores": {source: _facts(known[source]) for source in sorted(used) if source in known},
        "tables": [
            {
                "key": table.key,
                "title": table.title,
                "test_set": table.test_set,
                "experiment": table.experiment,
                "columns": table.columns,
                "rows": [{"label": label, "cells": [*map(_cell, cells)]} for label, cells in table.rows],
            }
            for table in tables
        ],
    }


def _facts(score: Score) -> dict[str, Any]:
    names = ("measure", "system", "test_set", "mean", "ci95", "count", "unit", "versions")
    return {name: getattr(score, name) for name in names} | {"fingerprint": score.details.get("fingerprint", "")}


def _cell(cell: Cell) -> dict[str, Any]:
    found: dict[str, Any] = {"shown": cell.text}
    if cell.missing:
        found["missing"] = True
    if cell.paper:
        found["paper"] = True
    if cell.source:
        found |= {"score": cell.source, "field": cell.field}
    if cell.others:
        found["others"] = list(cell.others)
    return found


def _sources(cell: Cell) -> list[str]:
    return [*filter(None, [cell.source]), *cell.others]


def _relative(cell: Cell, folder: Path) -> Cell:
    if not cell.source:
        return cell
    return replace(cell, source=_from(cell.source, folder), others=tuple(_from(path, folder) for path in cell.others))


def _from(path: str, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
