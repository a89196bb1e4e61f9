# Copyright 2026 The hasrd authors
# Apache-2.0
"""Names from data stay inside the folder that is written to."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.errors import UserError
from hasrd.jobs.names import inside, name_problem

NAMES = st.text(max_size=300) | st.text("./\\a\0~", max_size=12)


@given(NAMES, st.booleans())
@settings(max_examples=500)
def test_no_name_leads_out(name, folders):
    try:
        path = inside("/base/out", name, ".npz", folders)
    except UserError:
        return
    assert os.path.normpath(path).startswith("/base/out/") and os.path.normpath(path) == str(path)
    assert str(path).endswith(".npz") and (folders or path.parent.name == "out")


@given(NAMES)
def test_a_name_without_a_problem_is_usable(name):
    if not name_problem(name):
        assert inside("out", name, ".flac").name == f"{name}.flac"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/etc/x", "a/b", "../a", "a b", "a\tb", "a\n", "-rf", ".hidden", "ü" * 101, "a\x7f"]
)
def test_names_that_no_utterance_may_have(name):
    assert name_problem(name)


@pytest.mark.parametrize("name", ["237-134500-0001", "spk_a.wav", "müller-01", "日本", "a=b", "x~1"])
def test_names_that_utterances_have(name):
    assert not name_problem(name)
