# Copyright 2026 The hasrd authors
# Apache-2.0
"""The scores on a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping, Sequence

from hasrd.config import read_json
from hasrd.markdown import table_row
from hasrd.metrics.scores import MEASURES
from hasrd.models.card import CardScores
from hasrd.report.cells import score_cell
from hasrd.report.collect import Results, ScoreRow, collect
from hasrd.report.specification import header
from hasrd.report.streams import decoded_from, probe_label

# Measures whose rows are no systems of speech or probes: what they are of.
_WHOLE = {"bitrate": "All streams", "codebook": "All streams"}
# Of decoded speech, those that the card shows first: words, voice, sound.
_FIRST = ("recogniser_wer", "speaker_similarity", "mel")


def card_scores(exp_dir: Path, weights_sha256: str) -> CardScores:
    """Return what was measured: for each test set a short table, and one of all measures.

    Args:
        exp_dir: The experiment, whose score files are read; what was not scored is not on the card.
        weights_sha256: Of the packed weights: scores of other ones are left out.
    """
    results = collect([exp_dir])
    measures = [measure for measure in MEASURES if any(found.score.measure == measure for found in results.scores)]
    sets = results.test_sets(measures)
    if not sets:
        return CardScores((), "## Scores\n\nNone were measured.")
    lines, used = ["## Scores", "", "Means over utterances."], set()
    for test_set in sets:
        lines += ["", f"### {test_set}", ""]
        facts = exp_dir / "tokens" / test_set / "codes.json"
        scored = read_json(facts).get("model") if facts.is_file() else None
        if scored not in (None, weights_sha256):
            lines.append("Scored with other weights of this experiment than these: left out.")
            continue
        rows = {measure: results.find(measure, test_set) for measure in measures}
        used.update(measure for measure, found in rows.items() if found)
        lines += _short_table(results, {measure: rows[measure] for measure in _FIRST if rows.get(measure)})
        lines += ["<details><summary>All measures, with a 95% bootstrap interval over utterances and their number (n)"]
        lines += ["</summary>", "", "| measure | of | value |", "|---|---|---|"]
        for measure, found in rows.items():
            lines += [table_row((header(measure), _label(results, row), score_cell([row]).text)) for row in found]
        lines += ["", "</details>"]
    return CardScores(tuple(measure for measure in measures if measure in used), "\n".join(lines))


def _short_table(results: Results, columns: Mapping[str, Sequence[ScoreRow]]) -> list[str]:
    """Lines of a table with a row for each kind of decoded speech, of the measures that there are."""
    if not columns:
        return []
    cells = {
        measure: {_label(results, row): score_cell([row]).value for row in reversed(rows)}
        for measure, rows in columns.items()
    }
    labels = dict.fromkeys(_label(results, row) for rows in columns.values() for row in rows)
    lines = [table_row(("decoded from", *map(header, columns))), "|---" * (len(columns) + 1) + "|"]
    return [*lines, *(table_row((label, *(cells[m].get(label, "") for m in columns))) for label in labels), ""]


def _label(results: Results, found: ScoreRow) -> str:
    score = found.score
    speech = decoded_from(results, score.test_set, found.experiment)
    return _WHOLE.get(score.measure) or speech.get(score.system) or probe_label(score.system)
