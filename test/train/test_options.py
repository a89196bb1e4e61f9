# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

import argparse
import shlex

import pytest
from espnet2.utils.nested_dict_action import NestedDictAction

from hasrd.train.options import parse_args_string


@pytest.mark.parametrize(
    "text, expected",
    [
        ("--a 1 --b=x --c", {"a": 1, "b": "x", "c": True}),
        ("--x_conf a=1 --x_conf b.c=2", {"x_conf": {"a": 1, "b": {"c": 2}}}),
        ("--x_conf '{a: 1, b: [2, 3]}'", {"x_conf": {"a": 1, "b": [2, 3]}}),
        ("--weight=-1", {"weight": -1}),
        ("--x 1 2", {"x": [1, 2]}),
    ],
)
def test_parse_args_string(text, expected):
    assert parse_args_string(text) == expected


@pytest.mark.parametrize(
    "words",
    [
        ["b=[1,2]", "b.c=3"], ["b=1", "b.c.d=x"], ["{b: {c: [1]}}", "b.c.d=2", "b.c.e=2"], ["b=null", "b.c=1"],
    ],
)  # fmt: skip
def test_a_key_inside_of_what_is_no_mapping_replaces_it_as_in_espnet(words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--conf", action=NestedDictAction, default={})
    argv = [part for word in words for part in ("--conf", word)]
    assert parse_args_string(shlex.join(argv)) == {"conf": parser.parse_args(argv).conf}
