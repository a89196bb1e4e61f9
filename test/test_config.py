# Copyright 2026 The hasrd authors
# Apache-2.0
"""YAML and JSON of people and other programs: plain data, or one line."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.config import MAX_NODES, parse_json, parse_yaml, read_json, read_yaml
from hasrd.errors import UserError

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
@settings(deadline=None)
def test_what_yaml_writes_is_read_as_it_was(value):
    # Escaped: as it is, PyYAML writes NEL (U+0085) where it cannot read it.
    assert parse_yaml(yaml.safe_dump(value), "x") == value


@given(st.text() | st.text("[]{}&*!:-|>\n \"'%@`a1.e"))
@settings(deadline=None, max_examples=300)
def test_any_text_is_data_or_one_line(text):
    for parse in (parse_yaml, parse_json):
        try:
            parse(text, "x")
        except UserError as error:
            assert "\n" not in str(error) and str(error).startswith("x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-3", 2e-3),
        ("1E5", 1e5),
        ("-1.5e+3", -1500.0),
        ("1.0", 1.0),
        ("e3", "e3"),
        ("2026-11-26", "2026-11-26"),
        ("'2e-3'", "2e-3"),
    ],
)
def test_scalars_that_yaml_1_1_reads_otherwise(text, value):
    assert parse_yaml(f"a: {text}", "x") == {"a": value} and type(parse_yaml(text, "x")) is type(value)


def test_aliases_are_counted_as_often_as_they_are_used():
    levels = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert MAX_NODES < 10**9
    with pytest.raises(UserError, match="more than"):
        parse_yaml("\n".join(levels), "bomb.yaml")
    assert parse_yaml("a: &x [1]\nb: *x", "x") == {"a": [1], "b": [1]}
    with pytest.raises(UserError, match="contains itself"):
        parse_yaml("a: &x [*x]", "x")


@pytest.mark.parametrize("text", ["[" * 100000, "a: " + "{b: " * 500 + "1" + "}" * 500, "- " * 3000 + "1"])
def test_deep_nesting_is_one_line(text):
    limit = sys.getrecursionlimit()
    try:
        # As some libraries do.
        sys.setrecursionlimit(10**6)
        with pytest.raises(UserError, match="nested more than 100 deep"):
            parse_yaml(text, "x")
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("text", ["[" * 100000, '{"a": NaN}', "Infinity", '{"a":', "1" * 5000, "[1e400]", "1" * 21])
def test_json_that_is_none(text, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match="a.json"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system [true]", "a: !!python/name:os.system", "a: b: c", "\x00", "? {"]
)
def test_nothing_but_data(text):
    with pytest.raises(UserError):
        parse_yaml(text, "x")


def test_errors_name_file_line_and_value(tmp_path):
    @dataclass
    class Wanted:
        layer: int
        names: list[str]

    path = tmp_path / "c.yaml"
    path.write_text("layer: 1\nnames: [a\n")
    with pytest.raises(UserError, match=r"c\.yaml:3: not valid YAML"):
        read_yaml(path)
    path.write_text("layer: one\nnames: [a]\n")
    with pytest.raises(UserError, match=r"Expected `int`, got `str` - at `\$\.layer`: write it again"):
        read_yaml(path, Wanted, "write it again")
    path.write_text("layer: 1\nnames: [a]\n")
    assert read_yaml(path, Wanted) == Wanted(1, ["a"])
    path.write_text("- 1\n")
    with pytest.raises(UserError):
        read_yaml(path)
    path.write_text("")
    assert read_yaml(path) == {}
    with pytest.raises(UserError, match="no such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        read_yaml(tmp_path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not UTF-8"):
        read_yaml(path)


def test_json_of_a_byte_order_mark(tmp_path):
    (tmp_path / "a.json").write_text("\ufeff" + json.dumps({"a": 1}), encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"a": 1}
