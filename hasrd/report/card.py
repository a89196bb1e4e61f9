# Copyright 2026 The hasrd authors
# Apache-2.0
"""The scores on a model card."""

from __future__ import annotations

from pathlib import Path

from hasrd.config import read_json
from hasrd.markdown import table_row
from hasrd.metrics.scores import MEASURES
from hasrd.report.cells import score_cell
from hasrd.report.collect import Results, ScoreRow, collect
from hasrd.report.specification import header
from hasrd.report.streams import decoded_from, probe_label

# Measures whose rows are no systems of speech or probes: what they are of.
_WHOLE = {"bitrate": "All streams", "codebook": "All streams"}


def score_section(exp_dir: Path, weights_sha256: str) -> str:
    """Return the section as Markdown: a table for each test set that the experiment has scores of.

    Args:
        exp_dir: The experiment, whose score files are read; what was not scored is not on the card.
        weights_sha256: Of the packed weights: scores of other ones are left out.
    """
    results = collect([exp_dir])
    measures = [measure for measure in MEASURES if any(found.score.measure == measure for found in results.scores)]
    sets = results.test_sets(measures)
    if not sets:
        return "## Scores\n\nNone were measured."
    lines = ["## Scores", "", "Means, with a 95% bootstrap interval over utterances and their number (n)."]
    for test_set in sets:
        lines += ["", f"### {test_set}", ""]
        facts = exp_dir / "tokens" / test_set / "codes.json"
        scored = read_json(facts).get("model") if facts.is_file() else None
        if scored not in (None, weights_sha256):
            lines.append("Scored with other weights of this experiment than these: left out.")
            continue
        lines += ["| measure | of | value |", "|---|---|---|"]
        for measure in measures:
            for found in results.find(measure, test_set):
                cells = (header(measure), _label(results, found), score_cell([found]).text)
                lines.append(table_row(cells))
    return "\n".join(lines)


def _label(results: Results, found: ScoreRow) -> str:
    score = found.score
    speech = decoded_from(results, score.test_set, found.experiment)
    return _WHOLE.get(score.measure) or speech.get(score.system) or probe_label(score.system)
