# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from probes import write_probe_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """Data directories train and valid of modulated noise, with the probe's tokens."""
    return write_probe_corpus(tmp_path_factory.mktemp("corpus"), 8)
