# Copyright 2026 The hasrd authors
# Apache-2.0
"""RESULTS.md: the tables of the page, for reading in the repository."""

from __future__ import annotations

from typing import Sequence

from hasrd.report.claims import Claim
from hasrd.report.tables import Table


def markdown(
    title: str, facts: Sequence[tuple[str, str]], claims: Sequence[Claim], tables: Sequence[Table]
) -> str:
    """Return the report as Markdown: facts, what holds, and one section a table, each with its test
    set.
    """
    lines = [f"# {title}", ""]
    lines += [f"- {name}: {value}" for name, value in facts]
    lines += [
        "",
        "Values are means, with a 95% bootstrap interval over utterances and their number.",
    ]
    lines += [
        "",
        "## What holds",
        "",
        "| claim | test set | measured | verdict |",
        "|---|---|---|---|",
    ]
    lines += [
        _line([claim.text, claim.test_set, claim.evidence or "missing", claim.verdict])
        for claim in claims
    ]
    for table in tables:
        of = f", {table.experiment}" if table.experiment else ""
        lines += ["", f"## {table.title}: {table.test_set}{of}", ""]
        lines += [_line(table.columns), _line(["---"] * len(table.columns))]
        lines += [_line([label, *(cell.text for cell in cells)]) for label, cells in table.rows]
        if table.note:
            lines += ["", table.note]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
