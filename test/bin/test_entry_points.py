# Copyright 2026 The hasrd authors
# Apache-2.0
"""Entry points are thin: they declare options, and what they do lies in the package."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest

from hasrd import bin as entry_points

LIMIT = 40
# What declares options: the function of this name and, of the command `hasrd` itself, the tables of its commands.
OPTIONS, TABLES = "get_parser", ("USE", "RECIPES")
# These hold no code.
BLANK = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def is_declaration(node: ast.AST) -> bool:
    """Whether a node is an import, a docstring, or declares options."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if isinstance(node, ast.AnnAssign):
        return isinstance(node.target, ast.Name) and node.target.id in TABLES
    return isinstance(node, (ast.Import, ast.ImportFrom)) or getattr(node, "name", None) == OPTIONS


def code_lines(text: str) -> set[int]:
    """The numbers of the lines that hold code beside declarations."""
    tokens = (token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in BLANK)
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        if is_declaration(node):
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return lines


@pytest.mark.parametrize("path", sorted(Path(entry_points.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_an_entry_point_is_thin(path):
    found = code_lines(path.read_text(encoding="utf-8"))
    assert len(found) <= LIMIT, f"{len(found)} lines beside its options: let it call what the package does"


def test_nothing_but_entry_points_imports_them():
    package = Path(entry_points.__file__).parents[1]
    for path in package.rglob("*.py"):
        if path.parent.name != "bin":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                imported = node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else []
                assert not any(f"{module}{alias.name}.".startswith("hasrd.bin.") for alias in imported), path


def test_the_count():
    text = '# Copyright\n"""Doc\n\nmore."""\n\nimport sys\n\n\ndef get_parser():\n    x = 1\n    return x\n\n\n'
    text += 'def main():\n    """Run."""\n    import torch\n\n    # Why.\n    call(\n        1,\n    )\n'
    text += '    text = """a\nb"""\n'
    assert code_lines(text) == {14, 19, 20, 21, 22, 23}
