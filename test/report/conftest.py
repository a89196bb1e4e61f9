# Copyright 2026 The hasrd authors
# Apache-2.0
import shutil

import pytest


@pytest.fixture(scope="session")
def scored(tmp_path_factory):
    """An experiment folder that is scored once; not to be changed."""
    from exp_tree import make_exp, tones

    root = tmp_path_factory.mktemp("scored")
    waves = tones()
    texts = dict(zip(waves, ("please hold the line", '<enter> & "go"', "one two | three", "thank you")))
    make_exp(root, waves, texts)
    return root


@pytest.fixture
def exp(scored, tmp_path):
    """A copy of the scored folder that a test may damage."""
    shutil.copytree(scored, tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture(scope="session")
def papers(tmp_path_factory):
    """A folder of experiments with score files of most of the paper's rows; not to be changed."""
    from exp_tree import paper_tree

    return paper_tree(tmp_path_factory.mktemp("papers"))


@pytest.fixture
def paper_exp(papers, tmp_path):
    """A copy of it that a test may change."""
    return shutil.copytree(papers, tmp_path / "exp")
