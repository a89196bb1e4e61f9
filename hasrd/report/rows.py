# Copyright 2026 The hasrd authors
# Apache-2.0
"""The rows of a report's tables: what each is of, found in the table of all scores."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Sequence

from hasrd.config import parse_yaml
from hasrd.data.kaldi import read_table
from hasrd.data.targets import read_facts
from hasrd.errors import UserError
from hasrd.metrics.scores import MEASURES
from hasrd.report.cells import MISSING, Cell
from hasrd.report.collect import MEAN_SPECTRUM, ORIGINAL, PROBES, Results, ScoreRow
from hasrd.report.specification import RowSpec, TableSpec, keys_of, measure_label, row_key, table_specs
from hasrd.report.streams import book_label, codebooks_of, decoded_from, probe_label, probe_rows, streams_of

NO_ANSWER = Cell("n/a", missing=False)
# Best detected words of a stream.
_BEST_WORDS = 10
# What the measures of levels need.
_ALIGNMENT = {"pnmi": "phones", "phone_purity": "phones", "word_f1": "words"}
_MEAN_OF_LANGUAGES = "mean_of_languages"
# The key with all that is indented below it.
_DISTILLATION = re.compile(r"^distillation:.*\n(?:(?:[ \t#].*)?\n)*", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """What a row of ours is of.

    Attributes:
        experiment: None for any, "" for none: all cells are missing.
        systems: System of every column, or role of a column to system; "" for any.
        place: Keys in a score's details below which the columns' fields lie.
        places: Measure to place, or to the cell that stands there.
        fields: Role to a field other than the column's.
        recipe: Configuration of the probes; None for that of most.
    """

    label: str
    experiment: str | None = None
    systems: str | Mapping[str, str] = ""
    place: tuple[Any, ...] = ()
    places: Mapping[str, tuple[Any, ...] | Cell] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    recipe: str | None = None

    def system(self, role: str) -> str | None:
        """Return the system of a column of this role; None where the row has none."""
        return self.systems if isinstance(self.systems, str) else self.systems.get(role)


@dataclass
class RowMaker:
    """Makes the rows of a table of ours.

    Attributes:
        data: Folder with the sets' data directories.
        experiment: Of a table that is of one; else "".
        codebook: Of a table that is of one; else 0.
        known: Experiments that have a row of their own.
        reasons: Why some cells have no answer, in their order.
    """

    results: Results
    spec: TableSpec
    test_set: str
    data: Path
    experiment: str = ""
    codebook: int = 0
    known: set[str] = field(default_factory=set)
    reasons: dict[str, None] = field(default_factory=dict)

    def rows(self, kind: RowSpec) -> Iterator[Row]:
        """Return the rows of one kind: those of the method that it names."""
        each = kind.each or ("models" if kind.keys else "systems")
        return getattr(self, f"_{each}")(kind)

    def find(self, measure: str) -> list[ScoreRow]:
        """Return the scores of this table's set, and of its experiment if it has one."""
        return self.results.find(measure, self.test_set, experiment=self.experiment or None)

    # Rows of every table.

    def _systems(self, kind: RowSpec) -> Iterator[Row]:
        yield Row(kind.label, self.experiment or None, kind.systems, fields=kind.fields)

    def _experiments(self, kind: RowSpec) -> Iterator[Row]:
        systems = [kind.systems] if kind.systems else None
        for name in self.results.experiments(self.spec.sets, self.test_set, systems) or [""]:
            yield Row(name or kind.label, name, kind.systems)

    # Rows of the papers' tables.

    def _models(self, kind: RowSpec) -> Iterator[Row]:
        """Yield the experiments that are this row of the paper; without one, a row that is missing."""
        own = self._matching(kind, self._measured_models())
        keys = Counter(map(row_key, own))
        for name in own:
            parts = [kind.label, kind.keys[row_key(name)], "peer" if name in self.results.peers else ""]
            label = ", ".join(filter(None, parts))
            yield self._model(f"{label}: {name}" if keys[row_key(name)] > 1 else label, name)
        if not own:
            yield self._model(kind.label, "")

    def _other_models(self, kind: RowSpec) -> Iterator[Row]:
        elsewhere = keys_of(table_specs()[kind.without].rows) if kind.without else set()
        for name in self._measured_models():
            is_elsewhere = row_key(name) in elsewhere and name not in self.results.peers
            if name not in self.known and not is_elsewhere:
                yield self._model(self._name(name), name)

    def _model(self, label: str, experiment: str) -> Row:
        streams = streams_of(self.results, self.test_set, experiment)
        of_semantic = self.results.experiments(self.spec.sets, self.test_set, ["tokens_semantic"])
        # All tokens never stand for semantic ones.
        tokens = "tokens_semantic" if "semantic" in streams or experiment in of_semantic else "tokens_all"
        return Row(label, experiment, {"": "combined", "latent": "latent", "quantized": tokens, "model": ""})

    def _measured_models(self) -> list[str]:
        """Return the experiments that have a score of a column."""
        return [name for name in self._experiments_with([*MEASURES]) if self._is_scored(self._model("", name))]

    def _is_scored(self, row: Row) -> bool:
        columns = self.spec.columns.values()
        asked = ((measure, row.system(column.role)) for column in columns for measure in column.measures)
        asked = [(measure, system) for measure, system in asked if system is not None]
        return any(self.results.find(measure, self.test_set, system, row.experiment) for measure, system in asked)

    def _experiments_with(self, measures: Iterable[str]) -> list[str]:
        """Return the experiments of this table with a score of any of these measures."""
        names = self.results.experiments([*measures], self.test_set)
        return [name for name in names if name.rpartition("/")[2].startswith(self.spec.experiments)]

    def _matching(self, kind: RowSpec, names: Sequence[str]) -> list[str]:
        """Return the experiments that are this row of the paper, in the order of its keys."""
        own = [name for name in names if row_key(name) in kind.keys and (kind.peer or name not in self.results.peers)]
        self.known |= set(own)
        return sorted(own, key=lambda name: [*kind.keys].index(row_key(name)))

    def _name(self, experiment: str) -> str:
        return f"{experiment} (peer)" if experiment in self.results.peers else experiment

    def _unquantized(self, kind: RowSpec) -> Iterator[Row]:
        """Yield what a probe reads without quantization, for each experiment that has such a probe."""
        own = self.results.experiments(self.spec.sets, self.test_set, [kind.systems])
        for name in own or [""]:
            yield Row(f"{kind.label}: {name}" if len(own) > 1 else kind.label, name, {"latent": kind.systems})

    def _frontends(self, kind: RowSpec) -> Iterator[Row]:
        for system in self._scored_systems():
            if system.startswith("frontend_"):
                yield from self._unquantized(RowSpec(probe_label(system), systems=system))

    def _streams(self, kind: RowSpec) -> Iterator[Row]:
        """Yield a row for each codec of several streams that has this one."""
        codecs = self._streams_of_codecs()
        # Of a codec whose streams no bitrate says, those of the paper are missing.
        stream, of_paper = kind.systems["speech"], self._streams_of_paper()
        own = [name for name, streams in codecs.items() if stream in ("combined", *(streams or of_paper))]
        for name in own or ([] if codecs else [""]):
            yield Row(f"{kind.label}: {self._name(name)}" if len(codecs) > 1 else kind.label, name, kind.systems)

    def _other_streams(self, kind: RowSpec) -> Iterator[Row]:
        for stream in dict.fromkeys(stream for own in self._streams_of_codecs().values() for stream in own):
            if stream not in self._streams_of_paper():
                systems = {"speech": stream, "probe": f"tokens_{stream}", "recogniser": stream}
                yield from self._streams(RowSpec(f"{stream.capitalize()} only", systems=systems))

    def _streams_of_paper(self) -> list[str]:
        return [row.systems["speech"] for row in self.spec.rows if row.paper]

    def _streams_of_codecs(self) -> dict[str, list[str]]:
        measures = {measure for column in self.spec.columns.values() for measure in column.measures} - set(PROBES)
        names = self._experiments_with({*measures, "bitrate"})
        streams = {name: streams_of(self.results, self.test_set, name) for name in names}
        return {name: own for name, own in streams.items() if len(own) != 1}

    # Rows of speech.

    def _decoded(self, kind: RowSpec) -> Iterator[Row]:
        """Yield what an experiment's speech is decoded from, scored or not, then its other systems."""
        known = decoded_from(self.results, self.test_set, self.experiment)
        for system in dict.fromkeys([*known, *self._scored_systems(self.experiment)]):
            systems = {"spectrum": system} if system == MEAN_SPECTRUM else system
            yield Row(known.get(system, system), self.experiment or None, systems)

    def _speech(self, kind: RowSpec) -> Iterator[Row]:
        """Yield every system of every experiment that was measured, but the recordings."""
        names = self.results.experiments(self.spec.sources, self.test_set)
        scored = {name: [of for of in self._scored_systems(name) if of != ORIGINAL] for name in names}
        scored = {name: systems for name, systems in scored.items() if systems}
        for name, systems in scored.items():
            labels = {**decoded_from(self.results, self.test_set, name), "combined": "All streams"}
            labels["conversion"] = "Converted to another voice"
            order = [*(system for system in labels if system in systems), *systems]
            for system in dict.fromkeys(order):
                label = labels.get(system, system)
                yield Row(f"{name}: {label[0].lower()}{label[1:]}" if len(scored) > 1 else label, name, system)

    def _scored_systems(self, experiment: str = "") -> list[str]:
        """Return the systems that were scored, but the first codebooks alone, which have a table of their own."""
        measures = self.spec.sources or self.spec.sets
        found = [self.results.find(measure, self.test_set, experiment=experiment or None) for measure in measures]
        systems = {item.score.system for items in found for item in items}
        return sorted((system for system in systems if codebooks_of(system) is None), key=_natural)

    def _first_codebooks(self, kind: RowSpec) -> Iterator[Row]:
        """Yield speech of the first 1, 2, ... codebooks of an experiment, then of all, where some have been decoded."""
        found = (item for measure in self.spec.sets for item in self.find(measure))
        numbers = sorted(set(filter(None, (codebooks_of(item.score.system) for item in found))))
        for number in numbers:
            yield Row(str(number), self.experiment, f"books_{number}")
        rate = self.find("bitrate")
        if numbers and (not rate or numbers[-1] < len(rate[0].score.details["codebook_sizes"])):
            yield Row("All", self.experiment, "combined")

    # Rows of codebooks.

    def _codebooks(self, kind: RowSpec) -> Iterator[Row]:
        books = most_codebooks(item for measure in self.spec.sets for item in self.find(measure))
        for index, book in enumerate(books):
            yield Row(book_label(book), self.experiment, place=("codebooks", index))

    def _words(self, kind: RowSpec) -> Iterator[Row]:
        """Yield the words that a code of this table's codebook detects best."""
        words = most_codebooks(self.find(self.spec.sets[0]))[self.codebook].get("best_words", [])
        for index, word in enumerate(words[:_BEST_WORDS]):
            yield Row(word["word"], self.experiment, place=("codebooks", self.codebook, "best_words", index))

    # Rows of probes.

    def _probes(self, kind: RowSpec) -> Iterator[Row]:
        """Yield a row for each thing that is probed, experiment and configuration."""
        known = probe_rows(self.results)
        for system in dict.fromkeys([*known, *self._scored_systems()]):
            label = probe_label(system)
            found = [item for measure in PROBES for item in self.results.find(measure, self.test_set, system)]
            runs = sorted({(item.experiment, item.recipe) for item in found})
            of_experiment = Counter(experiment for experiment, _ in runs)
            for experiment, recipe in runs:
                parts = [experiment] if len(of_experiment) > 1 else []
                parts += [recipe] if of_experiment[experiment] > 1 else []
                yield Row(f"{label} ({', '.join(parts)})" if parts else label, experiment, system, recipe=recipe)
            if not runs:
                yield Row(label, "", system)

    def _repeated_probes(self, kind: RowSpec) -> Iterator[Row]:
        """Yield the probes that were run with several seeds."""
        runs = Counter(
            (item.score.system, item.experiment, item.recipe, measure)
            for measure in PROBES
            for item in self.results.find(measure, self.test_set, run=None)
        )
        repeated = {of[:3] for of, count in runs.items() if count > 1}
        for system, experiment, recipe in sorted(repeated, key=lambda of: [_natural(part) for part in of]):
            yield Row(f"{probe_label(system)} ({experiment})", experiment, system, recipe=recipe)

    # Rows of HAC's levels.

    def _level_streams(self, kind: RowSpec) -> Iterator[Row]:
        """Yield the streams of the codecs that are this row of the paper."""
        own = self._matching(kind, self._codecs_with_a_rate())
        for name in own:
            yield from self._streams_by_language(name, f"{kind.label}: {name}" if len(own) > 1 else kind.label)

    def _level_streams_of_others(self, kind: RowSpec) -> Iterator[Row]:
        for name in self._codecs_with_a_rate():
            if name not in self.known:
                yield from self._streams_by_language(name, name)

    def _codecs_with_a_rate(self) -> list[str]:
        return [name for name in self._experiments_with(["bitrate"]) if name not in self.results.peers]

    def _streams_by_language(self, experiment: str, label: str) -> Iterator[Row]:
        """Yield rows of each stream: of all speech, of each language, and of their mean."""
        found = {measure: self.results.first(measure, self.test_set, None, experiment) for measure in _ALIGNMENT}
        path = self.data / self.test_set / "utt2lang"
        languages = sorted(set(read_table(path).values())) if path.is_file() else []
        averaged = any(item and item.score.details.get(_MEAN_OF_LANGUAGES) for item in found.values())
        for stream in streams_of(self.results, self.test_set, experiment):
            name = f"{label}, {stream}"
            yield self._level(name, experiment, found, stream)
            if len(languages) < 2:
                continue
            known = languages_of_teacher(self.results.folders[experiment] / "config.yaml", stream) or languages
            for language in languages:
                if language in known:
                    yield self._level(f"{name}: {language}", experiment, found, stream, "languages", language)
                else:
                    reason = f"{stream}, {language}: n/a, its teacher knows {', '.join(known)} alone."
                    places = dict.fromkeys(_ALIGNMENT, self._no_answer(reason))
                    yield Row(f"{name}: {language}", experiment, places=places)
            if averaged and set(languages) <= set(known):
                yield self._level(f"{name}: mean of languages", experiment, found, stream, _MEAN_OF_LANGUAGES)

    def _level(
        self, label: str, experiment: str, found: Mapping[str, ScoreRow | None], stream: str, *place: str
    ) -> Row:
        """Return the row of a stream: measure by measure, of its best codebook at this place in the details."""
        places = {measure: self._best(item, measure, stream, place) for measure, item in found.items()}
        return Row(label, experiment, places=places)

    def _best(
        self, found: ScoreRow | None, measure: str, stream: str, place: tuple[str, ...]
    ) -> tuple[Any, ...] | Cell:
        """Return where the codebook of a stream with the highest value lies, or the cell that stands for it.

        Args:
            place: In the details, where the codebooks lie.
        """
        if found is None:
            kind, data = _ALIGNMENT[measure], self.data / self.test_set
            if not data.is_dir() or (data / f"{kind}.ctm").is_file():
                return MISSING
            return self._no_answer(f"{measure_label(measure)}: n/a, there is no alignment of {kind}.")
        at: Any = found.score.details
        for part in place:
            at = at.get(part, {})
        if "left_out" in at:
            return self._no_answer(f"{measure_label(measure)}, {place[-1]}: n/a, {at['left_out']}.")
        books = at.get("codebooks", [])
        own = [index for index, book in enumerate(books) if book["stream"] == stream]
        return (*place, "codebooks", max(own, key=lambda index: books[index]["value"])) if own else MISSING

    def _no_answer(self, reason: str) -> Cell:
        self.reasons[reason] = None
        return NO_ANSWER


def languages_of_teacher(config: Path, level: str) -> list[str]:
    """Return the languages that the teacher of a codec's level knows; [] where nothing says that it knows but some."""
    try:
        block = _DISTILLATION.search(config.read_text(encoding="utf-8", errors="replace"))
        targets = parse_yaml(block[0], config)["distillation"][level]["targets"]
        return read_facts(Path(targets[0])).get("languages") or []
    except (OSError, UserError, KeyError, TypeError, IndexError):
        # A level without a teacher, one that is no longer there, or that knows all.
        return []


def most_codebooks(found: Iterable[ScoreRow]) -> list[dict[str, Any]]:
    """Return the codebooks of the score that has most: words may have been scored for the first ones alone."""
    return max((item.score.details.get("codebooks", []) for item in found), key=len, default=[])


def _natural(name: str) -> list[Any]:
    """Key to sort names by, with numbers in them as numbers."""
    return [(part.isdecimal(), int(part) if part.isdecimal() else part) for part in re.split(r"(\d+)", name)]
