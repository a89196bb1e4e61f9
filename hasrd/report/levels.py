# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the streams of HAC, and of the codecs beside it, say of phones and words, in all and language by language."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Sequence

from hasrd.config import parse_yaml
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.report.collect import Found, Results
from hasrd.report.paper import paper_tables, row_key
from hasrd.report.paper_tables import of_paper
from hasrd.report.streams import LEVELS, streams_of
from hasrd.report.tables import MISSING, Cell, Table, detail_cell, header
from hasrd.teacher.targets import read_facts

NO_ANSWER = Cell("n/a", missing=False)
# What a measure needs.
ALIGNMENT = {"pnmi": "phones", "phone_purity": "phones", "word_f1": "words"}
# Header, measure, what it says of a codebook.
_COLUMNS = (
    ("Entries", "", "size"),
    (header("pnmi"), "pnmi", "value"),
    ("PNMI, shuffled", "pnmi", "shuffled"),
    (header("phone_purity"), "phone_purity", "value"),
    (header("word_f1"), "word_f1", "value"),
    ("F1, shuffled", "word_f1", "shuffled"),
    ("Words", "word_f1", "words"),
    ("Words with F1 ≥ 0.5 ↑", "word_f1", "good_words"),
)
_MEAN = "mean_of_languages"
# The key with all that is indented below it.
_DISTILLATION = re.compile(r"^distillation:.*\n(?:(?:[ \t#].*)?\n)*", re.MULTILINE)
Row = tuple[str, list[Cell]]


def has_levels(results: Results) -> bool:
    """Say whether a codec has a stream of HAC's."""
    rates = [item.score.details["streams"] for item in results.scores if item.score.measure == "bitrate"]
    return any(set(LEVELS) & set(streams) for streams in rates)


def level_tables(results: Results, data: Path) -> list[Table]:
    """Make a table of the streams of all codecs for each set, where a codec has levels.

    Args:
        data: Folder with the sets' data directories, which say what a set has alignments of, and its languages.

    Raises:
        UserError: A damaged utt2lang.
    """
    tables: list[Table] = []
    sets = results.test_sets(["bitrate"]) if has_levels(results) else []
    paper = paper_tables()["levels"]
    for test_set in sets:
        table = Table(paper.title, test_set, ["Stream", *(column for column, *_ in _COLUMNS)], key="levels")
        maker = _Maker(results, test_set, data / test_set)
        codecs = {item.experiment for item in results.find("bitrate", test_set)} - results.peers
        for row in paper.rows:
            own = sorted(name for name in codecs if row_key(name) in row.keys)
            for name in own:
                table.rows += maker.rows(name, f"{row.label}: {name}" if len(own) > 1 else row.label)
            if row.paper:
                table.rows += of_paper(row, [f"{measure}_{key}" for _, measure, key in _COLUMNS], test_set, sets)
            codecs -= set(own)
        for name in sorted(codecs):
            table.rows += maker.rows(name, name)
        table.note = " ".join(filter(None, [paper.note if not tables else "", *maker.reasons]))
        tables.append(table)
    return tables


@dataclass
class _Maker:
    """Makes the rows of a set's codecs, and keeps why there is no answer where there is none."""

    results: Results
    test_set: str
    data: Path
    reasons: dict[str, None] = field(default_factory=dict)

    def rows(self, experiment: str, label: str) -> list[Row]:
        """Return rows of each stream: of all speech, of each language, and of their mean."""
        found = {measure: self.results.find(measure, self.test_set, experiment=experiment) for measure in ALIGNMENT}
        path = self.data / "utt2lang"
        languages = sorted(set(read_table(path).values())) if path.is_file() else []
        rows = []
        for stream in streams_of(self.results, self.test_set, experiment):
            rows.append((f"{label}, {stream}", self._cells(found, stream)))
            if len(languages) < 2:
                continue
            taught = _languages_of_teacher(self.results.folders[experiment] / "config.yaml", stream)
            for language in languages:
                if taught and language not in taught:
                    self.reasons[f"{stream}, {language}: n/a, its teacher knows {', '.join(taught)} alone."] = None
                    cells = [NO_ANSWER] * len(_COLUMNS)
                else:
                    cells = self._cells(found, stream, "languages", language)
                rows.append((f"{label}, {stream}: {language}", cells))
            averaged = any(items and items[0].score.details.get(_MEAN) for items in found.values())
            if averaged and set(languages) <= set(taught or languages):
                rows.append((f"{label}, {stream}: mean of languages", self._cells(found, stream, _MEAN)))
        return rows

    def _cells(self, found: dict[str, list[Found]], stream: str, *place: str) -> list[Cell]:
        cells = [self._cell(found[measure], measure, stream, key, *place) for _, measure, key in _COLUMNS[1:]]
        # Both kinds of measures have the size.
        sizes = [self._cell(items, measure, stream, "size", *place) for measure, items in found.items()]
        return [next((cell for cell in sizes if cell.source), sizes[0]), *cells]

    def _cell(self, items: Sequence[Found], measure: str, stream: str, key: str, *place: str) -> Cell:
        """Show a number of the codebook of a stream that has the highest value of a measure.

        Args:
            place: In the details, where the codebooks lie.
        """
        if not items:
            kind = ALIGNMENT[measure]
            if not self.data.is_dir() or (self.data / f"{kind}.ctm").is_file():
                return MISSING
            return self._no_answer(f"{measure_label(measure)}: n/a, there is no alignment of {kind}.")
        at: Any = items[0].score.details
        for part in place:
            at = at.get(part, {})
        if "left_out" in at:
            return self._no_answer(f"{measure_label(measure)}, {place[-1]}: n/a, {at['left_out']}.")
        books = [(index, book) for index, book in enumerate(at.get("codebooks", [])) if book["stream"] == stream]
        if not books:
            return MISSING
        index, book = max(books, key=lambda item: item[1]["value"])
        digits = 0 if isinstance(book.get(key), int) else 3
        interval = book.get("ci95") if key == "value" else None
        return detail_cell(items[0], *place, "codebooks", index, key, digits=digits, interval=interval)

    def _no_answer(self, reason: str) -> Cell:
        self.reasons[reason] = None
        return NO_ANSWER


def measure_label(measure: str) -> str:
    """Return what a measure is called."""
    return header(measure).rpartition(" ")[0]


def _languages_of_teacher(config: Path, level: str) -> list[str]:
    """Return the languages that the teacher of a codec's level knows; [] where nothing says that it knows but some."""
    try:
        block = _DISTILLATION.search(config.read_text(encoding="utf-8", errors="replace"))
        targets = parse_yaml(block[0], config)["distillation"][level]["targets"]
        return read_facts(Path(targets[0])).get("languages") or []
    except (OSError, UserError, KeyError, TypeError, IndexError):
        # A level without a teacher, one that is no longer there, or that knows all.
        return []
