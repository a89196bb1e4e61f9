# Copyright 2026 The hasrd authors
# Apache-2.0
"""Reports of all kinds of tables, cell by cell: golden/ holds what is made of the trees of golden_tree.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from golden_tree import SETS, golden_tree

from hasrd.bin.report import main

GOLDEN = Path(__file__).parent / "golden"
# What differs from machine to machine and from day to day.
_VARYING = ("- Date: ", "- Commit: ", "- Machine: ", "- Command: ")


def make(root: Path, name: str, *options: str) -> tuple[dict, str]:
    """Return RESULTS.json and RESULTS.md, without what varies."""
    golden_tree(root, name)
    out = root / "RESULTS.md"
    main(["--expdir", str(root / "exp"), "--datadir", str(root / "data"), "--corpus", "golden", "--out_md", str(out)]
         + ["--test_sets", *SETS, *options])  # fmt: skip
    lines = out.read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(_VARYING))
    return json.loads(out.with_suffix(".json").read_text()), text


@pytest.mark.parametrize("name", ["hasrd", "hac"])
def test_every_cell_of_a_whole_report(tmp_path, name):
    record, text = make(tmp_path, name)
    expected = json.loads((GOLDEN / f"{name}.json").read_text())
    for made, table in zip(record["tables"], expected["tables"]):
        assert made == table, (table["title"], table["test_set"], table["experiment"])
    assert record == expected
    assert text == (GOLDEN / f"{name}.md").read_text()


def write(root: Path) -> None:
    """Write the golden files anew, a line a row: for a change of what reports show, to be read as a diff."""
    for name in ("hasrd", "hac"):
        record, text = make(root / name, name)
        lines = json.dumps(record, ensure_ascii=False).replace('}, "', '},\n"').replace('{"label"', '\n{"label"')
        (GOLDEN / f"{name}.json").write_text(lines + "\n")
        (GOLDEN / f"{name}.md").write_text(text)
