# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tables and data directories of Kaldi's layout."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hasrd.data.kaldi import DataDir, line_of, read_table, write_table
from hasrd.errors import UserError
from hasrd.jobs.names import name_problem

WORD = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1)
NAME = WORD.filter(lambda word: not name_problem(word))


@given(st.dictionaries(NAME, st.lists(WORD, min_size=1).map(" ".join)))
def test_what_is_written_is_read_back_sorted_by_bytes(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("table") / "wav.scp"
    write_table(path, table)
    assert read_table(path) == table
    assert list(read_table(path)) == sorted(table, key=lambda key: key.encode("utf-8"))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_table_or_a_line_for_each_that_is_wrong(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("table") / "utt2spk"
    path.write_bytes(content)
    try:
        table = read_table(path)
    except UserError as error:
        lines = str(error).split("\n  ")
        assert all(line.startswith((f"{path}:", "... and ")) and len(line.splitlines()) == 1 for line in lines)
    else:
        assert all(key and value for key, value in table.items())


# Words with a blank between them, or with what some programs take for a blank or for the end of a line.
BLANKS = st.sampled_from(["  ", *" \t\r\x0b\x0c\x1c\x1f\x85\xa0\u2003\u2028\u3000\ufeff"])
LINES = st.lists(st.tuples(st.sampled_from(["", "b", "é 字"]), BLANKS, st.booleans()), min_size=1, max_size=2).map(
    lambda lines: [f"{' ' * lead}u{index}{blank}a{blank}{end}" for index, (end, blank, lead) in enumerate(lines)]
)


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans())
@example(["a b\tc", " d  e  f "], "\r\n", False)
def test_other_programs_read_the_same_from_what_is_accepted(tmp_path_factory, lines: list[str], end: str, last: bool):
    kaldiio = pytest.importorskip("kaldiio")
    read_2columns_text = pytest.importorskip("espnet2.fileio.read_text").read_2columns_text
    path = tmp_path_factory.mktemp("table") / "text"
    content = end.join(lines) + (end if last and lines else "")
    path.write_bytes(content.encode())
    try:
        table = read_table(path)
    except UserError:
        return
    assert read_2columns_text(path) == table and list(read_2columns_text(path)) == list(table)
    # As scripts do it.
    words = {line.split()[0]: line.split()[1:] for line in content.splitlines()}
    assert {key: value.split() for key, value in table.items()} == words
    # As awk and Kaldi's programs do it.
    fields = {line.split()[0]: line.split()[1:] for line in content.encode().rstrip(b"\r\n").split(b"\n") if line}
    assert {key.encode(): value.encode().split() for key, value in table.items()} == fields
    if table and all(table.values()):
        assert list(kaldiio.load_scp(str(path))) == list(table)
        # What stage 1 then writes is read the same again.
        write_table(path, table)
        assert read_table(path) == table == read_2columns_text(path)


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (b"a 1\nb 2\na 3\n", 3, "second time"),
        (b"a 1\nb\n", 2, "no value"),
        (b"a 1\n\nb 2\n", 2, "empty line"),
        (b"a 1\nb \xe9t\xe9\n", 2, "not UTF-8"),
        (b"a 1\n/x/y 2\n", 2, "has a slash in it: rename it"),
        (b"a 1\n../y 2\n", 2, "has a slash in it: rename it"),
        (b".. 2\n", 1, "begins with '.': rename it"),
        (b"a 1\nb 2\rc 3\n", 2, r"U\+000D .control character. in it"),
        (b"\xef\xbb\xbfa 1\n", 1, r"U\+FEFF .byte order mark. in it"),
        ("a 1\nb 2\u2028".encode(), 2, r"U\+2028 .LINE SEPARATOR. in it"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, content: bytes, line: int, what: str):
    path = tmp_path / "wav.scp"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path}:{line}: .*{what}"):
        read_table(path)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path):
    (tmp_path / "wav.scp").write_text("a 1\n\na 2\nb\n../c 3\n")
    (tmp_path / "utt2spk").write_text("a one speaker\nb x\n")
    with pytest.raises(UserError) as caught:
        DataDir.load(tmp_path)
    places = [line.split(": ")[0].rpartition("/")[2] for line in str(caught.value).split("\n  ")]
    assert places == ["utt2spk:1", "wav.scp:2", "wav.scp:3", "wav.scp:4", "wav.scp:5"]


@pytest.mark.parametrize("value", ["a\nb 2", "x\xa0y", "x\x1b"])
def test_what_would_be_read_otherwise_is_not_written(tmp_path: Path, value: str):
    with pytest.raises(UserError, match=r"wav.scp: U\+00"):
        write_table(tmp_path / "wav.scp", {"a": value})
    assert not (tmp_path / "wav.scp").exists()


def test_a_part_tells_the_lines_of_the_files_and_each_in_no_time():
    names = [f"u{index:06d}" for index in range(100_000)]
    data = DataDir(Path("d"), {"wav.scp": {name: "x" for name in names}})
    part = data.subset(names[1::2])
    started = time.process_time()
    assert [part.line_of("wav.scp", name) for name in part.wavs][-1] == "d/wav.scp:100000"
    # It took minutes while each line was searched for.
    assert time.process_time() - started < 5


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
    with pytest.raises(UserError, match="segments are not read here: hasrd prepare --from kaldi"):
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
