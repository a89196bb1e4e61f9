# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tables 1-4 of the paper: a row of ours for each of its rows, the paper's own numbers below it, and further
experiments at the end.
"""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Callable, Iterable, Sequence

from hasrd.report.collect import Found, Results
from hasrd.report.paper import TEST_SET, PaperRow, paper_tables, row_key
from hasrd.report.streams import probe_label, streams_of
from hasrd.report.tables import (
    MISSING,
    NOT_APPLICABLE,
    PROBES,
    Cell,
    Table,
    bitrate_cell,
    bitrate_note,
    header,
    number_cell,
    score_cell,
)

PARAMETERS = "Parameters (M)"
_RECONSTRUCTION = ("mel", "stft", "visqol")
_RATES = ("cer", "wer")
_ABLATIONS = {key for row in paper_tables()["table1"].rows for key in row.keys}
_SIMILARITIES = ("ecapa_similarity", "speaker_similarity")
# Label and cells of an experiment or of the paper.
Row = tuple[str, list[Cell]]


def make_paper_tables(results: Results, test_sets: Sequence[str], only_codecs: bool = False) -> list[Table]:
    """Make Tables 1-4 on every set that has a score of theirs; `only_codecs`: those of reconstruction."""
    tables = [*_codec_tables(results, test_sets, "table1"), *_codec_tables(results, test_sets, "table2")]
    if not only_codecs:
        tables += [*_probe_tables(results, test_sets), *_stream_tables(results, test_sets)]
    return tables


def main_recipe(results: Results, experiment: str) -> str:
    """Return the probes' configuration that most probes of an experiment have, the first by name of equally many."""
    found = Counter(
        item.recipe for item in results.scores if item.experiment == experiment and item.score.measure in PROBES
    )
    return min(found, key=lambda recipe: (-found[recipe], recipe), default="")


def find_probe(results: Results, measure: str, test_set: str, system: str, experiment: str) -> list[Found]:
    """Return the score of an experiment's probe, of its main configuration and run."""
    found = results.find(measure, test_set, system, experiment)
    recipe = main_recipe(results, experiment) if found else ""
    return [item for item in found if item.recipe == recipe]


def spread_cell(runs: Sequence[Found], digits: int = 1) -> Cell:
    """Show mean and standard deviation over runs with other seeds; missing where there are fewer than two."""
    if len(runs) < 2:
        return MISSING
    means = [item.score.mean for item in runs]
    value = f"{statistics.mean(means):.{digits}f} ± {statistics.stdev(means):.{digits}f} ({len(runs)} runs)"
    first, *others = (str(item.path) for item in runs)
    return Cell(value, missing=False, source=first, others=tuple(others))


def _codec_tables(results: Results, test_sets: Sequence[str], key: str) -> list[Table]:
    paper = paper_tables()[key]
    columns = ["Model", "Bitrate (kbps)", *map(header, _RECONSTRUCTION), PARAMETERS]
    names = ("bitrate", *_RECONSTRUCTION, "parameters")
    tables: list[Table] = []
    own_sets = results.test_sets(_RECONSTRUCTION) or test_sets[:1]
    for test_set in own_sets:
        measured = _measured(results, test_set, (*_RECONSTRUCTION, "bitrate"), ("combined",), "codec_")
        cells = partial(_codec_cells, results, test_set)
        table = Table(paper.title, test_set, columns, note="" if tables else paper.note, key=key)
        known = _add_rows(table, paper.rows, results, measured, cells, names, own_sets)
        if key == "table2":
            # A model of Table 1 is not shown a second time.
            known |= {name for name in measured if row_key(name) in _ABLATIONS} - results.peers
            table.rows += [(_name(results, name), cells(name)) for name in measured if name not in known]
        table.note = " ".join(filter(None, [table.note, bitrate_note(results.find("bitrate", test_set))]))
        tables.append(table)
    return tables


def _codec_cells(results: Results, test_set: str, experiment: str) -> list[Cell]:
    return [
        bitrate_cell(results.find("bitrate", test_set, experiment=experiment), "combined"),
        *(score_cell(results.find(measure, test_set, "combined", experiment)) for measure in _RECONSTRUCTION),
        _parameters(results, experiment),
    ]


def _probe_tables(results: Results, test_sets: Sequence[str]) -> list[Table]:
    paper = paper_tables()["table3"]
    names = ("latent_cer", "latent_wer", "quantized_cer", "quantized_wer", "parameters")
    rates = [f"{of} {rate} (%) ↓" for of in ("Latent", "Quantized") for rate in ("CER", "WER")]
    columns = ["Model", *rates, PARAMETERS]
    fbank, *models = paper.rows
    tables: list[Table] = []
    own_sets = results.test_sets(_RATES) or test_sets[:1]
    for test_set in own_sets:
        table = Table(paper.title, test_set, columns, note="" if tables else paper.note, key="table3")
        _add_reader(table, results, "log_mel", fbank.label)
        table.rows += of_paper(fbank, names, test_set, own_sets)
        measured = _measured(results, test_set, _RATES, ("latent", "tokens_semantic", "tokens_all"))
        cells = partial(_model_cells, results, test_set)
        known = _add_rows(table, models, results, measured, cells, names, own_sets)
        _add_reader(table, results, "mix", probe_label("mix"))
        table.rows += [(_name(results, name), cells(name)) for name in measured if name not in known]
        systems = {item.score.system for rate in _RATES for item in results.find(rate, test_set)}
        for system in sorted(system for system in systems if system.startswith("frontend_")):
            _add_reader(table, results, system, probe_label(system))
        tables.append(table)
    return tables


def _add_reader(table: Table, results: Results, system: str, label: str) -> None:
    """Add what a probe reads without quantization: a row for each experiment that has such a probe."""
    own = _measured(results, table.test_set, _RATES, (system,))
    for name in own:
        pair = _rate_cells(results, table.test_set, system, name)
        table.rows.append((f"{label}: {name}" if len(own) > 1 else label, [*pair, *[NOT_APPLICABLE] * 3]))
    if not own:
        table.rows.append((label, [*[MISSING] * 2, *[NOT_APPLICABLE] * 3]))


def _model_cells(results: Results, test_set: str, experiment: str) -> list[Cell]:
    semantic = _rate_cells(results, test_set, "tokens_semantic", experiment)
    if all(cell.missing for cell in semantic) and "semantic" not in streams_of(results, test_set, experiment):
        tokens = _rate_cells(results, test_set, "tokens_all", experiment)
    else:
        tokens = semantic
    return [*_rate_cells(results, test_set, "latent", experiment), *tokens, _parameters(results, experiment)]


def _rate_cells(results: Results, test_set: str, system: str, experiment: str) -> list[Cell]:
    return [score_cell(find_probe(results, rate, test_set, system, experiment)) for rate in _RATES]


def _stream_tables(results: Results, test_sets: Sequence[str]) -> list[Table]:
    paper = paper_tables()["table4"]
    columns = ["Tokens", *map(header, _SIMILARITIES), "CER of the probe (%) ↓", "WER of the probe (%) ↓",
               "WER, mean ± sd over runs (%)", header("recogniser_wer")]  # fmt: skip
    names = (*_SIMILARITIES, "cer", "wer", "spread", "recogniser_wer")
    tables: list[Table] = []
    own_sets = results.test_sets((*_SIMILARITIES, *_RATES)) or test_sets[:1]
    for test_set in own_sets:
        table = Table(paper.title, test_set, columns, note="" if tables else paper.note, key="table4")
        codecs = [
            name
            for name in _measured(results, test_set, (*_SIMILARITIES, "bitrate", "recogniser_wer"), (), "codec_")
            if len(streams_of(results, test_set, name)) != 1
        ]
        streams = {name: streams_of(results, test_set, name) for name in codecs}
        known = {row.system for row in paper.rows}
        others = dict.fromkeys(stream for own in streams.values() for stream in own if stream not in known)
        for row in (*paper.rows, *map(_stream_row, others)):
            # Of a codec whose streams no bitrate says, those of the paper are missing.
            own = [name for name in codecs if row.system in ("combined", *(streams[name] or known))]
            for experiment in own or ([] if codecs else [""]):
                label = f"{row.label}: {_name(results, experiment)}" if len(codecs) > 1 else row.label
                table.rows.append((label, _stream_cells(results, test_set, experiment, row)))
            if row.paper:
                table.rows += of_paper(row, names, test_set, own_sets)
        original = [NOT_APPLICABLE] * 5 + [score_cell(results.find("recogniser_wer", test_set, "original"))]
        table.rows.append(("Original speech", original))
        tables.append(table)
    return tables


def _stream_row(stream: str) -> PaperRow:
    """Make the row of a stream that the paper does not have."""
    return PaperRow(f"{stream.capitalize()} only", {}, {}, system=stream, probe=f"tokens_{stream}")


def _stream_cells(results: Results, test_set: str, experiment: str, row: PaperRow) -> list[Cell]:
    if not experiment:
        return [MISSING] * 6
    recipe = main_recipe(results, experiment)
    runs = results.find("wer", test_set, row.probe, experiment, run=None)
    return [
        *(score_cell(results.find(measure, test_set, row.system, experiment)) for measure in _SIMILARITIES),
        *(score_cell(find_probe(results, measure, test_set, row.probe, experiment)) for measure in _RATES),
        spread_cell([item for item in runs if item.recipe == recipe]),
        score_cell(results.find("recogniser_wer", test_set, row.system, experiment)),
    ]


def _measured(
    results: Results, test_set: str, measures: Iterable[str], systems: Sequence[str], prefix: str = ""
) -> list[str]:
    """Return the experiments named `prefix`... with a score of these measures and systems (any if there is none)."""
    return sorted(
        {
            item.experiment
            for measure in measures
            for item in results.find(measure, test_set)
            if (not systems or item.score.system in systems) and item.experiment.rpartition("/")[2].startswith(prefix)
        }
    )


def _add_rows(
    table: Table,
    rows: Sequence[PaperRow],
    results: Results,
    measured: Sequence[str],
    cells: Callable[[str], list[Cell]],
    names: Sequence[str],
    own_sets: Sequence[str],
) -> set[str]:
    """Add our rows and the paper's; return the experiments that have one."""
    known: set[str] = set()
    for row in rows:
        own = [name for name in measured if row_key(name) in row.keys and (row.peer or name not in results.peers)]
        own.sort(key=lambda name: [*row.keys].index(row_key(name)))
        keys = Counter(map(row_key, own))
        for name in own:
            parts = [row.label, row.keys[row_key(name)], "peer" if name in results.peers else ""]
            label = ", ".join(filter(None, parts))
            table.rows.append((f"{label}: {name}" if keys[row_key(name)] > 1 else label, cells(name)))
        if not own:
            table.rows.append((row.label, [MISSING] * len(names)))
        table.rows += of_paper(row, names, table.test_set, own_sets)
        known |= set(own)
    return known


def of_paper(row: PaperRow, names: Sequence[str], test_set: str, own_sets: Sequence[str]) -> list[Row]:
    """Return the paper's row. Its numbers are of test-clean: where we have that set, they stand beside no other."""
    if test_set != TEST_SET and TEST_SET in own_sets:
        return []
    cells = [
        Cell(row.paper[name], missing=False, paper=True) if name in row.paper else replace(NOT_APPLICABLE, paper=True)
        for name in names
    ]
    return [(f"{row.label} (paper)", cells)]


def _name(results: Results, experiment: str) -> str:
    return f"{experiment} (peer)" if experiment in results.peers else experiment


def _parameters(results: Results, experiment: str) -> Cell:
    # Of a codec of another package the whole number alone is known.
    sizes = results.models.get(experiment, {}).get("parameters", {})
    total, where = (sizes.get("total"), "parameters.total") if isinstance(sizes, dict) else (sizes, "parameters")
    if total is None:
        return MISSING
    path = results.folders[experiment] / "info.json"
    return replace(number_cell(total / 1e6, digits=1), source=str(path), field=where)
