# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tables and data directories of Kaldi's layout."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasrd.data.kaldi import DataDir, line_of, read_table, write_table
from hasrd.errors import UserError

WORD = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1)


@given(st.dictionaries(WORD, st.lists(WORD, min_size=1).map(" ".join)))
def test_what_is_written_is_read_back_sorted_by_bytes(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("table") / "wav.scp"
    write_table(path, table)
    assert read_table(path) == table
    assert list(read_table(path)) == sorted(table, key=lambda key: key.encode("utf-8"))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_table_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("table") / "utt2spk"
    path.write_bytes(content)
    try:
        table = read_table(path)
    except UserError as error:
        assert str(error).startswith(f"{path}:") and "\n" not in str(error)
    else:
        assert all(key and value for key, value in table.items())


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (b"a 1\nb 2\na 3\n", 3, "second time"),
        (b"a 1\nb\n", 2, "no value"),
        (b"a 1\n\nb 2\n", 2, "empty line"),
        (b"a 1\nb \xe9t\xe9\n", 2, "not UTF-8"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, content: bytes, line: int, what: str):
    path = tmp_path / "wav.scp"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path}:{line}: .*{what}"):
        read_table(path)


def test_a_transcript_may_be_empty_and_tabs_separate(tmp_path: Path):
    (tmp_path / "text").write_text("a\nb\tSOME WORDS\n")
    assert read_table(tmp_path / "text") == {"a": "", "b": "SOME WORDS"}


def test_a_missing_table_is_named(tmp_path: Path):
    with pytest.raises(UserError, match="no such file"):
        read_table(tmp_path / "text")


def test_line_of_counts_from_one(tmp_path: Path):
    (tmp_path / "utt2spk").write_text("b x\na y\n")
    assert line_of(tmp_path / "utt2spk", "a") == f"{tmp_path}/utt2spk:2"


def test_a_directory_is_written_sorted_with_spk2utt_and_without_stale_tables(tmp_path: Path):
    (tmp_path / "feats.scp").write_text("old x.ark:1\n")
    tables = {
        "wav.scp": {"b": "b.wav", "a": "a.wav", "c": "c.wav"},
        "utt2spk": {"b": "s1", "a": "s2", "c": "s1"},
    }
    DataDir(tmp_path, tables).write(tmp_path)
    assert (tmp_path / "wav.scp").read_text() == "a a.wav\nb b.wav\nc c.wav\n"
    assert (tmp_path / "spk2utt").read_text() == "s1 b c\ns2 a\n"
    assert not (tmp_path / "feats.scp").exists()
    data = DataDir.load(tmp_path)
    assert data.utterances == ["a", "b", "c"]
    assert data.subset(["c", "a"]).tables["utt2spk"] == {"a": "s2", "c": "s1"}


def test_segments_are_refused(tmp_path: Path):
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    (tmp_path / "segments").write_text("a a 0 1\n")
    with pytest.raises(UserError, match="segments are not supported"):
        DataDir.load(tmp_path)


def test_a_folder_without_wav_scp_is_named(tmp_path: Path):
    with pytest.raises(UserError, match="no wav.scp"):
        DataDir.load(tmp_path)


@pytest.mark.parametrize(("line", "what"), [("a x\n", "no count of samples"), ("b 3\n", "'a' is missing")])
def test_sample_counts_are_checked(tmp_path: Path, line: str, what: str):
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    (tmp_path / "utt2num_samples").write_text(line)
    with pytest.raises(UserError, match=what):
        DataDir.load(tmp_path).samples()
