# Copyright 2026 The hasrd authors
# Apache-2.0
import json
import re
import shutil
import subprocess
import sys

import exp_tree
import pytest

from hasrd.metrics.scores import read_score

NUMBER = re.compile(r"-?\d+(?:\.(\d+))?")


def report(root, **options):
    out = root / "out" / "RESULTS.md"
    exp_tree.report(root, out_md=out, test_sets="test-clean", **options)
    return out


@pytest.fixture(scope="module")
def out(papers, tmp_path_factory):
    root = tmp_path_factory.mktemp("recorded")
    shutil.copytree(papers, root / "exp")
    return report(root)


def number_of(path, field):
    content = json.loads(path.read_text())
    for key in field.split("."):
        content = content[int(key)] if isinstance(content, list) else content[key]
    return content


def check(out):
    """Each cell is missing, the paper's, does not apply, or is the number that its file holds; return how many are."""
    found = 0
    record = json.loads(out.with_suffix(".json").read_text())
    for table in record["tables"]:
        for row in table["rows"]:
            assert len(row["cells"]) == len(table["columns"]) - 1
            for cell in row["cells"]:
                if "score" not in cell:
                    assert cell.get("paper") or cell["shown"] == ("missing" if cell.get("missing") else "–")
                    continue
                path = out.parent / cell["score"]
                shown = NUMBER.match(cell["shown"])
                if cell["field"]:
                    value = number_of(path, cell["field"])
                    digits = len(shown[1] or "")
                    # In kbps and in millions where the file has bit/s and single parameters.
                    same = {f"{scale * value:.{digits}f}" for scale in (1, 1e-3, 1e-6)}
                    assert shown[0] in same, (table["title"], row["label"], cell)
                if path.name != "info.json":
                    score = read_score(path)
                    facts = record["scores"][cell["score"]]
                    assert score.test_set == table["test_set"] == facts["test_set"]
                    assert (score.mean, score.count, score.versions) == (
                        facts["mean"], facts["count"], facts["versions"],
                    )  # fmt: skip
                    if cell["field"] == "mean" and "[" in cell["shown"]:
                        assert cell["shown"].endswith(f"(n={score.count})")
                assert all((out.parent / other).is_file() for other in cell.get("others", ()))
                found += 1
    return found


def test_every_cell_is_the_number_of_its_score_file(out):
    assert check(out) > 150


def test_a_real_experiment_too(exp):
    out = exp / "RESULTS.md"
    exp_tree.report(exp, out_md=out)
    assert check(out) > 50


def test_markdown_shows_what_the_record_says(out):
    text = out.read_text()
    record = json.loads(out.with_suffix(".json").read_text())
    for table in record["tables"]:
        of = f", {table['experiment']}" if table["experiment"] else ""
        section = text.partition(f"\n## {table['title']}: {table['test_set']}{of}\n")[2].partition("\n## ")[0]
        lines = [line.replace("*", "") for line in section.splitlines() if line.startswith("| ")]
        shown = [[row["label"], *(cell["shown"] for cell in row["cells"])] for row in table["rows"]]
        assert [line[2:-2].split(" | ") for line in lines[2:]] == shown
    parts = ("What holds", "Table 1", "Table 2", "Table 3", "Table 4", "Codecs")
    order = [text.index(f"\n## {part}") for part in parts]
    assert order == sorted(order)
    assert "| *DAC, 5 s segments (paper)* | *2.79* | *0.66* |" in text and "/tmp" not in text


def test_the_discussion_survives(paper_exp, tmp_path, monkeypatch, one_line):
    monkeypatch.chdir(tmp_path)
    heading = "\n## What to make of it\n\n"
    assert heading not in report(tmp_path).read_text()
    (tmp_path / "local").mkdir()
    (tmp_path / "local/discussion.md").write_text("Semantic tokens *win*.\n\n### By how much\n\nA lot.\n")
    html = tmp_path / "index.html"
    options = {"out_html": html, "num_examples": 0}
    first = report(tmp_path, **options).read_text()
    assert heading + "Semantic tokens *win*.\n\n### By how much\n\nA lot.\n\n## Table 1" in first
    # Written into the report itself, as before there was a file: not lost either.
    page = html.read_text()
    assert "<p>Semantic tokens *win*.</p>" in page and "<p>A lot.</p>" in page
    (tmp_path / "local/discussion.md").unlink()
    assert report(tmp_path, **options).read_text() == first
    (tmp_path / "other.md").write_text("## What to make of it\n\nNothing.\n")
    assert heading + "Nothing.\n\n## Table 1" in report(tmp_path, discussion="other.md").read_text()
    one_line("none.md: No such file", report, tmp_path, discussion="none.md")


def test_a_report_of_numbers_imports_nothing_slow(out):
    code = (
        "import sys, hasrd.bin.report as r; r.main(sys.argv[1:]);"
        "assert not {'torch', 'espnet2', 'matplotlib', 'scipy', 'soundfile'} & set(sys.modules)"
    )
    root = out.parents[1]
    subprocess.run(
        [sys.executable, "-c", code, "--expdir", root / "exp", "--corpus", "x", "--out_md", root / "again.md"],
        check=True, cwd=root,
    )  # fmt: skip
