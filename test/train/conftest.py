# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from children import codec_options, ssl_options, write_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """Data directories train and valid of modulated noise."""
    root = tmp_path_factory.mktemp("corpus")
    write_corpus(root, {"train": 8, "valid": 2})
    return root


@pytest.fixture(scope="session")
def tasks() -> dict:
    """Kind of training to its task and the options of a small one: (class, options(corpus, out, epochs))."""
    # The first optimiser imports this, seconds in each child unless it is here already.
    import torch._dynamo  # noqa: F401

    from hasrd.train.entry import load_task

    return {
        "ssl": (load_task("hasrd.tasks.ssl:SSLTask"), ssl_options),
        "codec": (load_task("hasrd.tasks.codec:CodecTask"), codec_options),
    }


@pytest.fixture
def trained(monkeypatch) -> list[list[str]]:
    """The command lines that reached the task."""
    calls: list[list[str]] = []

    class Parser:
        def parse_args(self, argv):
            return argparse.Namespace(argv=argv)

    task = type("Task", (), {"main": staticmethod(lambda args: calls.append(args.argv)), "get_parser": Parser})
    monkeypatch.setattr("hasrd.train.entry.load_task", lambda name: task)
    return calls
