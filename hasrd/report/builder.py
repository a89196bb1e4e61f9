# Copyright 2026 The hasrd authors
# Apache-2.0
"""Makes the tables of a report from the table of all scores, as tables.yaml says."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Sequence

from hasrd.codec.streams import word_streams
from hasrd.config import parse_yaml
from hasrd.data.kaldi import read_table
from hasrd.data.targets import read_facts
from hasrd.errors import UserError
from hasrd.metrics.bitrate import LOUDNESS_NOTE
from hasrd.metrics.scores import MEASURES
from hasrd.report.cells import (
    MISSING,
    NOT_APPLICABLE,
    Cell,
    Table,
    bitrate_cell,
    detail_cell,
    number_cell,
    paper_cell,
    score_cell,
    spread_cell,
)
from hasrd.report.collect import MEAN_SPECTRUM, ORIGINAL, PROBES, Results, ScoreRow
from hasrd.report.specification import (
    PARAMETERS,
    TEST_SET,
    ColumnSpec,
    RowSpec,
    TableSpec,
    keys_of,
    measure_label,
    row_key,
    table_specs,
)
from hasrd.report.streams import (
    book_label,
    codebooks_of,
    decoded_from,
    has_levels,
    probe_label,
    probe_rows,
    split_streams,
    streams_of,
)

NO_ANSWER = Cell("n/a", missing=False)
# Best detected words of a stream.
_BEST_WORDS = 10
# What the measures of levels need.
_ALIGNMENT = {"pnmi": "phones", "phone_purity": "phones", "word_f1": "words"}
_MEAN_OF_LANGUAGES = "mean_of_languages"
# The key with all that is indented below it.
_DISTILLATION = re.compile(r"^distillation:.*\n(?:(?:[ \t#].*)?\n)*", re.MULTILINE)


def build(
    results: Results, test_sets: Sequence[str], data: Path, only_codecs: bool = False, all_rows: bool = False
) -> list[Table]:
    """Make all tables of a report.

    HASRD's are left out where they would show no more than DAC: where all codecs that are split are split into levels.

    Args:
        test_sets: Shown as missing where nothing was scored and all rows are shown.
        data: Folder with the sets' data directories, which say what a set has alignments of, and its languages.
        only_codecs: Leave out what is about encoders and probes.
        all_rows: Show the rows, columns and tables that nothing was measured of, too.

    Raises:
        UserError: A damaged utt2lang.
    """
    papers = {"", "hac"} if has_levels(results) else {"", "hasrd"}
    if "semantic" in split_streams(results):
        papers.add("hasrd")
    tables = []
    for key, spec in table_specs().items():
        if spec.paper in papers and not (only_codecs and spec.of_encoders):
            tables += tables_of(key, results, test_sets, data, all_rows)
    return tables


def tables_of(
    key: str, results: Results, test_sets: Sequence[str], data: Path = Path("data"), all_rows: bool = False
) -> list[Table]:
    """Make the tables of one kind; args and errors as of `build`."""
    spec = table_specs()[key]
    scored = results.test_sets(spec.sets)
    # One set is enough to show what is missing.
    sets = scored or (test_sets[:1] if spec.expected and all_rows else [])
    beside_paper = TEST_SET if TEST_SET in sets else None
    tables: list[Table] = []
    for test_set in sets:
        for experiment, codebook in _parts(spec, results, test_set):
            builder = _Builder(results, key, spec, test_set, data, all_rows, experiment, codebook)
            # The paper's numbers are of test-clean: where we have that set, they stand beside no other.
            table = builder.table(with_paper=beside_paper in (None, test_set), is_first=not tables)
            if len(table.rows) >= spec.least:
                tables.append(table)
    return tables


def _parts(spec: TableSpec, results: Results, test_set: str) -> Iterator[tuple[str, int]]:
    """Yield the experiment and the codebook that each of a set's tables is of; "" and 0 for all of them."""
    if not spec.per:
        yield "", 0
        return
    for experiment in results.experiments(spec.sets, test_set) or [""]:
        if spec.per == "experiment":
            yield experiment, 0
            continue
        names = [book["stream"] for book in _codebooks(results.find(spec.sets[0], test_set, experiment=experiment))]
        # Of a codec of acoustic tokens alone, the first codebook.
        for codebook in [names.index(stream) for stream in word_streams(names)] or [0]:
            yield experiment, codebook


def _codebooks(found: Iterable[ScoreRow]) -> list[dict[str, Any]]:
    """Return the codebooks of the score that has most: words may have been scored for the first ones alone."""
    return max((item.score.details.get("codebooks", []) for item in found), key=len, default=[])


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


@dataclass
class _Builder:
    """Makes a table; keeps which experiments have a row of their own, and why some cells have no answer."""

    results: Results
    key: str
    spec: TableSpec
    test_set: str
    data: Path
    all_rows: bool
    experiment: str
    codebook: int
    known: set[str] = field(default_factory=set)
    reasons: dict[str, None] = field(default_factory=dict)

    def table(self, with_paper: bool, is_first: bool) -> Table:
        """Return the table.

        Args:
            with_paper: Whether the paper's rows stand below ours.
            is_first: Whether it is the first of its kind, which says what must be known of all.
        """
        spec = self.spec
        rows = self._rows(with_paper)
        names, rows = (list(spec.columns), rows) if self.all_rows else self._shown(rows)
        # What the columns say of a codebook, for those tables that are of one.
        books = _codebooks(self._find(spec.sets[0])) if spec.per else []
        facts = {"codebook": book_label(books[self.codebook]), "tokens": books[0].get("tokens")} if books else {}
        first = spec.first.format_map(facts)
        notes = [spec.note_of_first if is_first else "", *self.reasons]
        # Of a table in which all is missing there is nothing more to say.
        if self.experiment or not spec.per:
            notes.append(spec.note.format_map(facts))
        if spec.loudness:
            notes.append(_bitrate_note(self._find("bitrate")))
        notes.append(_sources(self.results, spec.sources))
        headers = [first, *(spec.columns[name].header for name in names)]
        note = " ".join(filter(None, notes))
        return Table(spec.title, self.test_set, headers, rows, self.experiment, note, self.key, spec.about)

    def _rows(self, with_paper: bool) -> list[tuple[str, list[Cell]]]:
        """Return the rows; where not all are shown, those that something was measured of, and the paper's of these."""
        rows = []
        for kind in self.spec.rows:
            each = kind.each or ("models" if kind.keys else "systems")
            own = [(row.label, self._cells(row)) for row in getattr(self, f"_{each}")(kind)]
            own = [(label, cells) for label, cells in own if self.all_rows or _says_something(cells)]
            rows += own
            if kind.paper and with_paper and (own or self.all_rows):
                cells = [paper_cell(kind.paper, name) for name in self.spec.columns]
                rows.append((f"{kind.label} (paper)", cells))
        return rows

    def _shown(self, rows: list[tuple[str, list[Cell]]]) -> tuple[list[str], list[tuple[str, list[Cell]]]]:
        """Return the names of the columns that something was measured of, and the rows with these alone."""
        names = list(self.spec.columns)
        ours = [cells for _, cells in rows if not cells[0].paper]
        kept = [index for index in range(len(names)) if _says_something([cells[index] for cells in ours])]
        rows = [(label, [cells[index] for index in kept]) for label, cells in rows]
        # The paper may have no number in these columns.
        return [names[index] for index in kept], [(label, cells) for label, cells in rows if _says_something(cells)]

    def _find(self, measure: str) -> list[ScoreRow]:
        return self.results.find(measure, self.test_set, experiment=self.experiment or None)

    # Cells.

    def _cells(self, row: Row) -> list[Cell]:
        return [self._cell(row, column) for column in self.spec.columns.values()]

    def _cell(self, row: Row, column: ColumnSpec) -> Cell:
        system = row.systems if isinstance(row.systems, str) else row.systems.get(column.role)
        if system is None:
            return NOT_APPLICABLE
        cells = [self._cell_of(row, column, measure, system) for measure in column.measures]
        return next((cell for cell in cells if cell.source), cells[0])

    def _cell_of(self, row: Row, column: ColumnSpec, measure: str, system: str) -> Cell:
        if measure == PARAMETERS:
            return self._parameters(row.experiment)
        place = row.places.get(measure, row.place)
        if isinstance(place, Cell):
            return place
        if measure == "bitrate":
            return bitrate_cell(self.results.find(measure, self.test_set, experiment=row.experiment), system)
        found = self._scores(row, measure, system, None if column.spread else "")
        if column.spread:
            return spread_cell(found, 2 if column.digits is None else column.digits)
        name = row.fields.get(column.role, column.field)
        if not found or name == "mean":
            return score_cell(found)
        return detail_cell(found[0], place, name, column)

    def _scores(self, row: Row, measure: str, system: str, run: str | None) -> list[ScoreRow]:
        if measure not in PROBES:
            found = self.results.first(measure, self.test_set, system or None, row.experiment)
            return [found] if found else []
        if row.recipe is None:
            return self.results.find_probe(measure, self.test_set, system, row.experiment, run)
        found = self.results.find(measure, self.test_set, system, row.experiment, run)
        return [item for item in found if item.recipe == row.recipe]

    def _parameters(self, experiment: str) -> Cell:
        # Of a codec of another package the whole number alone is known.
        sizes = self.results.models.get(experiment, {}).get("parameters", {})
        total, name = (sizes.get("total"), "parameters.total") if isinstance(sizes, dict) else (sizes, "parameters")
        if total is None:
            return MISSING
        path = self.results.folders[experiment] / "info.json"
        value = number_cell(total / 1e6, digits=1).value
        return Cell(value, missing=False, source=str(path), field=name)

    # Rows of every table.

    def _systems(self, kind: RowSpec) -> Iterator[Row]:
        yield Row(kind.label, self.experiment or None, kind.systems, fields=kind.fields)

    def _experiments(self, kind: RowSpec) -> Iterator[Row]:
        systems = [kind.systems] if kind.systems else None
        names = self.results.experiments(self.spec.sets, self.test_set, systems)
        for name in names or [""]:
            yield Row(name or kind.label, name, kind.systems)

    # Rows of the papers' tables.

    def _model(self, label: str, experiment: str) -> Row:
        streams = streams_of(self.results, self.test_set, experiment)
        has_semantic = "semantic" in streams or any(
            self.results.find_probe(measure, self.test_set, "tokens_semantic", experiment) for measure in PROBES[:2]
        )
        # All tokens never stand for semantic ones.
        tokens = "tokens_semantic" if has_semantic else "tokens_all"
        roles = {"": "combined", "latent": "latent", "quantized": tokens, "model": ""}
        return Row(label, experiment, roles)

    def _measured(self, measures: Iterable[str] | None = None) -> list[str]:
        """Return the experiments of this table: those with a score of these measures, or of the columns of a model."""
        prefix = self.spec.experiments
        names = self.results.experiments([*MEASURES] if measures is None else [*measures], self.test_set)
        names = [name for name in names if name.rpartition("/")[2].startswith(prefix)]
        if measures is not None:
            return names
        columns = [column for column in self.spec.columns.values() if column.measure != PARAMETERS]
        return [name for name in names if any(self._cell(self._model("", name), column).source for column in columns)]

    def _models(self, kind: RowSpec) -> Iterator[Row]:
        """Yield the experiments that are this row of the paper; without one, a row that is missing."""
        own = self._matching(kind, self._measured())
        keys = Counter(map(row_key, own))
        for name in own:
            parts = [kind.label, kind.keys[row_key(name)], "peer" if name in self.results.peers else ""]
            label = ", ".join(filter(None, parts))
            yield self._model(f"{label}: {name}" if keys[row_key(name)] > 1 else label, name)
        if not own:
            yield self._model(kind.label, "")

    def _matching(self, kind: RowSpec, names: Sequence[str]) -> list[str]:
        own = [name for name in names if row_key(name) in kind.keys and (kind.peer or name not in self.results.peers)]
        self.known |= set(own)
        return sorted(own, key=lambda name: [*kind.keys].index(row_key(name)))

    def _other_models(self, kind: RowSpec) -> Iterator[Row]:
        elsewhere = keys_of(table_specs()[kind.without].rows) if kind.without else set()
        for name in self._measured():
            is_elsewhere = row_key(name) in elsewhere and name not in self.results.peers
            if name not in self.known and not is_elsewhere:
                yield self._model(self._name(name), name)

    def _name(self, experiment: str) -> str:
        return f"{experiment} (peer)" if experiment in self.results.peers else experiment

    def _unquantized(self, kind: RowSpec) -> Iterator[Row]:
        """Yield what a probe reads without quantization, for each experiment that has such a probe."""
        own = self.results.experiments(self.spec.sets, self.test_set, [kind.systems])
        for name in own or [""]:
            yield Row(f"{kind.label}: {name}" if len(own) > 1 else kind.label, name, {"latent": kind.systems})

    def _frontends(self, kind: RowSpec) -> Iterator[Row]:
        systems = {item.score.system for rate in self.spec.sets for item in self.results.find(rate, self.test_set)}
        for system in sorted(system for system in systems if system.startswith("frontend_")):
            yield from self._unquantized(RowSpec(probe_label(system), systems=system))

    def _streams(self, kind: RowSpec) -> Iterator[Row]:
        """Yield a row for each codec of several streams that has this one."""
        streams = self._streams_of_codecs()
        # Of a codec whose streams no bitrate says, those of the paper are missing.
        shown = ("combined", *(row.systems["speech"] for row in self.spec.rows if row.paper))
        stream = kind.systems["speech"]
        own = [name for name in streams if stream in ("combined", *(streams[name] or shown))]
        for name in own or ([] if streams else [""]):
            yield Row(f"{kind.label}: {self._name(name)}" if len(streams) > 1 else kind.label, name, kind.systems)

    def _other_streams(self, kind: RowSpec) -> Iterator[Row]:
        known = {row.systems["speech"] for row in self.spec.rows if row.paper}
        for stream in dict.fromkeys(stream for own in self._streams_of_codecs().values() for stream in own):
            if stream not in known:
                systems = {"speech": stream, "probe": f"tokens_{stream}", "recogniser": stream}
                yield from self._streams(RowSpec(f"{stream.capitalize()} only", systems=systems))

    def _streams_of_codecs(self) -> dict[str, list[str]]:
        measures = {measure for column in self.spec.columns.values() for measure in column.measures} - set(PROBES)
        names = self._measured({*measures, "bitrate"})
        streams = {name: streams_of(self.results, self.test_set, name) for name in names}
        return {name: own for name, own in streams.items() if len(own) != 1}

    # Rows of speech.

    def _decoded(self, kind: RowSpec) -> Iterator[Row]:
        """Yield what an experiment's speech is decoded from, and its controls."""
        known = decoded_from(self.results, self.test_set, self.experiment)
        for system, label in self._known_first(known, self.experiment or None):
            systems = {"spectrum": system} if system == MEAN_SPECTRUM else system
            yield Row(label, self.experiment or None, systems)

    def _known_first(self, known: Mapping[str, str], experiment: str | None = None) -> list[tuple[str, str]]:
        """Return the known systems with their labels, then any other that was scored but the first codebooks alone."""
        found = (
            item
            for measure in self.spec.sets
            for item in self.results.find(measure, self.test_set, experiment=experiment)
        )
        others = {item.score.system for item in found} - set(known)
        others = sorted((system for system in others if codebooks_of(system) is None), key=_natural)
        return [*known.items(), *((system, probe_label(system)) for system in others)]

    def _speech(self, kind: RowSpec) -> Iterator[Row]:
        """Yield every system of every experiment that was measured."""
        found = [item for name in self.spec.columns for item in self.results.find(name, self.test_set)]
        found = [item for item in found if item.score.system != ORIGINAL]
        experiments = sorted({item.experiment for item in found})
        for experiment in experiments:
            labels = {**decoded_from(self.results, self.test_set, experiment), "combined": "All streams"}
            labels["conversion"] = "Converted to another voice"
            systems = {item.score.system for item in found if item.experiment == experiment}
            others = sorted(name for name in systems - set(labels) if codebooks_of(name) is None)
            for system in (*(name for name in labels if name in systems), *others):
                label = labels.get(system, system)
                if len(experiments) > 1:
                    label = f"{experiment}: {label[0].lower()}{label[1:]}"
                yield Row(label, experiment, system)

    def _first_codebooks(self, kind: RowSpec) -> Iterator[Row]:
        """Yield speech of the first 1, 2, ... codebooks of an experiment, then of all, where some have been decoded."""
        found = (item for measure in self.spec.sets for item in self._find(measure))
        numbers = sorted(set(filter(None, (codebooks_of(item.score.system) for item in found))))
        for number in numbers:
            yield Row(str(number), self.experiment, f"books_{number}")
        rate = self._find("bitrate")
        if numbers and (not rate or numbers[-1] < len(rate[0].score.details["codebook_sizes"])):
            yield Row("All", self.experiment, "combined")

    # Rows of codebooks.

    def _codebooks(self, kind: RowSpec) -> Iterator[Row]:
        books = _codebooks(item for measure in self.spec.sets for item in self._find(measure))
        for index, book in enumerate(books):
            yield Row(book_label(book), self.experiment, place=("codebooks", index))

    def _words(self, kind: RowSpec) -> Iterator[Row]:
        """Yield the words that a code of this table's codebook detects best."""
        words = _codebooks(self._find(self.spec.sets[0]))[self.codebook].get("best_words", [])
        for index, word in enumerate(words[:_BEST_WORDS]):
            yield Row(word["word"], self.experiment, place=("codebooks", self.codebook, "best_words", index))

    # Rows of probes.

    def _probes(self, kind: RowSpec) -> Iterator[Row]:
        """Yield a row for each thing that is probed, experiment and configuration."""
        for system, label in self._known_first(probe_rows(self.results)):
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
        return [name for name in self._measured(["bitrate"]) if name not in self.results.peers]

    def _streams_by_language(self, experiment: str, label: str) -> Iterator[Row]:
        """Yield rows of each stream: of all speech, of each language, and of their mean."""
        found = {measure: self.results.first(measure, self.test_set, None, experiment) for measure in _ALIGNMENT}
        path = self.data / self.test_set / "utt2lang"
        languages = sorted(set(read_table(path).values())) if path.is_file() else []
        averaged = any(item and item.score.details.get(_MEAN_OF_LANGUAGES) for item in found.values())
        for stream in streams_of(self.results, self.test_set, experiment):

            def row(of: str, *place: str, stream: str = stream) -> Row:
                places = {measure: self._best(item, measure, stream, place) for measure, item in found.items()}
                return Row(f"{label}, {stream}{of}", experiment, places=places)

            yield row("")
            if len(languages) < 2:
                continue
            known = languages_of_teacher(self.results.folders[experiment] / "config.yaml", stream) or languages
            for language in languages:
                if language in known:
                    yield row(f": {language}", "languages", language)
                else:
                    reason = f"{stream}, {language}: n/a, its teacher knows {', '.join(known)} alone."
                    places = dict.fromkeys(_ALIGNMENT, self._no_answer(reason))
                    yield Row(f"{label}, {stream}: {language}", experiment, places=places)
            if averaged and set(languages) <= set(known):
                yield row(": mean of languages", _MEAN_OF_LANGUAGES)

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


def _says_something(cells: Sequence[Cell]) -> bool:
    """Say whether there is more to see than that something is missing or does not apply."""
    return any(not cell.missing and cell.value != NOT_APPLICABLE.value for cell in cells)


def _bitrate_note(found: Sequence[ScoreRow]) -> str:
    """Say what the tokens of these bitrates carry beside their codes, and of which codecs; empty where none do."""
    levelled = [item.experiment for item in found if item.score.details.get("loudness_bits")]
    of = "" if len(levelled) == len(found) else f" of {', '.join(levelled)}"
    return f"Bitrate{of}: {LOUDNESS_NOTE}." if levelled else ""


def _sources(results: Results, measures: Sequence[str]) -> str:
    """Say how the measures were taken, in the words of the score files."""
    by_source: dict[str, list[str]] = {}
    for measure in measures:
        details = [item.score.details for item in results.scores if item.score.measure == measure]
        for source in dict.fromkeys(filter(None, map(_source, details))):
            by_source.setdefault(source, []).append(MEASURES[measure].label)
    return " ".join(f"{', '.join(labels)}: {source}." for source, labels in by_source.items())


def _source(details: Mapping[str, Any]) -> str:
    recogniser = details.get("recogniser")
    if recogniser is None:
        return details.get("source", "")
    return f"{Path(str(recogniser['model'])).name} ({recogniser['language']}), {details.get('normalisation', '')}"


def _natural(name: str) -> list[Any]:
    """Key to sort names by, with numbers in them as numbers."""
    return [(part.isdecimal(), int(part) if part.isdecimal() else part) for part in re.split(r"(\d+)", name)]
