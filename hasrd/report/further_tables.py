# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tables beyond the paper's: quality, recogniser, voice conversion, alignments, bitrates, spread of the probes. Each is
made where there is a score of it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterable, Mapping, Sequence

from hasrd.codec.streams import word_streams
from hasrd.metrics.bitrate import bitrate
from hasrd.metrics.scores import MEASURES
from hasrd.report.collect import Found, Results
from hasrd.report.paper_tables import spread_cell
from hasrd.report.streams import decoded_from, probe_label
from hasrd.report.tables import (
    MISSING,
    NOT_APPLICABLE,
    PROBES,
    Cell,
    Table,
    bitrate_cell,
    book_label,
    detail_cell,
    header,
    natural,
    number_cell,
    score_cell,
)

QUALITY = ("visqol", "pesq", "stoi", "dnsmos", "speaker_similarity", "ecapa_similarity")
# Those that a report without any of them would not miss: two more are in the table of reconstruction.
_QUALITY_ONLY = ("visqol", "pesq", "stoi", "dnsmos", "ecapa_similarity")
_NEED_REFERENCE = tuple(measure for measure in QUALITY if measure != "dnsmos")
RECOGNISER = ("recogniser_cer", "recogniser_wer")
CONVERSION = ("source_similarity", "target_similarity", "recogniser_wer")
ALIGNMENT = ("pnmi", "phone_purity", "cluster_purity", "word_f1")
RATE_QUALITY = ("mel", "stft", "visqol", "speaker_similarity")
_ALIGNMENT_COLUMNS = (
    (header("pnmi"), "pnmi", "value"),
    ("PNMI, shuffled", "pnmi", "shuffled"),
    ("PNMI without silence ↑", "pnmi", "without_silence", "value"),
    (header("phone_purity"), "phone_purity", "value"),
    (header("cluster_purity"), "cluster_purity", "value"),
    (header("word_f1"), "word_f1", "value"),
    ("F1, shuffled", "word_f1", "shuffled"),
    ("Words", "word_f1", "words"),
    ("Words with F1 ≥ 0.5 ↑", "word_f1", "good_words"),
)
ORIGINAL = "original"
_BOOKS = re.compile(r"books_(\d+)")
_BEST_WORDS = 10


def make_further_tables(results: Results) -> list[Table]:
    """Make every table that has a score."""
    return [
        *_system_tables(results, "Quality", "quality", QUALITY, _QUALITY_ONLY),
        *_system_tables(results, "A recogniser's errors", "recogniser", RECOGNISER, RECOGNISER),
        *_conversion_tables(results),
        *_rate_tables(results),
        *_alignment_tables(results),
        *_word_tables(results),
        *_crop_tables(results),
        *_spread_tables(results),
    ]


def _system_tables(
    results: Results, title: str, key: str, measures: Sequence[str], needed: Sequence[str]
) -> list[Table]:
    """Make a table of all systems of all codecs, the original speech first."""
    tables = []
    for test_set in results.test_sets(needed):
        table = Table(title, test_set, ["Speech", *map(header, measures)], key=key, note=_sources(results, measures))
        scored = [item for measure in measures for item in results.find(measure, test_set)]
        original = [
            # The original needs no comparison with itself.
            NOT_APPLICABLE if measure in _NEED_REFERENCE else score_cell(results.find(measure, test_set, ORIGINAL))
            for measure in measures
        ]
        table.rows.append(("Original speech", original))
        experiments = sorted({item.experiment for item in scored if item.score.system != ORIGINAL})
        for experiment in experiments:
            labels = {**decoded_from(results, test_set, experiment), "combined": "All streams"}
            labels["conversion"] = "Converted to another voice"
            for system in _systems((item for item in scored if item.experiment == experiment), labels):
                label = labels.get(system, system)
                if len(experiments) > 1:
                    label = f"{experiment}: {label[0].lower()}{label[1:]}"
                cells = [score_cell(results.find(measure, test_set, system, experiment)) for measure in measures]
                table.rows.append((label, cells))
        tables.append(table)
    return tables


def _systems(found: Iterable[Found], labels: Iterable[str]) -> list[str]:
    """Return the systems in the order of the labels; speech of the first n codebooks has a table of its own."""
    systems = {item.score.system for item in found} - {ORIGINAL}
    known = [system for system in labels if system in systems]
    return known + sorted(system for system in systems - set(known) if not _BOOKS.fullmatch(system))


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


def _conversion_tables(results: Results) -> list[Table]:
    tables = []
    for test_set in results.test_sets(CONVERSION[:2]):
        scored = [item for measure in CONVERSION[:2] for item in results.find(measure, test_set)]
        for experiment in sorted({item.experiment for item in scored}):
            table = Table(
                "Voice conversion", test_set, ["Speech", *map(header, CONVERSION)], experiment=experiment,
                key="conversion", note=_sources(results, CONVERSION[:2]),
            )  # fmt: skip
            for system, label in (("conversion", "Converted"), ("combined", "Not converted: all streams")):
                cells = [score_cell(results.find(measure, test_set, system, experiment)) for measure in CONVERSION]
                table.rows.append((label, cells))
            recorded = results.find("target_similarity", test_set, "conversion", experiment)[:1]
            between = [detail_cell(found, "between_source_and_target") for found in recorded] or [MISSING]
            heard = score_cell(results.find("recogniser_wer", test_set, ORIGINAL))
            table.rows.append(("Recording of the source", [NOT_APPLICABLE, *between, heard]))
            tables.append(table)
    return tables


def _rate_tables(results: Results) -> list[Table]:
    """Make a table of quality over the number of codebooks for each codec."""
    tables = []
    columns = ["Codebooks", "Bitrate (kbps)", *map(header, RATE_QUALITY)]
    for test_set in results.test_sets(RATE_QUALITY):
        scored = [item for measure in RATE_QUALITY for item in results.find(measure, test_set)]
        for experiment in sorted({item.experiment for item in scored}):
            systems = {item.score.system for item in scored if item.experiment == experiment}
            numbers = sorted(int(match[1]) for match in map(_BOOKS.fullmatch, systems) if match)
            if not numbers:
                continue
            table = Table("Quality by bitrate", test_set, columns, experiment=experiment, key="rate_quality")
            rate = results.find("bitrate", test_set, experiment=experiment)
            for number in numbers:
                cells = [score_cell(results.find(m, test_set, f"books_{number}", experiment)) for m in RATE_QUALITY]
                table.rows.append((str(number), [_rate_of(rate, number), *cells]))
            if not rate or numbers[-1] < len(rate[0].score.details["codebook_sizes"]):
                cells = [score_cell(results.find(m, test_set, "combined", experiment)) for m in RATE_QUALITY]
                table.rows.append(("All", [bitrate_cell(rate, "combined"), *cells]))
            table.note = "Decoded from the first codebooks alone; those that are not acoustic come first."
            tables.append(table)
    return tables


def _rate_of(found: Sequence[Found], number: int) -> Cell:
    if not found:
        return MISSING
    details = found[0].score.details
    rate = bitrate(details["frame_rate"], details["codebook_sizes"][:number]) / 1000
    return replace(number_cell(rate), source=str(found[0].path))


def _alignment_tables(results: Results) -> list[Table]:
    """Make a table of what each codebook says of phones and words."""
    tables = []
    columns = ["Codebook", "Entries", *(column for column, *_ in _ALIGNMENT_COLUMNS)]
    for test_set in results.test_sets(ALIGNMENT):
        scored = [item for measure in ALIGNMENT for item in results.find(measure, test_set)]
        for experiment in sorted({item.experiment for item in scored}):
            found = [item for item in scored if item.experiment == experiment]
            table = Table("Phones and words", test_set, columns, experiment=experiment, key="alignment")
            # Words may have been scored for the first codebooks alone.
            widest = max(found, key=lambda item: len(item.score.details["codebooks"]))
            for index, book in enumerate(widest.score.details["codebooks"]):
                cells = [detail_cell(widest, "codebooks", index, "size", digits=0)]
                for _, measure, *keys in _ALIGNMENT_COLUMNS:
                    of = [item for item in found if item.score.measure == measure]
                    cells.append(_book_cell(of, index, keys))
                table.rows.append((book_label(book), cells))
            table.note = (
                "Shuffled: the same codes shuffled in time over the set. A larger codebook has a higher PNMI and phone "
                "purity by chance alone: compare those of one size, and each with its shuffled value. "
                + _sources(results, ALIGNMENT)
            )
            tables.append(table)
    return tables


def _book_cell(found: Sequence[Found], index: int, keys: Sequence[str]) -> Cell:
    if not found or index >= len(found[0].score.details["codebooks"]):
        return MISSING
    at = found[0].score.details["codebooks"][index]
    for key in keys[:-1]:
        at = at.get(key, {})
    interval = at.get("ci95") if keys[-1] == "value" else None
    digits = 0 if isinstance(at.get(keys[-1]), int) else 3
    return detail_cell(found[0], "codebooks", index, *keys, digits=digits, interval=interval)


def _word_tables(results: Results) -> list[Table]:
    """Make a table of the words that a code of a stream's first codebook detects best, of each stream that is not
    acoustic; of a codec of acoustic tokens alone, of its first codebook.
    """
    tables = []
    columns = ["F1 ↑", "Precision", "Recall", "Occurrences", "Code"]
    for test_set in results.test_sets(["word_f1"]):
        for found in results.find("word_f1", test_set):
            books = found.score.details["codebooks"]
            names = [book["stream"] for book in books]
            for place in [names.index(stream) for stream in word_streams(names)] or [0]:
                book = books[place]
                first = f"Word, by codebook {book_label(book)}"
                table = Table(
                    "Best detected words", test_set, [first, *columns], experiment=found.experiment, key="words"
                )
                for index, word in enumerate(book.get("best_words", [])[:_BEST_WORDS]):
                    at = ("codebooks", place, "best_words", index)
                    cells = [detail_cell(found, *at, name) for name in ("f1", "precision", "recall")]
                    cells += [detail_cell(found, *at, name, digits=0) for name in ("occurrences", "code")]
                    table.rows.append((word["word"], cells))
                table.note = f"By a code of codebook {book_label(book)}, chosen on the training set."
                if table.rows:
                    tables.append(table)
    return tables


def _crop_tables(results: Results) -> list[Table]:
    """Make a table of how often the tokens of a crop are those of the whole utterance."""
    tables = []
    columns = ["Codebook", header("crop_agreement"), "Away from the crop's ends (%) ↑", "By chance (%)"]
    for test_set in results.test_sets(["crop_agreement"]):
        for found in results.find("crop_agreement", test_set):
            table = Table("Tokens of crops", test_set, columns, experiment=found.experiment, key="crops")
            for index, book in enumerate(found.score.details["codebooks"]):
                cells = [
                    detail_cell(found, "codebooks", index, name, digits=1, interval=book.get(interval))
                    for name, interval in (("value", "ci95"), ("inner_value", "inner_ci95"), ("chance", ""))
                ]
                table.rows.append((book_label(book), cells))
            table.note = _sources(results, ["crop_agreement"])
            tables.append(table)
    return tables


def _spread_tables(results: Results) -> list[Table]:
    """Make a table of the probes that were run with several seeds."""
    tables = []
    for test_set in results.test_sets(PROBES):
        table = Table("Probes with other seeds", test_set, ["The probe reads", *map(header, PROBES)], key="spread")
        runs: dict[tuple[str, str, str], dict[str, list[Found]]] = {}
        for measure in PROBES:
            for item in results.find(measure, test_set, run=None):
                of = (item.score.system, item.experiment, item.recipe)
                runs.setdefault(of, {}).setdefault(measure, []).append(item)
        repeated = [of for of, found in runs.items() if max(map(len, found.values())) > 1]
        for of in sorted(repeated, key=lambda of: [natural(part) for part in of]):
            system, experiment, _ = of
            cells = [spread_cell(runs[of].get(measure, []), 2 if measure == "ctc_loss" else 1) for measure in PROBES]
            table.rows.append((f"{probe_label(system)} ({experiment})", cells))
        if table.rows:
            table.note = "Mean and standard deviation of the test set's value over runs, the main one among them."
            tables.append(table)
    return tables
