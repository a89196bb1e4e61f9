# Copyright 2026 The hasrd authors
# Apache-2.0
"""What an experiment folder holds for a report: scores, training histories, layer weights."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Sequence

from hasrd.errors import UserError
from hasrd.metrics.scores import Score, read_score


@dataclass(frozen=True)
class Found:
    """A score, its file, and the experiment (the first folder below the scanned one) that it
    belongs to.
    """

    score: Score
    path: Path
    experiment: str


@dataclass
class Results:
    """Everything that a report is made of.

    Attributes:
        scores: All score files, by path.
        histories: Experiment to the content of its `history.json`.
        layer_weights: Experiment to name (asr, reconstruction) to weights, layer 0 first.
    """

    scores: list[Found] = field(default_factory=list)
    histories: dict[str, dict[str, Any]] = field(default_factory=dict)
    layer_weights: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def find(
        self, measure: str, test_set: str, system: str | None = None, experiment: str | None = None
    ) -> list[Found]:
        """Return the scores that agree with what is given."""
        return [
            found
            for found in self.scores
            if found.score.measure == measure
            and found.score.test_set == test_set
            and system in (None, found.score.system)
            and experiment in (None, found.experiment)
        ]

    def test_sets(self, measures: Sequence[str]) -> list[str]:
        """Return the test sets that have a score of any of `measures`, sorted."""
        return sorted(
            {found.score.test_set for found in self.scores if found.score.measure in measures}
        )

    def experiments(self, measures: Sequence[str]) -> list[str]:
        """Return the experiments that have a score of any of `measures`, sorted."""
        return sorted(
            {found.experiment for found in self.scores if found.score.measure in measures}
        )


def collect(folders: Sequence[Path]) -> Results:
    """Scan `folders` for `**/scores/**/<measure>.json`, `**/history.json` and
    `**/layer_weights.json`.

    Raises:
        UserError: A folder is missing, a file is damaged, or a score lies in another test set's
            folder.
    """
    results = Results()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder: run the stages before this one")
        for path in sorted(folder.rglob("*.json")):
            parts = path.relative_to(folder).parts
            experiment = parts[0] if len(parts) > 1 and parts[0] != "scores" else folder.name
            if "scores" in parts[:-1]:
                results.scores.append(
                    _found(path, parts[parts.index("scores") + 1 : -1], experiment)
                )
            elif path.name == "history.json":
                results.histories["/".join(parts[:-1]) or folder.name] = _history(path)
            elif path.name == "layer_weights.json":
                results.layer_weights[experiment] = results.layer_weights.get(
                    experiment, {}
                ) | _weights(path)
    return results


def _found(path: Path, below_scores: Sequence[str], experiment: str) -> Found:
    score = read_score(path)
    # A set's numbers are never shown under another set's name.
    if score.test_set not in below_scores:
        raise UserError(
            f"{path}: holds a score of '{score.test_set}', "
            "which is not its folder's name: score again"
        )
    return Found(score, path, experiment)


def _history(path: Path) -> dict[str, Any]:
    history = _load(path)
    if not isinstance(history, dict) or not isinstance(history.get("epochs"), list):
        raise UserError(f"{path}: no training history in it: remove it")
    return history


def _weights(path: Path) -> dict[str, list[float]]:
    weights = _load(path)
    if not isinstance(weights, dict) or not all(
        isinstance(value, list) for value in weights.values()
    ):
        raise UserError(f"{path}: no layer weights in it: remove it")
    return weights


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}): remove it and run the stage again") from None
