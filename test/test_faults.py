# Copyright 2026 The hasrd authors
# Apache-2.0
"""A part of ci/faults.sh: each kind of fault, on the quickest command; and that the suite sees what goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("kaldiio")
ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "ci"))

import faults  # noqa: E402


@pytest.mark.timeout(600)
def test_each_kind_on_one_command(tmp_path):
    environment = {**os.environ, "HASRD_PYTHON": sys.executable}
    words = ["--only", r"\|hasrd subset-data$", "--out", tmp_path / "out", "--page", tmp_path / "p.md"]
    done = subprocess.run([ROOT / "ci/faults.sh", *words], capture_output=True, text=True, timeout=580, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "p.md").read_text()
    for kind in faults.KINDS:
        assert f"{kind}|hasrd subset-data:" in done.stdout
    assert page.count("| hasrd subset-data |") == 4 and "stage 5" in page.partition("Not tried yet")[2]


def ended(status: int, text: str) -> subprocess.CompletedProcess:
    return subprocess.CompletedProcess([], status, text, "")


def test_what_counts_as_wrong():
    assert not faults._told(ended(0, "done"), fails=None)
    assert not faults._told(ended(1, "error: the disk is full: x"), fails=True)
    assert faults._told(ended(0, "done"), fails=True)
    assert "no line" in faults._told(ended(1, "boom"), fails=None)[0]
    shown = "error: x\nTraceback (most recent call last)\nKeyError: 1"
    assert "KeyError" in faults._told(ended(1, shown), fails=None)[0]
