# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

import pytest

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
