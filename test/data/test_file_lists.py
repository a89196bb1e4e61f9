# Copyright 2026 The hasrd authors
# Apache-2.0
"""Which path of a command line is OUT, and where results go."""

from __future__ import annotations

from pathlib import Path

import pytest

from hasrd.data.file_lists import Kind, list_batches, split_out

KIND = Kind("turn", "things", (".a", ".b"), (".a", ".b"), "a.scp", (".c", ".d"), "c.scp")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("x.a", "y.b", "in/x.a", "in/sub/y.B", "in/.hidden.a", "other/sub/y.a", "set/z.a"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("")
    Path("set/a.scp").write_text("u1 x.a\nu2 y.b\n")
    Path("there").mkdir()
    return tmp_path


def targets(paths: str, out: str | None) -> dict[str, list[str]]:
    batches = list_batches([Path(path) for path in paths.split()], None if out is None else Path(out), KIND)
    return {str(batch.folder): [str(job.target) for job in batch.jobs] for batch in batches}


@pytest.mark.parametrize(
    ("words", "inputs", "out"),
    [
        ("x.a", "x.a", None),
        ("x.a out.c", "x.a", "out.c"),
        ("x.a out", "x.a", "out"),
        ("in out", "in", "out"),
        ("x.a y.b", "x.a y.b", None),
        ("x.a y.B", "x.a y.B", None),
        ("x.a in y.b", "x.a in y.b", None),
        ("x.a y.b in", "x.a y.b", "in"),
        ("x.a t.scp", "x.a", "t.scp"),
        ("x.a -", "x.a", "-"),
        ("- -", "-", "-"),
        ("- x.c", "-", "x.c"),
        ("-", "-", None),
    ],
)
def test_which_is_out(words, inputs, out):
    found = split_out([Path(word) for word in words.split()], None, KIND)
    assert found == ([Path(word) for word in inputs.split()], out and Path(out))
    named = [Path(word) for word in words.split()]
    assert split_out(named, Path("o"), KIND) == (named, Path("o")), "-o takes no path away"


def test_where_results_go(place):
    assert targets("x.a", None) == {"None": ["x.c"]}
    assert targets("x.a", "o.d") == {"None": ["o.d"]}
    assert targets("x.a", "there") == {"None": ["there/x.c"]}
    assert targets("in", "out") == {"out": ["out/sub/y.c", "out/x.c"]}
    assert targets("in", None) == {"in": ["in/sub/y.c", "in/x.c"]}
    assert targets("set", "out") == targets("set/a.scp", "out") == {"out": ["out/u1.c", "out/u2.c"]}
    assert targets("set", None) == {"set": ["set/u1.c", "set/u2.c"]}
    assert targets("x.a y.b", "out") == {"out": ["out/x.c", "out/y.c"]}
    assert targets("x.a y.b in/x.a", None) == {".": ["x.c", "y.c"], "in": ["in/x.c"]}
    # As cp copies folders.
    assert targets("x.a in other set", "out")["out"] == [
        "out/x.c", "out/in/sub/y.c", "out/in/x.c", "out/other/sub/y.c", "out/u1.c", "out/u2.c",
    ]  # fmt: skip


def test_what_is_refused(place, one_line):
    one_line("in/x.a: x.a would have the same output", targets, "x.a in/x.a", "out")
    one_line("would have the same output", targets, "in in/x.a", None)
    one_line("named .c or .d", targets, "x.a", "out.x")
    one_line("gone: no such file", targets, "x.a gone", "out")
    one_line("there: no files with .a, .b in it", targets, "there", "out")
    both = Kind("turn", "things", (".a",), (), "a.scp", (".a",), "a.scp")
    one_line("name OUT after it, or with -o", list_batches, [Path("x.a")], None, both)
