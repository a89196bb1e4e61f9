# Copyright 2026 The hasrd authors
# Apache-2.0
"""Hashes of files and of values."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from hasrd.jobs.digest import sha256, values_sha256


def test_values_are_told_apart():
    facts = [{"a": 1}, {"a": 2}, {"b": 1}, {"a": [1]}, {"a": "1"}, {"a": None}, {"a": {"b": 1}}, {"a": Path("x")}]
    hashes = [values_sha256(**fact) for fact in facts]
    assert len(set(hashes)) == len(facts)
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in hashes)
    assert values_sha256(a=1, b=2) == values_sha256(b=2, a=1)


def test_a_file_larger_than_a_block(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    assert sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()
