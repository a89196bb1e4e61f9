# Copyright 2026 The hasrd authors
# Apache-2.0
"""RESULTS.md: the tables of the page, for reading in the repository."""

from __future__ import annotations

from typing import Sequence

from hasrd.markdown import table_row
from hasrd.report.cells import Cell, Table
from hasrd.report.claims import Claim

DISCUSSION = "## What to make of it"
LEGEND = (
    "Values are means, with a 95% bootstrap interval over utterances and their number. *In italics: the papers' own "
    "numbers* (HASRD, arXiv 2506.00843: LibriSpeech test-clean; of levels HAC, arXiv 2506.15456; their own training). "
    "{record} names the score file of each cell, with its test set, count and versions."
)


def markdown(
    title: str,
    facts: Sequence[tuple[str, str]],
    claims: Sequence[Claim],
    tables: Sequence[Table],
    discussion: str = "",
    record: str = "RESULTS.json",
) -> str:
    """Return the report as Markdown: facts, what holds, the discussion, and one section a table, each with its test
    set.

    Args:
        discussion: What people write about it, Markdown, with or without its heading.
        record: Name of the file that says where each cell comes from.
    """
    lines = [f"# {title}", "", *(f"- {name}: {value}" for name, value in facts), "", LEGEND.format(record=record)]
    if claims:
        lines += ["", "## What holds", "", "| claim | test set | measured | verdict |", "|---|---|---|---|"]
    for claim in claims:
        lines.append(table_row([claim.text, claim.test_set, claim.evidence or "missing", claim.verdict]))
    discussion = discussion.strip()
    if discussion:
        lines += ["", *([] if discussion.startswith("#") else [DISCUSSION, ""]), discussion]
    for table in tables:
        of = f", {table.experiment}" if table.experiment else ""
        lines += ["", f"## {table.title}: {table.test_set}{of}", ""]
        lines += [table_row(table.columns), table_row(["---"] * len(table.columns))]
        lines += [_row(label, cells) for label, cells in table.rows]
        if table.note:
            lines += ["", table.note]
    return "\n".join(lines) + "\n"


def discussion_in(text: str) -> str:
    """Return the discussion that a report holds, without its heading; "" if there is none."""
    _, heading, rest = text.partition(f"\n{DISCUSSION}\n")
    return rest.partition("\n## ")[0].strip() if heading else ""


def _row(label: str, cells: Sequence[Cell]) -> str:
    return table_row([f"*{label}*" if any(cell.paper for cell in cells) else label, *map(_text, cells)])


def _text(cell: Cell) -> str:
    return f"*{cell.text}*" if cell.paper else cell.text
