# Copyright 2026 The hasrd authors
# Apache-2.0
"""Lines that every program sees alike."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hasrd.data.lines import read_lines, strange_character
from hasrd.data.problems import Problems
from hasrd.errors import UserError


@given(st.binary(max_size=60))
@example(b"a\rb\n")
@example("a\u2028b c\x85d\u3000e".encode())
def test_what_is_yielded_is_the_same_to_all_ways_of_reading(tmp_path_factory, content: bytes):
    path = tmp_path_factory.mktemp("lines") / "text"
    path.write_bytes(content)
    problems = Problems()
    lines = list(read_lines(path, problems))
    if problems.lines:
        assert all(line.startswith(f"{path}:") for line in problems.lines)
        return
    text = content.decode("utf-8")
    assert [line for _, line in lines] == text.splitlines() == io.StringIO(text, newline=None).read().splitlines()
    assert [number for number, _ in lines] == list(range(1, len(lines) + 1))
    # Awk and Kaldi's programs separate at these bytes alone.
    ours = [line.encode().split() for _, line in lines]
    assert [[field.encode() for field in line.split()] for _, line in lines] == ours


@pytest.mark.parametrize("character", "\0\x07\x0b\x0c\r\x1c\x1f\x7f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000\ufeff")
def test_a_strange_character_is_named_with_its_line(tmp_path: Path, character: str):
    (tmp_path / "text").write_bytes(f"a b\nc {character}d\ne f\n".encode())
    problems = Problems()
    assert list(read_lines(tmp_path / "text", problems)) == [(1, "a b"), (3, "e f")]
    assert problems.lines[0].startswith(f"{tmp_path}/text:2: U+{ord(character):04X} (") and len(problems.lines) == 1


@pytest.mark.parametrize("text", ["a\tb  c", "é ñ 字 И", "نمی\u200cشود", "e\u0301", "\U0001f600"])
def test_letters_of_all_languages_and_tabs_are_right(text: str):
    assert strange_character(text) == ""


def test_ends_of_lines_and_of_the_file(tmp_path: Path):
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbfa 1\r\nb 2\nc 3")
    problems = Problems()
    assert [line for _, line in read_lines(path, problems, allow_mark=True)] == ["a 1", "b 2", "c 3"]
    assert not problems.lines
    assert [line for _, line in read_lines(path, problems, last_must_end=True)] == ["b 2"]
    assert "text:1: U+FEFF (byte order mark)" in problems.lines[0]
    assert "text:3: the last line has no end: the file was cut off" in problems.lines[1]


def test_no_file(tmp_path: Path):
    with pytest.raises(UserError, match="no such file"):
        list(read_lines(tmp_path / "text", Problems()))
    with pytest.raises(UserError, match="is a folder"):
        list(read_lines(tmp_path, Problems()))
