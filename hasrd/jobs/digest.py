# Copyright 2026 The hasrd authors
# Apache-2.0
"""Hashes of files and of values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return file_hash(path, "sha256")


def file_hash(path: str | Path, algorithm: str) -> str:
    """Hash of a file by an algorithm of hashlib, in hexadecimal."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def values_sha256(**values: Any) -> str:
    """SHA-256 of values that JSON can hold, in hexadecimal; a Path counts as its text, the order of keys not at all."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
