# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from hasrd import __version__
from hasrd.bin import main as cli
from hasrd.errors import UserError


def run(*words):
    return subprocess.run([sys.executable, "-m", "hasrd.bin.main", *words], capture_output=True, text=True)


def test_help_and_version():
    for words in [(), ("--help",), ("-h",)]:
        output = run(*words)
        assert output.returncode == 0 and all(name in output.stdout for name in cli.COMMANDS)
    assert run("--version").stdout.strip() == f"hasrd {__version__}"


def test_import_is_light():
    code = "import sys, hasrd.bin.main; print([m for m in ('torch', 'numpy', 'espnet2', 'yaml') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_every_entry_point_is_a_command():
    folder = Path(cli.__file__).parent
    modules = {f"hasrd.bin.{path.stem}" for path in folder.glob("*.py") if "run_main(main)" in path.read_text()}
    assert {module for module, _ in cli.COMMANDS.values()} == modules - {"hasrd.bin.main"}


def test_every_command_has_a_main():
    for module, _ in cli.COMMANDS.values():
        assert callable(importlib.import_module(module).main)


def test_a_command_gets_its_options():
    output = run("exp-name", "--help")
    assert output.returncode == 0 and "usage: hasrd exp-name" in output.stdout


def test_unknown_command_is_one_line():
    with pytest.raises(UserError, match="did you mean 'exp-name'"):
        cli.main(["exp-nam"])
    output = run("nothing-like-it")
    assert output.returncode == 1 and output.stderr.startswith("error: ") and output.stderr.count("\n") == 1
