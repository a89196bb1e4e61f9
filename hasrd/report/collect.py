# Copyright 2026 The hasrd authors
# Apache-2.0
"""What experiment folders hold for a report: scores, training histories, layer weights, sizes of models."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Sequence, TypedDict

from hasrd.config import read_json
from hasrd.errors import UserError
from hasrd.metrics.scores import Score, read_score

# A folder of an experiment, by its name.
_EXPERIMENT = re.compile(r"(codec|ssl|layer|probe|kmeans)_")
# What a probe is measured by.
PROBES = ("cer", "wer", "ctc_loss")
# What every codec is measured by.
RECONSTRUCTION = ("mel", "stft", "speaker_similarity")
# System of the recordings, and of a constant in their place, which is also the name of its measure.
ORIGINAL, MEAN_SPECTRUM = "original", "mean_spectrum"
# What the names of sets begin with that weights were chosen by.
_CHOSEN_BY = ("valid", "dev")
# Folders without anything that a report is made of, but with many files.
_SKIPPED = frozenset(("tokens", "probe_inputs", "frames", "tensorboard"))


@dataclass(frozen=True)
class ScoreRow:
    """A row of the table of scores: a score, its file, and where it belongs.

    Attributes:
        experiment: Name of the outermost experiment folder around the file.
        probe: Name of the probe's folder, "" for a score of no probe.
    """

    score: Score
    path: Path
    experiment: str
    probe: str = ""

    @property
    def run(self) -> str:
        """Name of a repeated run with another seed; "" for the main run."""
        return str(self.score.details.get("run", ""))

    @property
    def recipe(self) -> str:
        """Configuration of the probe: its folder's name without the system and the run, so that it is the same for
        the probes of every system that was trained alike.
        """
        name = self.probe.removeprefix("probe_").removeprefix(self.score.system).strip("_")
        return name.removesuffix(self.run).strip("_")


@dataclass
class Results:
    """Everything that a report is made of.

    Attributes:
        scores: The table of all scores, by path.
        histories: Experiment to the content of its `history.json`.
        layer_weights: Experiment to name (asr, reconstruction) to weights, layer 0 first.
        folders: Experiment to its folder.
        models: Experiment to the content of its `info.json` (what `hasrd info --json` prints).
        peers: Experiments that are codecs from elsewhere.
    """

    scores: list[ScoreRow] = field(default_factory=list)
    histories: dict[str, dict[str, Any]] = field(default_factory=dict)
    layer_weights: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    peers: set[str] = field(default_factory=set)

    @cached_property
    def _indexed(self) -> dict[tuple[str, str], list[ScoreRow]]:
        """Measure and test set to their scores."""
        found: dict[tuple[str, str], list[ScoreRow]] = {}
        for row in self.scores:
            found.setdefault((row.score.measure, row.score.test_set), []).append(row)
        return found

    def find(
        self,
        measure: str,
        test_set: str,
        system: str | None = None,
        experiment: str | None = None,
        run: str | None = "",
    ) -> list[ScoreRow]:
        """Return the scores that agree with what is given; `run`: None for repeated runs too."""
        return [
            found
            for found in self._indexed.get((measure, test_set), ())
            if system in (None, found.score.system)
            and experiment in (None, found.experiment)
            and run in (None, found.run)
        ]

    def first(
        self, measure: str, test_set: str, system: str | None = None, experiment: str | None = None
    ) -> ScoreRow | None:
        """Return the first of these scores, None where there is none.

        What is of the recordings alone, whatever the codec, may be of another experiment where this one lacks it. Of a
        constant mean spectrum there is but the mel distance.
        """
        if system == MEAN_SPECTRUM:
            measure = MEAN_SPECTRUM
        found = self.find(measure, test_set, system, experiment)
        if not found and system in (ORIGINAL, MEAN_SPECTRUM):
            found = self.find(measure, test_set, system)
        return found[0] if found else None

    def find_probe(
        self, measure: str, test_set: str, system: str, experiment: str, run: str | None = ""
    ) -> list[ScoreRow]:
        """Return the scores of an experiment's probe, of the configuration that most of its probes have."""
        found = self.find(measure, test_set, system, experiment, run)
        recipe = self._main_recipe(experiment) if found else ""
        return [item for item in found if item.recipe == recipe]

    def _main_recipe(self, experiment: str) -> str:
        """Return the probes' configuration that most probes of an experiment have, the first by name of equal ones."""
        own = [item for item in self.scores if item.experiment == experiment and item.score.measure in PROBES]
        found = Counter(item.recipe for item in own)
        return min(found, key=lambda recipe: (-found[recipe], recipe), default="")

    def test_sets(self, measures: Sequence[str]) -> list[str]:
        """Return the test sets that have a score of any of `measures`, in the order of `in_order`."""
        return in_order({found.score.test_set for found in self.scores if found.score.measure in measures})

    def experiments(
        self, measures: Sequence[str], test_set: str | None = None, systems: Sequence[str] | None = None
    ) -> list[str]:
        """Return the experiments, sorted, whose main run has a score of these measures, test set and systems."""
        rows = (row for row in self.scores if row.score.measure in measures and not row.run)
        rows = (row for row in rows if test_set in (None, row.score.test_set))
        return sorted({row.experiment for row in rows if systems is None or row.score.system in systems})


def in_order(test_sets: Iterable[str]) -> list[str]:
    """Sort test sets by name, those last by which a training was chosen: the first one is what a summary is of."""
    return sorted(test_sets, key=lambda name: (name.startswith(_CHOSEN_BY), name))


_AGAIN = "remove it and run the stage again"


def score_table(folders: Sequence[Path]) -> list[ScoreRow]:
    """Return the scores below `folders` (`**/scores/**/<measure>.json`), by path; errors as of `collect`."""
    return _score_rows(_places(folders))


def collect(folders: Sequence[Path]) -> Results:
    """Scan `folders`, each an experiment or a folder of some, for scores, `**/history.json`, `**/layer_weights.json`
    and each experiment's `info.json`.

    Raises:
        UserError: A folder is missing, a file is damaged, or a score lies in another test set's folder.
    """
    places = _places(folders)
    results = Results(_score_rows(places))
    for path, (home, name) in places.items():
        parts = path.relative_to(home).parts
        if "scores" not in parts[:-1]:
            if path.name == "history.json":
                results.histories["/".join((name, *parts[:-1]))] = read_json(path, _History, _AGAIN)
            elif path.name == "layer_weights.json":
                weights = read_json(path, dict[str, list[float]], _AGAIN)
                results.layer_weights[name] = results.layer_weights.get(name, {}) | weights
            elif parts == ("info.json",):
                results.models[name] = _info(path)
            else:
                continue
        results.folders[name] = home
    results.peers = {name for name, home in results.folders.items() if _is_peer(home / "config.yaml")}
    return results


def _places(folders: Sequence[Path]) -> dict[Path, tuple[Path, str]]:
    """Return each JSON file below `folders`, sorted, with its experiment's folder and name."""
    found: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder: run the stages before this one")
        found |= dict(_files(folder))
    names = _names(set(found.values()))
    return {path: (home, names[home]) for path, home in sorted(found.items())}


def _files(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each JSON file with its experiment."""
    for place, below, names in os.walk(folder):
        # A test set may have any name.
        if "scores" not in Path(place).relative_to(folder).parts:
            if "tokens" in below:
                # Of the many files there, this one is for the report.
                home = _experiment(Path(place), folder)
                yield from ((path, home) for path in Path(place, "tokens").glob("*/layer_weights.json"))
            below[:] = [name for name in below if name not in _SKIPPED]
        files = [name for name in names if name.endswith(".json")]
        if files:
            home = _experiment(Path(place), folder)
            yield from ((Path(place) / name, home) for name in files)


def _experiment(place: Path, folder: Path) -> Path:
    """Return the outermost experiment around `place`, from `folder` inwards; else what lies below `folder`, or it."""
    parts = place.relative_to(folder).parts
    if "scores" in parts:
        parts = parts[: parts.index("scores")]
    places = [folder.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    for outer in places:
        if _EXPERIMENT.match(outer.resolve().name) or (outer / "config.yaml").is_file():
            return outer
    return places[min(1, len(places) - 1)]


def _names(homes: set[Path]) -> dict[Path, str]:
    """Return each folder's name, with as many of the folders around it as it takes to tell it from the others."""
    whole = {home: home.resolve().parts for home in homes}
    names = {}
    for home, parts in whole.items():
        size = 1
        while size < len(parts) and any(other[-size:] == parts[-size:] for other in whole.values() if other != parts):
            size += 1
        names[home] = "/".join(parts[-size:])
    return names


def _score_rows(places: Mapping[Path, tuple[Path, str]]) -> list[ScoreRow]:
    return [_score_row(path, *of) for path, of in places.items() if "scores" in path.relative_to(of[0]).parts[:-1]]


def _score_row(path: Path, home: Path, experiment: str) -> ScoreRow:
    score = read_score(path)
    parts = path.relative_to(home).parts
    at = parts.index("scores")
    # A set's numbers are never shown under another set's name.
    if score.test_set not in parts[at + 1 : -1]:
        raise UserError(f"{path}: holds a score of '{score.test_set}', which is not its folder's name: score again")
    around = (home.name, *parts[:at])
    return ScoreRow(score, path, experiment, next((name for name in around if name.startswith("probe_")), ""))


def _is_peer(config: Path) -> bool:
    # Reading the whole configuration as YAML would take longer than the rest of the report.
    if not config.is_file():
        return False
    return re.search(r"^peer:", config.read_text(encoding="utf-8", errors="replace"), re.MULTILINE) is not None


def _info(path: Path) -> dict[str, Any]:
    info = read_json(path, advice=_AGAIN)
    if not isinstance(info.get("parameters"), (dict, int)):
        raise UserError(f"{path}: not what 'hasrd info --json' prints: remove it")
    return info


class _History(TypedDict):
    epochs: list[dict[str, Any]]
