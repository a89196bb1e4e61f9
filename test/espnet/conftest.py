# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from probes import TOKENS, train  # noqa: F401


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """Data directories train and valid of modulated noise, with the probe's tokens."""
    from children import write_corpus

    root = tmp_path_factory.mktemp("corpus")
    write_corpus(root, {"train": 8, "valid": 2})
    (root / "tokens.txt").write_text("".join(f"{token}\n" for token in TOKENS))
    return root
