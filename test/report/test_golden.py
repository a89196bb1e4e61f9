# Copyright 2026 The hasrd authors
# Apache-2.0
"""Reports of all kinds of tables, cell by cell: golden/ holds what is made of the trees of golden_tree.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from exp_tree import report
from golden_tree import SETS, golden_tree

GOLDEN = Path(__file__).parent / "golden"
# Columns of what is known of a codec whether or not it was measured.
KNOWN = ("Bitrate (kbps)", "Parameters (M)")
# What differs from machine to machine and from day to day.
_VARYING = ("- Date: ", "- Commit: ", "- Machine: ", "- Command: ")


def make(root: Path, name: str, **options: str) -> tuple[dict, str]:
    """Return RESULTS.json and RESULTS.md, without what varies."""
    golden_tree(root, name)
    out = root / "RESULTS.md"
    report(root, corpus="golden", out_md=out, test_sets=SETS, **options)
    lines = out.read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(_VARYING))
    return json.loads(out.with_suffix(".json").read_text()), text


@pytest.mark.parametrize("name", ["hasrd", "hac"])
def test_every_cell_of_a_whole_report(tmp_path, name):
    record, text = make(tmp_path, name, all_tables="true")
    expected = json.loads((GOLDEN / f"{name}.json").read_text())
    for made, table in zip(record["tables"], expected["tables"]):
        assert made == table, (table["title"], table["test_set"], table["experiment"])
    assert record == expected
    assert text == (GOLDEN / f"{name}.md").read_text()


def by_place(record: dict) -> dict[tuple, dict]:
    """Return table, row and column to cell."""
    return {
        (*(table[key] for key in ("title", "test_set", "experiment")), table["columns"][0], row["label"], column): cell
        for table in record["tables"]
        for row in table["rows"]
        for column, cell in zip(table["columns"][1:], row["cells"], strict=True)
    }


@pytest.mark.parametrize("name", ["hasrd", "hac"])
def test_what_was_not_measured_is_not_shown(tmp_path, name):
    """All that comes from a score file is, as it was; no row and no column of ours in which all is missing."""
    record, text = make(tmp_path, name)
    whole = json.loads((GOLDEN / f"{name}.json").read_text())
    shown, expected = by_place(record), by_place(whole)
    assert shown.items() <= expected.items() and record["scores"].items() <= whole["scores"].items()
    # Bitrate and size say nothing of a row of which nothing else is known.
    measured = {place[:-1] for place, cell in expected.items() if "score" in cell and place[-1] not in KNOWN}
    assert {place for place, cell in expected.items() if "score" in cell and place[:-1] in measured} <= set(shown)
    for table in record["tables"]:
        ours = [row["cells"] for row in table["rows"] if not row["cells"][0].get("paper")]
        kept = [index for index, column in enumerate(table["columns"][1:]) if column not in KNOWN]
        for cells in [*([row[index] for index in kept] for row in ours), *zip(*ours)]:
            assert any(cell["shown"] not in ("missing", "–") for cell in cells), table["title"]
        # The paper's rows stand beside ours alone.
        labels = [row["label"] for row in table["rows"]]
        for index, label in enumerate(labels):
            assert not label.endswith(" (paper)") or labels[index - 1].startswith(label.removesuffix(" (paper)"))
    assert "| missing |\n" not in text.partition("\n## ")[2].partition("\n## ")[0]


def write(root: Path) -> None:
    """Write the golden files anew, a line a row: for a change of what reports show, to be read as a diff."""
    for name in ("hasrd", "hac"):
        record, text = make(root / name, name, all_tables="true")
        lines = json.dumps(record, ensure_ascii=False).replace('}, "', '},\n"').replace('{"label"', '\n{"label"')
        (GOLDEN / f"{name}.json").write_text(lines + "\n")
        (GOLDEN / f"{name}.md").write_text(text)
