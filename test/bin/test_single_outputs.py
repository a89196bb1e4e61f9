# Copyright 2026 The hasrd authors
# Apache-2.0
"""Commands that write one file or folder: the second of two ends at once, with one line that says who holds it."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module

import pytest

from hasrd.errors import UserError
from hasrd.jobs.lock import exclusive

# Entry point, and its options with {} for what it writes. None of their inputs is there: the lock comes first.
COMMANDS = {
    "kmeans": "--encoder_file x --data x --layer 1 --out {}",
    "export_encoder": "--exp_dir x --out {}",
    "import_encoder": "x --out {}",
    "token_list": "--text x --out {}",
    "token_map": "--exp_dir x --data x --out {}",
    "report": "--expdir x --corpus x --out_md {}",
}
FOLDERS = {
    "masked_prediction": "--exp_dir x --data x --out {}",
}


def refuses(name, options, out, monkeypatch):
    monkeypatch.setattr(sys, "argv", [name, *options.format(out).split()])
    with pytest.raises(UserError, match=f"process {os.getpid()} on .* is writing there") as caught:
        import_module(f"hasrd.bin.{name}").main()
    return re.sub(": process.*", "", str(caught.value))


@pytest.mark.parametrize("name", COMMANDS)
def test_files(name, tmp_path, monkeypatch):
    with exclusive(tmp_path / "out"):
        assert refuses(name, COMMANDS[name], tmp_path / "out", monkeypatch) == str(tmp_path / "out")
        # Another file beside it is nobody's.
        monkeypatch.setattr(sys, "argv", [name, *COMMANDS[name].format(tmp_path / "other").split()])
        try:
            import_module(f"hasrd.bin.{name}").main()
        except UserError as error:
            assert "is writing there" not in str(error)


@pytest.mark.parametrize("name", FOLDERS)
def test_folders(name, tmp_path, monkeypatch):
    with exclusive(tmp_path):
        assert refuses(name, FOLDERS[name], tmp_path, monkeypatch) == str(tmp_path)


def test_a_folder_that_appears_when_it_is_complete(tmp_path, monkeypatch):
    with exclusive(tmp_path, ".packed"):
        refuses("pack", "x {}", tmp_path / "packed", monkeypatch)
        refuses("import_peer", "--kind mimi --model x --out {}", tmp_path / "packed", monkeypatch)
