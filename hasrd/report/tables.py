# Copyright 2026 The hasrd authors
# Apache-2.0
"""The tables of a report: rows and columns known beforehand, so that a missing score is seen as
missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Sequence

from hasrd.metrics.scores import MEASURES, Score
from hasrd.report.collect import Found, Results

# System to label, in the order of the rows.
RECONSTRUCTION_ROWS = {
    "combined": "Combined: all streams",
    "semantic": "Semantic stream only",
    "acoustic": "Acoustic streams only",
    "shuffled": "Combined, acoustic tokens shuffled in time",
    "mean_spectrum": "Constant mean spectrum",
}
# Those that need a codec with more than one stream.
SPLIT = ("semantic", "acoustic", "shuffled")
PROBE_ROWS = {
    "log_mel": "Log-mel",
    "latent": "Latents",
    "latent_shuffled": "Latents shuffled in time",
    "tokens_semantic": "Semantic tokens",
    "tokens_acoustic": "Acoustic tokens",
    "tokens_all": "All tokens",
}
RECONSTRUCTION = ("mel", "stft", "speaker_similarity", "mean_spectrum")
PROBES = ("cer", "wer", "ctc_loss")
_DIGITS = {"%": 1}


@dataclass(frozen=True)
class Cell:
    """One entry: a value with its interval and count, or none of them."""

    value: str = "missing"
    interval: str = ""
    count: int | None = None
    missing: bool = True

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
    """

    title: str
    test_set: str
    columns: list[str]
    rows: list[tuple[str, list[Cell]]] = field(default_factory=list)
    experiment: str = ""
    note: str = ""


def score_cell(score: Score) -> Cell:
    """Show a score with its interval and count."""
    digits = _DIGITS.get(score.unit, 2)
    return number_cell(score.mean, score.ci95, score.count, digits)


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


def decoded_from(results: Results, test_set: str, experiment: str) -> dict[str, str]:
    """Return the rows of a codec: one of a single stream has no other than the combined one."""
    rate = one(results.find("bitrate", test_set, experiment=experiment))
    if rate is None or len(rate.details["streams"]) > 1:
        return RECONSTRUCTION_ROWS
    return {system: label for system, label in RECONSTRUCTION_ROWS.items() if system not in SPLIT}


def codec_tables(results: Results, test_sets: Sequence[str]) -> list[Table]:
    """Make a table of all codecs for each test set, where there are several to compare."""
    tables = []
    for test_set in results.test_sets(["mel"]) or test_sets:
        found = [item.experiment for item in results.find("mel", test_set, "combined")]
        if len(found) < 2:
            continue
        table = Table("Codecs", test_set, ["Codec", *map(header, RECONSTRUCTION[:3]), "Bitrate (kbps)"])
        for experiment in sorted(found):
            scores = [one(results.find(measure, test_set, "combined", experiment)) for measure in RECONSTRUCTION[:3]]
            cells = [score_cell(score) if score else MISSING for score in scores]
            cells.append(_bitrate(one(results.find("bitrate", test_set, experiment=experiment)), "combined"))
            table.rows.append((experiment, cells))
        tables.append(table)
    return tables


def reconstruction_tables(results: Results, test_sets: Sequence[str]) -> list[Table]:
    """Make a table of reconstruction for each codec and test set."""
    tables = []
    for test_set in results.test_sets(RECONSTRUCTION) or test_sets:
        for experiment in results.experiments(RECONSTRUCTION) or [""]:
            table = Table(
                "Reconstruction",
                test_set,
                [
                    "Decoded from",
                    *map(header, ("mel", "stft", "speaker_similarity")),
                    "Bitrate (kbps)",
                ],
                experiment=experiment,
            )
            rate = one(results.find("bitrate", test_set, experiment=experiment))
            known = decoded_from(results, test_set, experiment)
            for system, label in _rows(known, results, RECONSTRUCTION, test_set, experiment):
                if system == "mean_spectrum":
                    score = one(results.find("mean_spectrum", test_set))
                    cells = [score_cell(score) if score else MISSING] + [NOT_APPLICABLE] * 3
                else:
                    scores = [
                        one(results.find(measure, test_set, system, experiment))
                        for measure in RECONSTRUCTION[:3]
                    ]
                    cells = [score_cell(score) if score else MISSING for score in scores]
                    cells.append(_bitrate(rate, system))
                table.rows.append((label, cells))
            tables.append(table)
    return tables


def probe_tables(results: Results, test_sets: Sequence[str]) -> list[Table]:
    """Make a table of the CTC probes for each test set."""
    tables = []
    for test_set in results.test_sets(PROBES) or test_sets:
        table = Table("CTC probes", test_set, ["The probe reads", *map(header, PROBES)])
        for system, label in _rows(PROBE_ROWS, results, PROBES, test_set):
            found = [item for measure in PROBES for item in results.find(measure, test_set, system)]
            experiments = sorted({item.experiment for item in found})
            for experiment in experiments or [None]:
                scores = [
                    one(results.find(measure, test_set, system, experiment)) for measure in PROBES
                ]
                name = f"{label} ({experiment})" if len(experiments) > 1 else label
                table.rows.append(
                    (name, [score_cell(score) if score else MISSING for score in scores])
                )
        tables.append(table)
    return tables


def masked_tables(results: Results, test_sets: Sequence[str]) -> list[Table]:
    """Make a table of masked prediction for each set that it was measured on."""
    columns = [
        "Encoder",
        header("masked_accuracy"),
        "Most frequent target (%)",
        "Ratio ↑",
        "Targets used",
    ]
    tables = []
    for test_set in results.test_sets(["masked_accuracy"]):
        table = Table("Masked prediction", test_set, columns)
        for found in results.find("masked_accuracy", test_set):
            details = found.score.details
            cells = [
                score_cell(found.score),
                number_cell(
                    details["most_frequent"]["mean"],
                    details["most_frequent"]["ci95"],
                    found.score.count,
                    1,
                ),
                number_cell(
                    details["times_most_frequent"]["mean"], details["times_most_frequent"]["ci95"]
                ),
                Cell(
                    f"{details['targets_used']} (perplexity {details['target_perplexity']:.0f})",
                    missing=False,
                ),
            ]
            table.rows.append((found.experiment, cells))
        tables.append(table)
    return tables or [
        Table("Masked prediction", test_set, columns, [("Encoder", [MISSING] * 4)])
        for test_set in test_sets[:1]
    ]


def codebook_tables(results: Results, test_sets: Sequence[str]) -> list[Table]:
    """Make a table of codebook use for each codec and test set."""
    columns = [
        "Codebook",
        "Entries used",
        "Perplexity",
        "Entropy (bit)",
        "Effective bitrate (kbps)",
    ]
    tables = []
    for test_set in results.test_sets(["codebook"]) or test_sets:
        found = results.find("codebook", test_set)
        for item in found:
            table = Table("Codebooks", test_set, columns, experiment=item.experiment)
            for book in item.score.details["codebooks"]:
                cells = [
                    Cell(
                        f"{book['used']} of {book['size']} ({100 * book['usage']:.0f}%)",
                        missing=False,
                    ),
                    number_cell(book["perplexity"], book["perplexity_ci95"], digits=0),
                    number_cell(book["entropy"], book["entropy_ci95"]),
                    number_cell(book["effective_bitrate"] / 1000, digits=3),
                ]
                table.rows.append((f"{book['codebook'] + 1}: {book['stream']}", cells))
            table.rows.append(("All", [NOT_APPLICABLE] * 3 + [score_cell(item.score)]))
            tokens = item.score.details["codebooks"][0]["tokens"]
            table.note = (
                f"From {tokens} tokens a codebook, which can show at most that many entries."
            )
            tables.append(table)
        if not found:
            tables.append(Table("Codebooks", test_set, columns, [("All", [MISSING] * 4)]))
    return tables


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
    return [*known.items(), *((system, system) for system in sorted(scored - set(known)))]


def _bitrate(score: Score | None, system: str) -> Cell:
    """Return the bitrate of the streams that `system` is decoded from."""
    if score is None:
        return MISSING
    streams = score.details["streams"]
    if system == "semantic":
        rate = streams.get("semantic")
        return MISSING if rate is None else number_cell(rate)
    if system == "acoustic":
        return number_cell(score.mean - streams.get("semantic", 0.0))
    return number_cell(score.mean)
