# Copyright 2026 The hasrd authors
# Apache-2.0
"""The tables of a report: rows and columns known beforehand, so that a missing score is seen as missing, and each cell
knows the score file that it comes from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Sequence

from hasrd.metrics.bitrate import LOUDNESS_NOTE
from hasrd.metrics.scores import MEASURES, Score
from hasrd.report.collect import Found, Results
from hasrd.report.streams import decoded_from, probe_label, probe_rows

RECONSTRUCTION = ("mel", "stft", "speaker_similarity", "mean_spectrum")
PROBES = ("cer", "wer", "ctc_loss")
_DIGITS = {"%": 1}
# Measures whose differences are small.
_FINE = ("pnmi", "phone_purity", "cluster_purity", "word_f1", "stoi")


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
    """

    title: str
    test_set: str
    columns: list[str]
    rows: list[tuple[str, list[Cell]]] = field(default_factory=list)
    experiment: str = ""
    note: str = ""
    key: str = ""


def score_cell(found: Sequence[Found]) -> Cell:
    """Show the first score with its interval and count; missing where there is none."""
    if not found:
        return MISSING
    score = found[0].score
    digits = 3 if score.measure in _FINE else _DIGITS.get(score.unit, 2)
    cell = number_cell(score.mean, score.ci95, score.count, digits)
    return replace(cell, source=str(found[0].path), field="mean")


def detail_cell(
    found: Found, *keys: Any, scale: float = 1.0, digits: int = 2, interval: Sequence[float] | None = None
) -> Cell:
    """Show a number of a score's details; missing where they lack it."""
    value: Any = found.score.details
    for key in keys:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return MISSING
    if value is None:
        return MISSING
    cell = number_cell(scale * value, interval, digits=digits)
    return replace(cell, source=str(found.path), field=".".join(("details", *map(str, keys))))


def number_cell(
    value: float, interval: Sequence[float] | None = None, count: int | None = None, digits: int = 2
) -> Cell:
    """Show a number, with interval and count where there are such."""
    bounds = f"{interval[0]:.{digits}f}, {interval[1]:.{digits}f}" if interval is not None else ""
    return Cell(f"{value:.{digits}f}", bounds, count, missing=False)


def header(measure: str) -> str:
    """Return a column's header: label, unit, and which way is better."""
    known = MEASURES[measure]
    unit = f" ({known.unit})" if known.unit else ""
    return f"{known.label}{unit} {'↑' if known.higher_is_better else '↓'}"


def one(found: Sequence[Found]) -> Score | None:
    """Return the score, or None where it is missing."""
    return found[0].score if found else None


def codec_tables(results: Results, test_sets: Sequence[str]) -> list[Table]:
    """Make a table of all codecs for each test set, where there are several to compare."""
    tables = []
    for test_set in results.test_sets(["mel"]) or test_sets:
        found = [item.experiment for item in results.find("mel", test_set, "combined")]
        if len(found) < 2:
            continue
        table = Table("Codecs", test_set, ["Codec", *map(header, RECONSTRUCTION[:3]), "Bitrate (kbps)"], key="codecs")
        for experiment in sorted(found):
            cells = [score_cell(results.find(m, test_set, "combined", experiment)) for m in RECONSTRUCTION[:3]]
            cells.append(bitrate_cell(results.find("bitrate", test_set, experiment=experiment), "combined"))
            table.rows.append((experiment, cells))
        table.note = bitrate_note(results.find("bitrate", test_set))
        tables.append(table)
    return tables


def reconstruction_tables(results: Results, test_sets: Sequence[str]) -> list[Table]:
    """Make a table of reconstruction for each codec and test set."""
    tables = []
    columns = ["Decoded from", *map(header, RECONSTRUCTION[:3]), "Bitrate (kbps)"]
    for test_set in results.test_sets(RECONSTRUCTION) or test_sets:
        for experiment in results.experiments(RECONSTRUCTION) or [""]:
            table = Table("Reconstruction", test_set, columns, experiment=experiment, key="reconstruction")
            rate = results.find("bitrate", test_set, experiment=experiment)
            known = decoded_from(results, test_set, experiment)
            for system, label in _rows(known, results, RECONSTRUCTION, test_set, experiment):
                if system.startswith("books_"):
                    continue  # these have a table of their own
                if system == "mean_spectrum":
                    own = results.find("mean_spectrum", test_set, experiment=experiment)
                    cells = [score_cell(own or results.find("mean_spectrum", test_set))] + [NOT_APPLICABLE] * 3
                else:
                    cells = [score_cell(results.find(m, test_set, system, experiment)) for m in RECONSTRUCTION[:3]]
                    cells.append(bitrate_cell(rate, system))
                table.rows.append((label, cells))
            table.note = bitrate_note(rate)
            tables.append(table)
    return tables


def probe_tables(results: Results, test_sets: Sequence[str]) -> list[Table]:
    """Make a table of the CTC probes for each test set."""
    tables = []
    for test_set in results.test_sets(PROBES) or test_sets:
        table = Table("CTC probes", test_set, ["The probe reads", *map(header, PROBES)], key="probes")
        for system, _ in _rows(probe_rows(results), results, PROBES, test_set):
            label = probe_label(system)
            found = {measure: results.find(measure, test_set, system) for measure in PROBES}
            runs = sorted({(item.experiment, item.recipe) for items in found.values() for item in items})
            if not runs:
                table.rows.append((label, [MISSING] * len(PROBES)))
            alone = len({experiment for experiment, _ in runs}) == 1
            for experiment, recipe in runs:
                parts = [] if alone else [experiment]
                if sum(other == experiment for other, _ in runs) > 1:
                    parts.append(recipe)
                cells = [
                    score_cell([item for item in items if (item.experiment, item.recipe) == (experiment, recipe)])
                    for items in found.values()
                ]
                table.rows.append((f"{label} ({', '.join(parts)})" if parts else label, cells))
        tables.append(table)
    return tables


def masked_tables(results: Results, test_sets: Sequence[str]) -> list[Table]:
    """Make a table of masked prediction for each set that it was measured on."""
    columns = ["Encoder", header("masked_accuracy"), "Most frequent target (%)", "Ratio ↑", "Targets used"]
    tables = []
    for test_set in results.test_sets(["masked_accuracy"]):
        table = Table("Masked prediction", test_set, columns, key="masked")
        for found in results.find("masked_accuracy", test_set):
            details = found.score.details
            control, times = details["most_frequent"], details["times_most_frequent"]
            cells = [
                score_cell([found]),
                replace(
                    detail_cell(found, "most_frequent", "mean", interval=control["ci95"], digits=1),
                    count=found.score.count,
                ),
                detail_cell(found, "times_most_frequent", "mean", interval=times["ci95"]),
                replace(
                    detail_cell(found, "targets_used", digits=0),
                    value=f"{details['targets_used']} (perplexity {details['target_perplexity']:.0f})",
                ),
            ]
            table.rows.append((found.experiment, cells))
        tables.append(table)
    return tables or [
        Table("Masked prediction", test_set, columns, [("Encoder", [MISSING] * 4)], key="masked")
        for test_set in test_sets[:1]
    ]


def codebook_tables(results: Results, test_sets: Sequence[str]) -> list[Table]:
    """Make a table of codebook use for each codec and test set."""
    columns = ["Codebook", "Entries used", "Perplexity", "Entropy (bit)", "Effective bitrate (kbps)"]
    tables = []
    for test_set in results.test_sets(["codebook"]) or test_sets:
        found = results.find("codebook", test_set)
        for item in found:
            table = Table("Codebooks", test_set, columns, experiment=item.experiment, key="codebooks")
            for index, book in enumerate(item.score.details["codebooks"]):
                at = ("codebooks", index)
                used = f"{book['used']} of {book['size']} ({100 * book['usage']:.0f}%)"
                cells = [
                    replace(detail_cell(item, *at, "used", digits=0), value=used),
                    detail_cell(item, *at, "perplexity", interval=book["perplexity_ci95"], digits=0),
                    detail_cell(item, *at, "entropy", interval=book["entropy_ci95"]),
                    detail_cell(item, *at, "effective_bitrate", scale=0.001, digits=3),
                ]
                table.rows.append((book_label(book), cells))
            table.rows.append(("All", [NOT_APPLICABLE] * 3 + [score_cell([item])]))
            tokens = item.score.details["codebooks"][0]["tokens"]
            table.note = f"From {tokens} tokens a codebook, which can show at most that many entries."
            tables.append(table)
        if not found:
            tables.append(Table("Codebooks", test_set, columns, [("All", [MISSING] * 4)], key="codebooks"))
    return tables


def book_label(book: dict[str, Any]) -> str:
    """Return what a codebook is called, counted from 1."""
    return f"{book['codebook'] + 1}: {book['stream']}"


def bitrate_note(found: Sequence[Found]) -> str:
    """Say what the tokens of these bitrates carry beside their codes, and of which codecs; empty where none do."""
    levelled = [item.experiment for item in found if item.score.details.get("loudness_bits")]
    of = "" if len(levelled) == len(found) else f" of {', '.join(levelled)}"
    return f"Bitrate{of}: {LOUDNESS_NOTE}." if levelled else ""


def bitrate_cell(found: Sequence[Found], system: str) -> Cell:
    """Show the bitrate of the streams that `system` is decoded from."""
    if not found:
        return MISSING
    if system in found[0].score.details["streams"]:
        return detail_cell(found[0], "streams", system)
    return replace(number_cell(found[0].score.mean), source=str(found[0].path), field="mean")


def _rows(
    known: dict[str, str],
    results: Results,
    measures: Sequence[str],
    test_set: str,
    experiment: str | None = None,
) -> list[tuple[str, str]]:
    """Return the known systems, then any other that was scored."""
    scored = {
        found.score.system
        for measure in measures
        for found in results.find(measure, test_set, experiment=experiment or None)
    }
    return [*known.items(), *((system, system) for system in sorted(scored - set(known), key=natural))]


def natural(name: str) -> list[Any]:
    """Key to sort names by, with numbers in them as numbers."""
    return [(part.isdecimal(), int(part) if part.isdecimal() else part) for part in re.split(r"(\d+)", name)]
