# Copyright 2026 The hasrd authors
# Apache-2.0
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def scored(tmp_path_factory):
    """An experiment folder that is scored once; not to be changed."""
    from exp_tree import make_exp, tones

    root = tmp_path_factory.mktemp("scored")
    waves = tones()
    texts = dict(
        zip(waves, ("please hold the line", '<enter> & "go"', "one two | three", "thank you"))
    )
    make_exp(root, waves, texts)
    return root


@pytest.fixture
def exp(scored, tmp_path):
    """A copy of the scored folder that a test may damage."""
    shutil.copytree(scored, tmp_path / "root")
    return tmp_path / "root"
