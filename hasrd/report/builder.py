# Copyright 2026 The hasrd authors
# Apache-2.0
"""Makes the tables of a report from the table of all scores, as tables.yaml says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

from hasrd.codec.streams import word_streams
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
from hasrd.report.collect import PROBES, Results, ScoreRow
from hasrd.report.rows import Row, RowMaker, most_codebooks
from hasrd.report.specification import PARAMETERS, TEST_SET, ColumnSpec, TableSpec, table_specs
from hasrd.report.streams import book_label, has_levels, split_streams

# What is known of a codec whether or not its speech was measured: a row with these alone is not shown.
_KNOWN = ("bitrate", PARAMETERS)
# Label and cells.
Line = tuple[str, list[Cell]]


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
            maker = RowMaker(results, spec, test_set, data, experiment, codebook)
            # The paper's numbers are of test-clean: where we have that set, they stand beside no other.
            with_paper = beside_paper in (None, test_set)
            table = _table(key, maker, all_rows, with_paper, is_first=not tables)
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
        names = [book["stream"] for book in most_codebooks(results.find(spec.sets[0], test_set, experiment=experiment))]
        # Of a codec of acoustic tokens alone, the first codebook.
        for codebook in [names.index(stream) for stream in word_streams(names)] or [0]:
            yield experiment, codebook


def _table(key: str, maker: RowMaker, all_rows: bool, with_paper: bool, is_first: bool) -> Table:
    """Make a table.

    Args:
        with_paper: Whether the paper's rows stand below ours.
        is_first: Whether it is the first of its kind, which says what must be known of all.
    """
    spec, results = maker.spec, maker.results
    lines = _lines(maker, all_rows, with_paper)
    names, lines = (list(spec.columns), lines) if all_rows else _shown(list(spec.columns), lines)
    # What a table of codebooks says of them.
    books = most_codebooks(maker.find(spec.sets[0])) if spec.per else []
    facts = {"codebook": book_label(books[maker.codebook]), "tokens": books[0].get("tokens")} if books else {}
    notes = [spec.note_of_first if is_first else "", *maker.reasons]
    # Of a table in which all is missing there is nothing more to say.
    if maker.experiment or not spec.per:
        notes.append(spec.note.format_map(facts))
    if spec.loudness:
        notes.append(_bitrate_note(maker.find("bitrate")))
    notes.append(_sources(results, spec.sources))
    columns = [spec.first.format_map(facts), *(spec.columns[name].header for name in names)]
    note = " ".join(filter(None, notes))
    return Table(spec.title, maker.test_set, columns, lines, maker.experiment, note, key, spec.about)


def _lines(maker: RowMaker, all_rows: bool, with_paper: bool) -> list[Line]:
    """Return the rows; where not all are shown, those that something was measured of, and the paper's of these."""
    columns = maker.spec.columns
    measured = [index for index, column in enumerate(columns.values()) if column.measure not in _KNOWN]
    lines: list[Line] = []
    for kind in maker.spec.rows:
        rows = [(row.label, [_cell(maker, row, column) for column in columns.values()]) for row in maker.rows(kind)]
        rows = [row for row in rows if all_rows or _says_something([row[1][index] for index in measured])]
        lines += rows
        if kind.paper and with_paper and (rows or all_rows):
            lines.append((f"{kind.label} (paper)", [paper_cell(kind.paper, name) for name in columns]))
    return lines


def _shown(names: Sequence[str], lines: Sequence[Line]) -> tuple[list[str], list[Line]]:
    """Return the names of the columns that something was measured of, and the rows with these alone."""
    ours = [cells for _, cells in lines if not cells[0].paper]
    kept = [index for index in range(len(names)) if _says_something([cells[index] for cells in ours])]
    lines = [(label, [cells[index] for index in kept]) for label, cells in lines]
    # The paper may have no number in these columns.
    return [names[index] for index in kept], [(label, cells) for label, cells in lines if _says_something(cells)]


def _cell(maker: RowMaker, row: Row, column: ColumnSpec) -> Cell:
    system = row.system(column.role)
    if system is None:
        return NOT_APPLICABLE
    cells = [_cell_of(maker, row, column, measure, system) for measure in column.measures]
    return next((cell for cell in cells if cell.source), cells[0])


def _cell_of(maker: RowMaker, row: Row, column: ColumnSpec, measure: str, system: str) -> Cell:
    if measure == PARAMETERS:
        return _parameters(maker.results, row.experiment)
    place = row.places.get(measure, row.place)
    if isinstance(place, Cell):
        return place
    if measure == "bitrate":
        return bitrate_cell(maker.results.find(measure, maker.test_set, experiment=row.experiment), system)
    found = _scores(maker, row, measure, system, None if column.spread else "")
    if column.spread:
        return spread_cell(found, 2 if column.digits is None else column.digits)
    name = row.fields.get(column.role, column.field)
    if not found or name == "mean":
        return score_cell(found)
    return detail_cell(found[0], place, name, column)


def _scores(maker: RowMaker, row: Row, measure: str, system: str, run: str | None) -> list[ScoreRow]:
    if measure not in PROBES:
        found = maker.results.first(measure, maker.test_set, system or None, row.experiment)
        return [found] if found else []
    if row.recipe is None:
        return maker.results.find_probe(measure, maker.test_set, system, row.experiment, run)
    found = maker.results.find(measure, maker.test_set, system, row.experiment, run)
    return [item for item in found if item.recipe == row.recipe]


def _parameters(results: Results, experiment: str) -> Cell:
    # Of a codec of another package the whole number alone is known.
    sizes = results.models.get(experiment, {}).get("parameters", {})
    total, name = (sizes.get("total"), "parameters.total") if isinstance(sizes, dict) else (sizes, "parameters")
    if total is None:
        return MISSING
    path = results.folders[experiment] / "info.json"
    value = number_cell(total / 1e6, digits=1).value
    return Cell(value, missing=False, source=str(path), field=name)


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
