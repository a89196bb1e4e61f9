# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from probes import TOKENS, train  # noqa: E402,F401


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """Data directories train and valid of modulated noise, with the probe's tokens."""
    from children import write_corpus

    root = tmp_path_factory.mktemp("corpus")
    write_corpus(root, {"train": 8, "valid": 2})
    (root / "tokens.txt").write_text("".join(f"{token}\n" for token in TOKENS))
    return root
